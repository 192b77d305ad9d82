// iceoryx 2.0 at its best, by measurement: the untyped API, a queue of two, no history, the next chunk loaned before the wait, the taken one released
// before the answer. `--wait spin` asks take() again and again, `--wait wait-set` sleeps in a WaitSet. RouDi runs already. Nothing of a process stays
// in /tmp: both leave as iceoryx wants it, also on SIGTERM and when the other fails, and one that was killed is cleared away by the other.
#include <csignal>
#include <string>
#include <sys/wait.h>

#include "iceoryx_hoofs/log/logmanager.hpp"
#include "iceoryx_posh/popo/untyped_publisher.hpp"
#include "iceoryx_posh/popo/untyped_subscriber.hpp"
#include "iceoryx_posh/popo/wait_set.hpp"
#include "iceoryx_posh/runtime/posh_runtime.hpp"
#include "iceoryx_versions.hpp"

#include "ping-pong.h"

namespace {

constexpr uint32_t ALIGNMENT_BYTES = 8;
constexpr uint64_t QUEUE_CAPACITY = 2;
constexpr useconds_t CONNECT_POLL_US = 1000;
// Within it a sleeper notices that it shall stop; a hand-over takes a thousandth of it.
constexpr uint64_t WAIT_MS = 200;

volatile std::sig_atomic_t stopped = 0;

struct Stopped {};

iox::capro::IdString_t idOf(const std::string& text) { return {iox::cxx::TruncateToCapacity, text}; }

iox::capro::ServiceDescription serviceOf(const options& options, const char* direction) {
  return {"leasehold-bench", idOf(options.name), idOf(direction)};
}

iox::popo::PublisherOptions publisherOptions() {
  iox::popo::PublisherOptions options;
  options.historyCapacity = 0;
  return options;
}

iox::popo::SubscriberOptions subscriberOptions() {
  iox::popo::SubscriberOptions options;
  options.queueCapacity = QUEUE_CAPACITY;
  return options;
}

class Side {
 public:
  Side(const options& options, const char* out, const char* in, bool sleeps)
      : m_payloadBytes(options.payload_bytes),
        m_sleeps(sleeps),
        m_publisher(serviceOf(options, out), publisherOptions()),
        m_subscriber(serviceOf(options, in), subscriberOptions()) {
    while (m_subscriber.getSubscriptionState() != iox::SubscribeState::SUBSCRIBED || !m_publisher.hasSubscribers()) {
      if (stopped != 0) throw Stopped{};
      usleep(CONNECT_POLL_US);
    }
    if (m_sleeps) m_waitSet.attachState(m_subscriber, iox::popo::SubscriberState::HAS_DATA).or_else([](auto) { std::exit(EXIT_WRONG); });
    loan();
  }

  ~Side() { m_publisher.release(m_next); }
  Side(const Side&) = delete;
  Side& operator=(const Side&) = delete;

  void send(unsigned char with) {
    mark(static_cast<unsigned char*>(m_next), m_payloadBytes, with);
    m_publisher.publish(m_next);
  }

  void loan() {
    m_publisher.loan(static_cast<uint32_t>(m_payloadBytes), ALIGNMENT_BYTES)
        .and_then([this](void* payload) { m_next = payload; })
        .or_else([this](auto error) {
          fprintf(stderr, "iceoryx lends no chunk of %zu bytes: error %d\n", m_payloadBytes, static_cast<int>(error));
          std::exit(EXIT_WRONG);
        });
  }

  void receive(unsigned char expected) {
    for (;;) {
      if (stopped != 0) throw Stopped{};
      if (m_sleeps) m_waitSet.timedWait(iox::units::Duration::fromMilliseconds(WAIT_MS));
      const auto taken = m_subscriber.take();
      if (!taken.has_error()) {
        check_mark(static_cast<const unsigned char*>(taken.value()), m_payloadBytes, expected);
        m_subscriber.release(taken.value());
        return;
      }
    }
  }

 private:
  size_t m_payloadBytes;
  bool m_sleeps;
  void* m_next{nullptr};
  iox::popo::UntypedPublisher m_publisher;
  iox::popo::UntypedSubscriber m_subscriber;
  iox::popo::WaitSet<1> m_waitSet;
};

bool sleepsBy(const std::string& wait) {
  if (wait == "spin") return false;
  if (wait != "wait-set") bad_arguments("--wait is one of spin, wait-set", wait.c_str());
  return true;
}

std::string processName(const options& options, const char* role) { return std::string{options.name} + "-" + role; }

void startRuntime(const options& options, const char* role) {
  iox::log::LogManager::GetLogManager().SetDefaultLogLevel(iox::log::LogLevel::kError, iox::log::LogLevelOutput::kHideLogLevel);
  iox::runtime::PoshRuntime::initRuntime({iox::cxx::TruncateToCapacity, processName(options, role)});
}

/** What iceoryx keeps for a process that was killed. */
void clearAwayAfter(const options& options, const char* role) {
  const std::string socket = "/tmp/" + processName(options, role);
  unlink(socket.c_str());
  unlink((socket + ".lock").c_str());
}

void respond(const options& options, bool sleeps) {
  startRuntime(options, "pong");
  pin_to(options.cores[1]);
  Side side{options, "pong", "ping", sleeps};
  for (long trip = 1; trip <= options.warm_up + options.round_trips; trip += 1) {
    side.receive(ping_mark(trip));
    side.send(pong_mark(trip));
    side.loan();
  }
}

void initiate(const options& options, bool sleeps, uint64_t* samples) {
  startRuntime(options, "ping");
  pin_to(options.cores[0]);
  Side side{options, "ping", "pong", sleeps};
  uint64_t before = monotonic_ns();
  for (long trip = 1; trip <= options.warm_up + options.round_trips; trip += 1) {
    side.send(ping_mark(trip));
    side.loan();
    side.receive(pong_mark(trip));
    const uint64_t after = monotonic_ns();
    if (trip > options.warm_up) samples[trip - options.warm_up - 1] = after - before;
    before = after;
  }
}

/** The responder keeps its publisher until the initiator closes its end: it has taken the last answer then, or is no more. */
int runResponder(const options& options, bool sleeps, pid_t initiator, int initiatorsEnd) {
  int status = 0;
  try {
    respond(options, sleeps);
  } catch (const Stopped&) {
    status = EXIT_WRONG;
  }
  char none;
  while (read(initiatorsEnd, &none, 1) == -1 && errno == EINTR) continue;
  if (getppid() != initiator) clearAwayAfter(options, "ping");
  return status;
}

int runInitiator(const options& options, bool sleeps, pid_t responder, int end) {
  uint64_t* samples = new_samples(options.round_trips);
  bool measured = true;
  try {
    initiate(options, sleeps, samples);
  } catch (const Stopped&) {
    measured = false;
    kill(responder, SIGTERM);
  }
  close(end);
  int status = 0;
  while (waitpid(responder, &status, 0) == -1 && errno == EINTR) continue;
  if (WIFSIGNALED(status)) clearAwayAfter(options, "pong");
  if (!measured || status != 0) return EXIT_WRONG;
  const std::string how = sleeps ? "WaitSet" : "take() in a loop";
  print_result(("iceoryx " ICEORYX_LATEST_RELEASE_VERSION ", untyped, queue of 2, " + how).c_str(), samples, options.round_trips);
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  const options options = parse_options(count, arguments);
  const bool sleeps = sleepsBy(options.wait);
  int ends[2];
  for (const int number : {SIGTERM, SIGINT, SIGCHLD}) std::signal(number, [](int) { stopped = 1; });
  end_with(getppid(), SIGTERM);
  if (pipe(ends) != 0) return EXIT_WRONG;
  const pid_t initiator = getpid();
  const pid_t responder = fork();
  if (responder == -1) return EXIT_WRONG;
  if (responder == 0) {
    end_with(initiator, SIGTERM);
    close(ends[1]);
    return runResponder(options, sleeps, initiator, ends[0]);
  }
  return runInitiator(options, sleeps, responder, ends[1]);
}
