/*
 * inspect.c - page cache and page tables on Linux. The headers of older systems lack all of this,
 * so numbers and layouts stand here, each with the kernel header that defines it; whether the
 * running kernel has it is found out by asking.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "platform/platform.h"

/* include/uapi/asm-generic/unistd.h */
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434 /* Linux 5.3 */
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise 440 /* Linux 5.10 */
#endif
#ifndef SYS_cachestat
#define SYS_cachestat 451 /* Linux 6.5 */
#endif
/* include/uapi/asm-generic/mman-common.h */
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21 /* Linux 5.4 */
#endif

/* include/uapi/linux/mman.h */
struct kernel_cachestat_range { uint64_t offset, length; };
struct kernel_cachestat { uint64_t cached, dirty, writeback, evicted, recently_evicted; };

/* include/uapi/linux/fs.h, Linux 6.7; the categories are those of memmap.h */
struct kernel_scan {
  uint64_t size, flags, start, end, walk_end, vector, vector_length, max_pages;
  uint64_t category_inverted, category_mask, category_any_of_mask, return_mask;
};
#define KERNEL_PAGEMAP_SCAN _IOWR('f', 16, struct kernel_scan)
enum { SCAN_WRITE_PROTECT_MATCHING = 1 << 0, SCAN_CHECK_WRITE_PROTECT = 1 << 1 };

/* include/uapi/linux/userfaultfd.h */
struct kernel_fault_api { uint64_t api, features, ioctls; };
struct kernel_fault_range { uint64_t start, length; };
struct kernel_fault_register { struct kernel_fault_range range; uint64_t mode, ioctls; };
struct kernel_fault_protect { struct kernel_fault_range range; uint64_t mode; };
#define KERNEL_FAULT_API _IOWR(0xAA, 0x3F, struct kernel_fault_api)
#define KERNEL_FAULT_REGISTER _IOWR(0xAA, 0x00, struct kernel_fault_register)
#define KERNEL_FAULT_PROTECT _IOWR(0xAA, 0x06, struct kernel_fault_protect)
#define KERNEL_FAULT_VERSION ((uint64_t)0xAA)
enum {
  FAULT_FEATURE_UNPOPULATED = 1 << 13, /* Linux 6.4: also pages that are not there yet */
  FAULT_FEATURE_ASYNC = 1 << 15,       /* Linux 6.7: the kernel notes a store and goes on */
  FAULT_REGISTER_WRITE_PROTECT = 1 << 1,
  FAULT_PROTECT = 1 << 0,
  FAULT_USER_MODE_ONLY = 1, /* Linux 5.11: what a user without privileges may have */
};

int platform_cache_state(int fd, uint64_t offset, uint64_t length,
                         struct memmap_cache_state *state) {
  struct kernel_cachestat_range range = {offset, length};
  struct kernel_cachestat answer = {0};
  if (syscall(SYS_cachestat, fd, &range, &answer, 0) != 0) {
    return memmap_failure(MEMMAP_CALL_CACHESTAT, errno);
  }
  *state = (struct memmap_cache_state){answer.cached, answer.dirty, answer.writeback,
                                       answer.evicted, answer.recently_evicted};
  return 0;
}

int platform_open_page_table(void) {
  int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  return fd < 0 ? memmap_failure(MEMMAP_CALL_OPEN, errno) : fd;
}

int platform_scan_pages(int fd, struct memmap_page_scan *scan, bool check, bool reset,
                        struct memmap_page_run *runs, size_t capacity) {
  struct kernel_scan arguments = {
      .size = sizeof(arguments),
      .flags = (check ? SCAN_CHECK_WRITE_PROTECT : 0u) | (reset ? SCAN_WRITE_PROTECT_MATCHING : 0u),
      .start = scan->start,
      .end = scan->end,
      .vector = (uintptr_t)runs,
      .vector_length = capacity,
      .category_inverted = scan->inverted,
      .category_mask = scan->required,
      .category_any_of_mask = scan->any_of,
      .return_mask = scan->wanted,
  };
  int found;
  do {
    found = ioctl(fd, KERNEL_PAGEMAP_SCAN, &arguments);
  } while (found < 0 && errno == EINTR);
  /* A kernel that does not know the request says ENOTTY. */
  if (found < 0) return memmap_failure(MEMMAP_CALL_IOCTL, errno == ENOTTY ? ENOSYS : errno);
  scan->scanned_end = arguments.walk_end;
  return found;
}

int64_t platform_page_out(int64_t process, uint64_t address, uint64_t length) {
  int fd = (int)syscall(SYS_pidfd_open, (pid_t)process, 0);
  if (fd < 0) return memmap_failure(MEMMAP_CALL_PIDFD_OPEN, errno);
  uint64_t done = 0;
  int failure = 0;
  while (done < length) {
    struct iovec range = {(void *)(uintptr_t)(address + done), (size_t)(length - done)};
    long advised = syscall(SYS_process_madvise, fd, &range, 1, MADV_PAGEOUT, 0);
    if (advised < 0 && errno == EINTR) continue;
    if (advised < 0 && done == 0) failure = memmap_failure(MEMMAP_CALL_PROCESS_MADVISE, errno);
    if (advised <= 0) break;
    done += (uint64_t)advised;
  }
  close(fd);
  return failure ? failure : (int64_t)done;
}

/* -- stores -------------------------------------------------------------------------------------- */

/* One descriptor for the process: a mapping can only be registered with one. It stays open as
 * long as the process, because closing it ends every watch. */
static pthread_once_t watcher_once = PTHREAD_ONCE_INIT;
static int watcher;

static void open_watcher(void) {
  int flags = O_CLOEXEC | O_NONBLOCK | FAULT_USER_MODE_ONLY;
  int fd = (int)syscall(SYS_userfaultfd, flags);
  if (fd < 0 && errno == EINVAL) fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    watcher = memmap_failure(MEMMAP_CALL_USERFAULTFD, errno);
    return;
  }
  struct kernel_fault_api api = {
      .api = KERNEL_FAULT_VERSION,
      .features = FAULT_FEATURE_UNPOPULATED | FAULT_FEATURE_ASYNC,
  };
  watcher = fd;
  if (ioctl(fd, KERNEL_FAULT_API, &api) == 0) return;
  /* EINVAL: a feature that this kernel does not have. */
  watcher = memmap_failure(MEMMAP_CALL_USERFAULTFD, errno == EINVAL ? ENOSYS : errno);
  close(fd);
}

int platform_watch_writes(uintptr_t address, size_t length) {
  pthread_once(&watcher_once, open_watcher);
  if (watcher < 0) return watcher;
  struct kernel_fault_register request = {
      .range = {address, length},
      .mode = FAULT_REGISTER_WRITE_PROTECT,
  };
  if (ioctl(watcher, KERNEL_FAULT_REGISTER, &request) != 0) {
    return memmap_failure(MEMMAP_CALL_USERFAULTFD, errno);
  }
  struct kernel_fault_protect protect = {.range = {address, length}, .mode = FAULT_PROTECT};
  if (ioctl(watcher, KERNEL_FAULT_PROTECT, &protect) != 0) {
    return memmap_failure(MEMMAP_CALL_USERFAULTFD, errno);
  }
  return 0;
}
