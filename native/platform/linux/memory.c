/*
 * memory.c - mappings on Linux. All but platform_poke are plain system calls and may be used in a
 * signal handler.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "platform/platform.h"

/* include/uapi/linux/mman.h and include/uapi/asm-generic/mman-common.h; absent from older libc. */
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4 /* Linux 5.7; for all mappings 5.13 */
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000 /* Linux 4.17 */
#endif
#ifndef MADV_COLD
#define MADV_COLD 20 /* Linux 5.4 */
#define MADV_PAGEOUT 21
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14 */
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1 /* Linux 4.4 */
#endif

static size_t page_bytes;

size_t platform_page_bytes(void) {
  if (!page_bytes) page_bytes = (size_t)sysconf(_SC_PAGESIZE);
  return page_bytes;
}

static int answer(enum memmap_call_name call, int result) {
  return result == 0 ? 0 : memmap_failure(call, errno);
}

static int protection_bits(enum memmap_access protection) {
  if (protection == MEMMAP_NONE) return PROT_NONE;
  return protection == MEMMAP_READ ? PROT_READ : PROT_READ | PROT_WRITE;
}

int platform_map(uintptr_t *address, size_t length, enum memmap_access protection, unsigned flags,
                 unsigned huge_shift, int fd, uint64_t offset) {
  int bits = flags & PLATFORM_SHARED ? MAP_SHARED : MAP_PRIVATE;
  if (fd < 0) bits |= MAP_ANONYMOUS;
  if (flags & PLATFORM_FIXED) bits |= MAP_FIXED;
  if (flags & PLATFORM_NOREPLACE) bits |= MAP_FIXED_NOREPLACE;
  if (flags & PLATFORM_NORESERVE) bits |= MAP_NORESERVE;
  if (huge_shift) bits |= MAP_HUGETLB | (int)(huge_shift << MAP_HUGE_SHIFT);
  void *wanted = (void *)*address;
  void *result = mmap(wanted, length, protection_bits(protection), bits, fd, (off_t)offset);
  if (result == MAP_FAILED) return memmap_failure(MEMMAP_CALL_MMAP, errno);
  if (flags & PLATFORM_NOREPLACE && result != wanted) {
    /* A kernel before 4.17 takes the address as a wish. */
    munmap(result, length);
    return memmap_failure(MEMMAP_CALL_MMAP, EEXIST);
  }
  *address = (uintptr_t)result;
  return 0;
}

int platform_unmap(uintptr_t address, size_t length) {
  return answer(MEMMAP_CALL_MUNMAP, munmap((void *)address, length));
}

int platform_protect(uintptr_t address, size_t length, enum memmap_access protection) {
  return answer(MEMMAP_CALL_MPROTECT,
                mprotect((void *)address, length, protection_bits(protection)));
}

int platform_move(uintptr_t source, size_t length, uintptr_t target, bool keep) {
  int flags = MREMAP_MAYMOVE | MREMAP_FIXED | (keep ? MREMAP_DONTUNMAP : 0);
  void *result = mremap((void *)source, length, length, flags, (void *)target);
  return result == MAP_FAILED ? memmap_failure(MEMMAP_CALL_MREMAP, errno) : 0;
}

int platform_poke(uintptr_t target, const void *source, size_t length) {
  /* The kernel writes through /proc/self/mem whatever the protection is (FOLL_FORCE). */
  int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t written = 0;
  for (size_t done = 0; done < length; done += (size_t)written) {
    written = pwrite(fd, (const char *)source + done, length - done, (off_t)(target + done));
    if (written <= 0) break;
  }
  close(fd);
  return written > 0 || length == 0 ? 0 : 1;
}

int platform_sync(uintptr_t address, size_t length, enum memmap_sync mode, bool invalidate) {
  int flags = mode == MEMMAP_SYNC ? MS_SYNC : mode == MEMMAP_ASYNC ? MS_ASYNC : 0;
  if (invalidate) flags |= MS_INVALIDATE;
  return answer(MEMMAP_CALL_MSYNC, msync((void *)address, length, flags));
}

int platform_advise(uintptr_t address, size_t length, enum memmap_advice advice) {
  static const int advices[] = {
    [MEMMAP_NORMAL] = MADV_NORMAL, [MEMMAP_RANDOM] = MADV_RANDOM,
    [MEMMAP_SEQUENTIAL] = MADV_SEQUENTIAL, [MEMMAP_WILLNEED] = MADV_WILLNEED,
    [MEMMAP_HUGEPAGE] = MADV_HUGEPAGE, [MEMMAP_NOHUGEPAGE] = MADV_NOHUGEPAGE,
    [MEMMAP_COLD] = MADV_COLD, [MEMMAP_PAGEOUT] = MADV_PAGEOUT,
    [MEMMAP_DONTFORK] = MADV_DONTFORK, [MEMMAP_DOFORK] = MADV_DOFORK,
    [MEMMAP_DONTDUMP] = MADV_DONTDUMP, [MEMMAP_DODUMP] = MADV_DODUMP,
    [MEMMAP_MERGEABLE] = MADV_MERGEABLE, [MEMMAP_UNMERGEABLE] = MADV_UNMERGEABLE,
    [MEMMAP_DONTNEED] = MADV_DONTNEED, [MEMMAP_FREE] = MADV_FREE, [MEMMAP_REMOVE] = MADV_REMOVE,
    [MEMMAP_POPULATE_READ] = MADV_POPULATE_READ, [MEMMAP_POPULATE_WRITE] = MADV_POPULATE_WRITE,
  };
  return answer(MEMMAP_CALL_MADVISE, madvise((void *)address, length, advices[advice]));
}

int platform_lock(uintptr_t address, size_t length, bool on_fault) {
  return answer(MEMMAP_CALL_MLOCK,
                mlock2((void *)address, length, on_fault ? MLOCK_ONFAULT : 0));
}

int platform_unlock(uintptr_t address, size_t length) {
  return answer(MEMMAP_CALL_MUNLOCK, munlock((void *)address, length));
}

int platform_unlock_all(void) { return answer(MEMMAP_CALL_MUNLOCKALL, munlockall()); }

int64_t platform_mappings(void) {
  int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char piece[1 << 14];
  int64_t lines = 0;
  for (ssize_t got; (got = read(fd, piece, sizeof(piece))) > 0;) {
    for (ssize_t i = 0; i < got; i++) lines += piece[i] == '\n';
  }
  close(fd);
  return lines;
}

int64_t platform_mappings_max(void) {
  char text[32] = "";
  int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t got = read(fd, text, sizeof(text) - 1);
  close(fd);
  return got > 0 ? strtoll(text, NULL, 10) : 0;
}

uintptr_t platform_heap_end(void) {
  uintptr_t end = (uintptr_t)sbrk(0), page = platform_page_bytes();
  return (end + page - 1) / page * page;
}

int platform_resident(uintptr_t address, size_t length, unsigned char *pages) {
  return answer(MEMMAP_CALL_MINCORE, mincore((void *)address, length, pages));
}
