/*
 * check.h - assertions, cases, children and chance, for the tests of the engine.
 *
 * A test file is a table of cases. Each case runs in a process of its own: a crash or a hang fails
 * that case and not the file, and no case sees what another has left in the engine's globals. The
 * last line of the output is "N passed, N failed, N skipped".
 *
 *   MEMMAP_TEST_SEED=7 ./registry.test     the same random choices again
 *   ./fault.test disk                      only the cases whose name contains "disk"
 */
#ifndef MEMMAP_TEST_CHECK_H
#define MEMMAP_TEST_CHECK_H

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Far above what any case needs; only what hangs is killed. */
enum { CHECK_SECONDS = 60, CHECK_SKIPPED = 77 };

/* -- assertions -------------------------------------------------------------------------------- */

#define CHECK(expression) ((expression) ? (void)0 : check_failed(__FILE__, __LINE__, #expression))
#define CHECK_EQUAL(actual, expected) \
  check_equal((int64_t)(actual), (int64_t)(expected), __FILE__, __LINE__, #actual " == " #expected)

/* What a check that fails says besides. */
static char check_note[80];

/* Ends the process at once: other threads may be running, and exit would have the sanitizers
 * look for leaks. */
_Noreturn static inline void check_failed(const char *file, int line, const char *expression) {
  printf("    %s:%d: %s%s\n", file, line, expression, check_note);
  fflush(stdout);
  _exit(1);
}

static inline void check_equal(int64_t actual, int64_t expected, const char *file, int line,
                               const char *expression) {
  if (actual == expected) return;
  printf("    %" PRId64 " instead of %" PRId64 "\n", actual, expected);
  check_failed(file, line, expression);
}

_Noreturn static inline void check_skip(const char *reason) {
  printf("    %s\n", reason);
  fflush(stdout);
  _exit(CHECK_SKIPPED);
}

/* -- chance ------------------------------------------------------------------------------------ */

/* Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled", 2016:
 * xorshift64*. Threads have a state each. */
static inline uint64_t random_from(uint64_t *state) {
  *state ^= *state >> 12;
  *state ^= *state << 25;
  *state ^= *state >> 27;
  return *state * 0x2545f4914f6cdd1dull;
}

static uint64_t check_state;

static inline uint64_t random_below(uint64_t limit) {
  return (random_from(&check_state) >> 16) % limit;
}

/* Never 0, which xorshift cannot leave. */
static inline uint64_t random_seed(void) { return random_from(&check_state) | 1; }

/* -- children ---------------------------------------------------------------------------------- */

static volatile pid_t check_child;

static inline void check_watchdog(int signal) {
  (void)signal;
  kill(check_child, SIGKILL);
}

/* Runs a function in a child. Returns its exit code, or minus the signal that killed it; SIGKILL
 * is what the watchdog sends. */
static inline int in_child(void (*run)(void)) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    run();
    exit(0);
  }
  int status = 0;
  check_child = child;
  signal(SIGALRM, check_watchdog);
  alarm(CHECK_SECONDS);
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  alarm(0);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* -- cases ------------------------------------------------------------------------------------- */

struct check_case {
  const char *name;
  void (*run)(void);
};

static inline double check_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static inline int check_main(int argc, char **argv, const struct check_case *cases, size_t count) {
  const char *seed = getenv("MEMMAP_TEST_SEED");
  uint64_t number = seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
  int passed = 0, failed = 0, skipped = 0;
  setvbuf(stdout, NULL, _IOLBF, 0);
  setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
  printf("seed %" PRIu64 "\n", number);
  for (size_t i = 0; i < count; i++) {
    if (argc > 1 && !strstr(cases[i].name, argv[1])) continue;
    double start = check_seconds();
    check_state = number * 0x9e3779b97f4a7c15ull | 1;
    int end = in_child(cases[i].run);
    const char *how = end == 0 ? "ok" : end == CHECK_SKIPPED ? "skipped" : "FAILED";
    printf("  %-7s %s (%.1f s)", how, cases[i].name, check_seconds() - start);
    if (end == -SIGKILL) printf(": no end within %d s", CHECK_SECONDS);
    else if (end < 0) printf(": %s", strsignal(-end));
    else if (end > 1 && end != CHECK_SKIPPED) printf(": exit %d", end);
    printf("\n");
    passed += end == 0;
    skipped += end == CHECK_SKIPPED;
    failed += end != 0 && end != CHECK_SKIPPED;
  }
  printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
  return failed || passed + skipped == 0;
}

#define CHECK_MAIN(cases) \
  int main(int argc, char **argv) { \
    return check_main(argc, argv, cases, sizeof(cases) / sizeof(*(cases))); \
  }

#endif
