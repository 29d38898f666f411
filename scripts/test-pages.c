/*
 * test-pages.c - larger pages than the processor has, for test-pages.mjs; preloaded into node.
 *
 * The kernel's page is small (4 KiB) and MEMMAP_PAGE_BYTES is a multiple of it. Every call that
 * node, V8 or the addon makes through libc meets the rules of the larger page: sysconf names it,
 * what is not aligned to it is refused with EINVAL, lengths are rounded up to it, the kernel's own
 * choice of an address is a multiple of it, mincore answers once for each of it.
 *
 * qemu's own option -p is not that. It changes what sysconf says, but accepts whatever is aligned
 * to 4 KiB; it cannot map empty files, devices and what lies behind the end of a file; its mincore
 * answers for each small page, behind the end of the vector (all seen with qemu 7.2); and it has no
 * effect since qemu 9.
 *
 * The rest of the last large page of a file is zeros. The kernel knows of small pages only and
 * sends a SIGBUS there; we come before the handler of it and put zeros in. What stays different: they
 * stay when the file grows again.
 *
 * Only system calls: these functions are used in signal handlers.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>


static size_t page, small;
static long (*system_sysconf)(int name);
static int (*system_sigaction)(int signal, const struct sigaction *new, struct sigaction *old);
static struct sigaction bus; /* what the process wants to be done */
static int probe[2];         /* a pipe, to try loads with */

/* Before this runs, only the loader has mapped anything, and not through these functions. */
__attribute__((constructor)) static void start(void) {
  const char *wanted = getenv("MEMMAP_PAGE_BYTES");
  *(void **)&system_sysconf = dlsym(RTLD_NEXT, "sysconf");
  *(void **)&system_sigaction = dlsym(RTLD_NEXT, "sigaction");
  small = (size_t)system_sysconf(_SC_PAGESIZE);
  page = wanted ? strtoul(wanted, NULL, 10) : small;
  if (page < small || page % small != 0 || pipe2(probe, O_CLOEXEC | O_NONBLOCK) != 0) {
    dprintf(2, "test-pages: cannot make pages of %zu bytes from pages of %zu\n", page, small);
    _exit(1);
  }
  /* Programs of the real processor may be among the children. */
  unsetenv("LD_PRELOAD");
}

static size_t round_up(size_t length) { return (length + page - 1) / page * page; }

/* Says it aloud as well: an answer that nobody looks at must not hide a wrong page size. */
static bool is_aligned(const char *call, uintptr_t value) {
  if (value % page == 0) return true;
  dprintf(2, "test-pages: %s of %#zx, which is not a multiple of %zu\n", call, (size_t)value, page);
  errno = EINVAL;
  return false;
}

long sysconf(int name) { return name == _SC_PAGESIZE ? (long)page : system_sysconf(name); }
int getpagesize(void) { return (int)page; }

static void *system_mmap(void *address, size_t length, int protection, int flags, int fd,
                         off_t offset) {
  return (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
}

/* Reserves an aligned range; MAP_FAILED when there is none. */
static void *reserve(size_t length) {
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void *range = system_mmap(NULL, length + page, PROT_NONE, flags, -1, 0);
  if (range == MAP_FAILED) return range;
  uintptr_t first = (uintptr_t)range, start = round_up(first);
  if (start > first) syscall(SYS_munmap, first, start - first);
  syscall(SYS_munmap, start + length, first + page - start);
  return (void *)start;
}

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
  /* Huge pages have a size of their own, about which the kernel is strict itself. */
  if (flags & MAP_HUGETLB || length == 0)
    return system_mmap(address, length, protection, flags, fd, offset);
  if (!(flags & MAP_ANONYMOUS) && !is_aligned("mmap at offset", (uintptr_t)offset))
    return MAP_FAILED;
  length = round_up(length);
  if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
    /* Quietly: the address may be the user's, who is told. */
    if ((uintptr_t)address % page != 0) {
      errno = EINVAL;
      return MAP_FAILED;
    }
    void *result = system_mmap(address, length, protection, flags, fd, offset);
    if (result == MAP_FAILED || result == address) return result;
    /* qemu-user 7 takes MAP_FIXED_NOREPLACE for a wish; no kernel would answer so. */
    syscall(SYS_munmap, result, length);
    errno = EEXIST;
    return MAP_FAILED;
  }
  if (address) {
    void *wish = (void *)round_up((uintptr_t)address);
    void *result = system_mmap(wish, length, protection, flags, fd, offset);
    if (result == MAP_FAILED || (uintptr_t)result % page == 0) return result;
    syscall(SYS_munmap, result, length);
  }
  void *range = reserve(length);
  if (range == MAP_FAILED) return range;
  void *result = system_mmap(range, length, protection, flags | MAP_FIXED, fd, offset);
  int error = errno;
  if (result == MAP_FAILED) syscall(SYS_munmap, range, length);
  errno = error;
  return result;
}
void *mmap64(void *, size_t, int, int, int, off_t) __attribute__((alias("mmap")));

void *mremap(void *address, size_t length, size_t new_length, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  void *target = va_arg(rest, void *);
  va_end(rest);
  if (!is_aligned("mremap", (uintptr_t)address)) return MAP_FAILED;
  if (flags & MREMAP_FIXED && !is_aligned("mremap to", (uintptr_t)target)) return MAP_FAILED;
  length = round_up(length);
  new_length = round_up(new_length);
  if (flags & MREMAP_FIXED || !(flags & MREMAP_MAYMOVE) || new_length <= length)
    return (void *)syscall(SYS_mremap, address, length, new_length, flags, target);
  target = reserve(new_length);
  if (target == MAP_FAILED) return target;
  void *result =
      (void *)syscall(SYS_mremap, address, length, new_length, flags | MREMAP_FIXED, target);
  int error = errno;
  if (result == MAP_FAILED) syscall(SYS_munmap, target, new_length);
  errno = error;
  return result;
}

int munmap(void *address, size_t length) {
  if (!is_aligned("munmap", (uintptr_t)address)) return -1;
  return (int)syscall(SYS_munmap, address, round_up(length));
}

int mprotect(void *address, size_t length, int protection) {
  if (!is_aligned("mprotect", (uintptr_t)address)) return -1;
  return (int)syscall(SYS_mprotect, address, round_up(length), protection);
}

int madvise(void *address, size_t length, int advice) {
  if (!is_aligned("madvise", (uintptr_t)address)) return -1;
  return (int)syscall(SYS_madvise, address, round_up(length), advice);
}

int msync(void *address, size_t length, int flags) {
  if (!is_aligned("msync", (uintptr_t)address)) return -1;
  return (int)syscall(SYS_msync, address, round_up(length), flags);
}

/* mlock and its kin round outwards themselves, to whole pages. */
static void *whole_pages(const void *address, size_t *length) {
  uintptr_t start = (uintptr_t)address / page * page;
  *length = round_up((uintptr_t)address - start + *length);
  return (void *)start;
}

int mlock(const void *address, size_t length) {
  address = whole_pages(address, &length);
  return (int)syscall(SYS_mlock, address, length);
}

/* qemu has no mlock2: what is to be locked on fault is locked at once. */
int mlock2(const void *address, size_t length, unsigned flags) {
  void *start = whole_pages(address, &length);
  int result = (int)syscall(SYS_mlock2, start, length, flags);
  return result != 0 && errno == ENOSYS ? mlock(start, length) : result;
}

int munlock(const void *address, size_t length) {
  address = whole_pages(address, &length);
  return (int)syscall(SYS_munlock, address, length);
}

/* A page is there when any part of it is. */
int mincore(void *address, size_t length, unsigned char *vector) {
  if (!is_aligned("mincore", (uintptr_t)address)) return -1;
  for (size_t done = 0; done < round_up(length); done += page) {
    unsigned char is_there = 0;
    for (size_t part = 0; part < page; part += small) {
      unsigned char one;
      if (syscall(SYS_mincore, (char *)address + done + part, small, &one) != 0) return -1;
      is_there |= one & 1;
    }
    vector[done / page] = is_there;
  }
  return 0;
}

static bool can_load(uintptr_t address) {
  char byte;
  if (syscall(SYS_write, probe[1], address, 1) != 1) return false;
  syscall(SYS_read, probe[0], &byte, 1);
  return true;
}

static void on_bus(int signal, siginfo_t *info, void *context) {
  int error = errno;
  uintptr_t at = (uintptr_t)info->si_addr / small * small, start = at / page * page;
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  bool is_tail = info->si_code == BUS_ADRERR && at != start && can_load(start) &&
                 system_mmap((void *)at, small, PROT_READ | PROT_WRITE, flags, -1, 0) != MAP_FAILED;
  errno = error;
  if (is_tail) return;
  if (bus.sa_flags & SA_SIGINFO) bus.sa_sigaction(signal, info, context);
  else bus.sa_handler(signal);
}

int sigaction(int signal, const struct sigaction *new, struct sigaction *old) {
  if (signal != SIGBUS) return system_sigaction(signal, new, old);
  struct sigaction former = bus;
  if (new) {
    struct sigaction ours = *new;
    bool is_handler = new->sa_flags & SA_SIGINFO ||
                      (new->sa_handler != SIG_DFL && new->sa_handler != SIG_IGN);
    if (is_handler) ours.sa_sigaction = on_bus, ours.sa_flags |= SA_SIGINFO;
    bus = *new;
    if (system_sigaction(signal, &ours, NULL) != 0) return -1;
  }
  if (old) *old = former;
  return 0;
}
