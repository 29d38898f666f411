/*
 * process.c - what there is once in a process: its page size, the handlers, the reporter.
 */
#include "core/process.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "memmap.h"
#include "platform/platform.h"

static void (*_Atomic fault_listener)(void);
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int initialized;

/* Handlers may only ring; this thread turns the ringing into a call. It lives as long as the
 * process: the addon is never unloaded. */
static void *report(void *argument) {
  int bell = (int)(intptr_t)argument;
  for (;;) {
    platform_bell_await(bell);
    /* The thread that faulted may have been preempted before its instruction ran again; pages that
     * are put back at once would make it fault again, and be told again. */
    platform_sleep_ms(1);
    void (*listener)(void) = atomic_load(&fault_listener);
    if (listener) listener();
  }
  return NULL;
}

static void start(void) {
  int bell = platform_bell_make();
  if (bell < 0) {
    initialized = bell;
    return;
  }
  initialized = platform_thread_start(report, (void *)(intptr_t)bell);
  if (initialized == 0) initialized = fault_handlers_start(bell);
}

int memmap_initialize(void) {
  pthread_once(&once, start);
  return initialized;
}

void memmap_on_fault(void (*listener)(void)) { atomic_store(&fault_listener, listener); }

size_t memmap_page_bytes(void) { return platform_page_bytes(); }

const char *memmap_call(int failure) {
  static const char *const names[] = {
    "", "close", "eventfd", "fallocate", "fcntl", "fstat", "ftruncate", "ioctl", "madvise",
    "malloc", "memfd_create", "mincore", "mlock", "mmap", "mprotect", "mremap",
    "msync", "munlock", "munlockall", "munmap", "open", "posix_fadvise", "pthread_create",
    "pwrite", "sigaction", "sync_file_range", "cachestat", "pidfd_open", "process_madvise",
    "userfaultfd", "read",
  };
  return names[(-failure >> 12) & 0x3f];
}
