/* What every native ping-pong shares, in C11 and C++14 alike: its arguments, its cores, its clock, the marks in a payload, the samples it prints.
 * Exit codes: 0 measured, 1 it went wrong, 2 bad arguments. */
#ifndef LEASEHOLD_BENCH_PING_PONG_H
#define LEASEHOLD_BENCH_PING_PONG_H

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_WRONG = 1, EXIT_BAD_ARGUMENTS = 2 };
enum { PAYLOAD_BYTES_MAX = 1 << 30, ROUND_TRIPS_MAX = 10000000, CORE_MAX = CPU_SETSIZE - 1 };

struct options {
  size_t payload_bytes;
  long round_trips;
  long warm_up;
  /* -1: the scheduler's choice. */
  int cores[2];
  const char *wait;
  /* What the processes are called where that matters. */
  const char *name;
};

static inline void bad_arguments(const char *what, const char *value) {
  fprintf(stderr, "%s: %s\nusage: --payload BYTES --round-trips N [--warm-up N] [--cores A,B] [--wait HOW] [--name NAME]\n", what, value);
  exit(EXIT_BAD_ARGUMENTS);
}

static inline long whole_number(const char *option, const char *text, long least, long most) {
  char *end;
  errno = 0;
  const long number = strtol(text, &end, 10);
  if (errno != 0 || end == text || *end != '\0' || number < least || number > most) {
    fprintf(stderr, "%s takes a whole number from %ld to %ld\n", option, least, most);
    bad_arguments(option, text);
  }
  return number;
}

static inline void parse_cores(const char *text, int cores[2]) {
  int used = 0;
  if (sscanf(text, "%d,%d%n", &cores[0], &cores[1], &used) != 2 || text[used] != '\0' || cores[0] < 0 || cores[1] < 0 ||
      cores[0] > CORE_MAX || cores[1] > CORE_MAX)
    bad_arguments("--cores takes two core numbers, such as 0,1", text);
}

static inline struct options parse_options(int count, char **arguments) {
  struct options options = {0, 0, 0, {-1, -1}, "spin", "leasehold-bench"};
  for (int index = 1; index < count; index += 2) {
    const char *option = arguments[index];
    const char *value = index + 1 < count ? arguments[index + 1] : "";
    if (strcmp(option, "--payload") == 0) options.payload_bytes = (size_t)whole_number(option, value, 1, PAYLOAD_BYTES_MAX);
    else if (strcmp(option, "--round-trips") == 0) options.round_trips = whole_number(option, value, 1, ROUND_TRIPS_MAX);
    else if (strcmp(option, "--warm-up") == 0) options.warm_up = whole_number(option, value, 0, ROUND_TRIPS_MAX);
    else if (strcmp(option, "--cores") == 0) parse_cores(value, options.cores);
    else if (strcmp(option, "--wait") == 0) options.wait = value;
    else if (strcmp(option, "--name") == 0) options.name = value;
    else bad_arguments("unknown option", option);
  }
  if (options.payload_bytes == 0) bad_arguments("--payload", "is missing");
  if (options.round_trips == 0) bad_arguments("--round-trips", "is missing");
  return options;
}

/* A program must not outlive the one that reads what it prints. */
static inline void end_with(pid_t parent, int signal) {
  if (prctl(PR_SET_PDEATHSIG, signal) != 0 || getppid() != parent) exit(EXIT_WRONG);
}

static inline void pin_to(int core) {
  if (core < 0) return;
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(core, &cores);
  if (sched_setaffinity(0, sizeof cores, &cores) == 0) return;
  fprintf(stderr, "core %d: %s\n", core, strerror(errno));
  exit(EXIT_BAD_ARGUMENTS);
}

static inline uint64_t monotonic_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The two sides mark differently: a side that sees its own bytes again is found out. */
static inline unsigned char ping_mark(uint64_t round_trip) { return (unsigned char)round_trip; }
static inline unsigned char pong_mark(uint64_t round_trip) { return (unsigned char)(round_trip + 128); }

static inline void mark(unsigned char *payload, size_t bytes, unsigned char with) {
  payload[0] = with;
  payload[bytes - 1] = with;
}

static inline void check_mark(const unsigned char *payload, size_t bytes, unsigned char expected) {
  if (payload[0] == expected && payload[bytes - 1] == expected) return;
  fprintf(stderr, "a payload of %zu bytes arrived with the marks %u and %u, not %u\n", bytes, payload[0], payload[bytes - 1], expected);
  exit(EXIT_WRONG);
}

/* Written through before the clock runs: no page of it is missing then. */
static inline uint64_t *new_samples(long count) {
  uint64_t *samples = (uint64_t *)malloc((size_t)count * sizeof *samples);
  if (samples == NULL) {
    fprintf(stderr, "no memory for %ld samples\n", count);
    exit(EXIT_WRONG);
  }
  memset(samples, 0xff, (size_t)count * sizeof *samples);
  return samples;
}

static inline void print_result(const char *settings, const uint64_t *samples, long count) {
  printf("{ \"settings\": \"%s\", \"roundTripNs\": [", settings);
  for (long index = 0; index < count; index += 1) printf("%s%llu", index == 0 ? "" : ",", (unsigned long long)samples[index]);
  printf("] }\n");
  if (fflush(stdout) != 0) exit(EXIT_WRONG);
}

#endif
