/* The least that two processes can do: each writes one cache line that the other watches, 128 bytes from its own. A payload that fits lies in that line,
 * a larger one beside it. `--wait futex` and `--wait eventfd` sleep in the kernel between two hand-overs: what a wake-up costs. */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "ping-pong.h"

/* Two lines apart, because the hardware fetches lines in pairs. */
enum { APART_BYTES = 128, INLINE_BYTES = 32, PAGE_BYTES = 4096 };
enum waiting { SPIN, FUTEX, EVENTFD };

struct line {
  _Alignas(APART_BYTES) _Atomic uint32_t sequence;
  unsigned char payload[INLINE_BYTES];
};

struct direction {
  struct line *line;
  unsigned char *payload;
  size_t payload_bytes;
  enum waiting waiting;
  int doorbell;
};

static void fail(const char *call) {
  fprintf(stderr, "%s: %s\n", call, strerror(errno));
  exit(EXIT_WRONG);
}

static enum waiting waiting_of(const char *name) {
  if (strcmp(name, "spin") == 0) return SPIN;
  if (strcmp(name, "futex") == 0) return FUTEX;
  if (strcmp(name, "eventfd") == 0) return EVENTFD;
  bad_arguments("--wait is one of spin, futex, eventfd", name);
  return SPIN;
}

static void hand_over(const struct direction *to, uint32_t sequence, unsigned char with) {
  const uint64_t one = 1;
  mark(to->payload, to->payload_bytes, with);
  /* IMPORTANT: release. Whoever sees the number sees the payload. */
  atomic_store_explicit(&to->line->sequence, sequence, memory_order_release);
  if (to->waiting == FUTEX) syscall(SYS_futex, &to->line->sequence, FUTEX_WAKE, 1, NULL, NULL, 0);
  else if (to->waiting == EVENTFD && write(to->doorbell, &one, sizeof one) != sizeof one) fail("write to an eventfd");
}

static void await(const struct direction *from, uint32_t sequence, unsigned char with) {
  uint64_t rings;
  uint32_t seen;
  if (from->waiting == EVENTFD && read(from->doorbell, &rings, sizeof rings) != sizeof rings) fail("read from an eventfd");
  while ((seen = atomic_load_explicit(&from->line->sequence, memory_order_acquire)) != sequence) {
    if (from->waiting == FUTEX) syscall(SYS_futex, &from->line->sequence, FUTEX_WAIT, seen, NULL, NULL, 0);
  }
  check_mark(from->payload, from->payload_bytes, with);
}

static void respond(const struct direction *ping, const struct direction *pong, long trips) {
  for (long trip = 1; trip <= trips; trip += 1) {
    await(ping, (uint32_t)trip, ping_mark((uint64_t)trip));
    hand_over(pong, (uint32_t)trip, pong_mark((uint64_t)trip));
  }
}

static void initiate(const struct direction *ping, const struct direction *pong, const struct options *options, uint64_t *samples) {
  uint64_t before = monotonic_ns();
  for (long trip = 1; trip <= options->warm_up + options->round_trips; trip += 1) {
    hand_over(ping, (uint32_t)trip, ping_mark((uint64_t)trip));
    await(pong, (uint32_t)trip, pong_mark((uint64_t)trip));
    const uint64_t after = monotonic_ns();
    if (trip > options->warm_up) samples[trip - options->warm_up - 1] = after - before;
    before = after;
  }
}

/* A responder that failed never answers: the initiator must not wait for it. */
static void on_child(int signal) {
  int status;
  (void)signal;
  if (waitpid(-1, &status, WNOHANG) > 0 && status != 0) _exit(EXIT_WRONG);
}

static struct direction new_direction(struct line *line, unsigned char *beside, const struct options *options) {
  struct direction direction = {line, options->payload_bytes > INLINE_BYTES ? beside : line->payload, options->payload_bytes, waiting_of(options->wait), -1};
  if (direction.waiting != EVENTFD) return direction;
  direction.doorbell = eventfd(0, 0);
  if (direction.doorbell == -1) fail("eventfd");
  return direction;
}

int main(int count, char **arguments) {
  const struct options options = parse_options(count, arguments);
  end_with(getppid(), SIGKILL);
  const size_t payload_pages_bytes = (options.payload_bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
  unsigned char *memory = mmap(NULL, PAGE_BYTES + 2 * payload_pages_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) fail("mmap");
  struct line *lines = (struct line *)memory;
  const struct direction ping = new_direction(&lines[0], memory + PAGE_BYTES, &options);
  const struct direction pong = new_direction(&lines[1], memory + PAGE_BYTES + payload_pages_bytes, &options);
  uint64_t *samples = new_samples(options.round_trips);

  signal(SIGCHLD, on_child);
  const pid_t initiator = getpid();
  const pid_t responder = fork();
  if (responder == -1) fail("fork");
  if (responder == 0) {
    end_with(initiator, SIGKILL);
    pin_to(options.cores[1]);
    respond(&ping, &pong, options.warm_up + options.round_trips);
    return 0;
  }
  pin_to(options.cores[0]);
  initiate(&ping, &pong, &options, samples);
  char settings[128];
  snprintf(settings, sizeof settings, "C11 atomics, two lines %d bytes apart, %s", APART_BYTES, options.wait);
  print_result(settings, samples, options.round_trips);
  return 0;
}
