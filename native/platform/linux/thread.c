/*
 * thread.c - a lock that works in signal handlers, a bell, and threads, on Linux.
 */
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "platform/platform.h"

/* 0 free, 1 held, 2 held and awaited: Drepper, "Futexes Are Tricky", mutex 2. Those who wait
 * sleep, so a holder that was preempted is never kept from running by them. */
void platform_lock_take(struct platform_lock *lock) {
  uint32_t expected = 0;
  if (atomic_compare_exchange_strong(&lock->word, &expected, 1)) return;
  while (atomic_exchange(&lock->word, 2) != 0) {
    syscall(SYS_futex, &lock->word, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
  }
}

void platform_lock_drop(struct platform_lock *lock) {
  if (atomic_exchange(&lock->word, 0) == 2) {
    syscall(SYS_futex, &lock->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
  }
}

void platform_yield(void) { sched_yield(); }

void platform_sleep_ms(unsigned milliseconds) {
  struct timespec time = {milliseconds / 1000, (long)(milliseconds % 1000) * 1000000};
  nanosleep(&time, NULL);
}

int64_t platform_thread(void) { return syscall(SYS_gettid); }

int platform_thread_start(void *(*run)(void *), void *argument) {
  pthread_attr_t attributes;
  pthread_t thread;
  sigset_t all, before;
  sigfillset(&all);
  sigdelset(&all, SIGBUS);
  sigdelset(&all, SIGSEGV);
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  /* No deep frames here: less than the 8 MiB that are usual, which count under RLIMIT_AS. */
  pthread_attr_setstacksize(&attributes, (size_t)256 << 10);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(&thread, &attributes, run, argument);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return error ? memmap_failure(MEMMAP_CALL_PTHREAD_CREATE, error) : 0;
}

int platform_bell_make(void) {
  int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return fd < 0 ? memmap_failure(MEMMAP_CALL_EVENTFD, errno) : fd;
}

void platform_bell_ring(int bell) {
  uint64_t one = 1;
  ssize_t written = write(bell, &one, sizeof(one));
  (void)written;
}

void platform_bell_await(int bell) {
  struct pollfd waiting = {.fd = bell, .events = POLLIN};
  uint64_t count;
  while (poll(&waiting, 1, -1) < 0 && errno == EINTR) continue;
  ssize_t got = read(bell, &count, sizeof(count));
  (void)got;
}
