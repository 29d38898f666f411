/*
 * file.c - files, devices and memory objects on Linux.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "platform/platform.h"

/* include/uapi/linux/memfd.h */
#ifndef MFD_HUGE_SHIFT
#define MFD_HUGE_SHIFT 26
#endif
#ifndef MFD_HUGETLB
#define MFD_HUGETLB 4U
#endif

static int answer(enum memmap_call_name call, int result) {
  return result == 0 ? 0 : memmap_failure(call, errno);
}

static int try_open(const char *path, int flags) {
  int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666);
  return fd < 0 ? memmap_failure(MEMMAP_CALL_OPEN, errno) : fd;
}

int platform_open(const char *path, bool write, bool create, bool *created) {
  int flags = write ? O_RDWR : O_RDONLY;
  *created = false;
  int fd = try_open(path, flags);
  if (fd < 0 && create && memmap_errno(fd) == ENOENT) {
    fd = try_open(path, flags | O_CREAT | O_EXCL);
    *created = fd >= 0;
    /* Made by others meanwhile, or a link to a file that is still to be made. */
    if (fd < 0 && memmap_errno(fd) == EEXIST) fd = try_open(path, flags | O_CREAT);
  }
  if (fd >= 0) return fd;
  /* Directories and sockets cannot be opened so, but looked at, to say what they are. */
  int error = memmap_errno(fd);
  struct stat status;
  if ((error != EISDIR && error != ENXIO) || stat(path, &status) != 0) return fd;
  if (!S_ISDIR(status.st_mode) && !S_ISSOCK(status.st_mode)) return fd;
  int looked = open(path, O_PATH | O_CLOEXEC);
  return looked < 0 ? fd : looked;
}

int platform_duplicate(int fd) {
  int duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  return duplicate < 0 ? memmap_failure(MEMMAP_CALL_FCNTL, errno) : duplicate;
}

void platform_close(int fd) { close(fd); }
void platform_unlink(const char *path) { unlink(path); }

static int kind_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG: return MEMMAP_OBJECT_FILE;
    case S_IFCHR: return MEMMAP_OBJECT_CHARACTER_DEVICE;
    case S_IFBLK: return MEMMAP_OBJECT_BLOCK_DEVICE;
    case S_IFDIR: return MEMMAP_OBJECT_DIRECTORY;
    case S_IFIFO: return MEMMAP_OBJECT_PIPE;
    case S_IFSOCK: return MEMMAP_OBJECT_SOCKET;
    default: return MEMMAP_OBJECT_OTHER;
  }
}

int platform_look(int fd, struct platform_look *look) {
  struct stat status;
  look->page_bytes = platform_page_bytes();
  if (fstat(fd, &status) != 0) return memmap_failure(MEMMAP_CALL_FSTAT, errno);
  look->kind = kind_of(status.st_mode);
  look->size_bytes = (uint64_t)status.st_size;
  if (look->kind == MEMMAP_OBJECT_BLOCK_DEVICE &&
      ioctl(fd, BLKGETSIZE64, &look->size_bytes) != 0) {
    return memmap_failure(MEMMAP_CALL_IOCTL, errno);
  }
  /* The files of a hugetlbfs say so by their block size, which is their page. */
  struct statfs system;
  if (look->kind == MEMMAP_OBJECT_FILE && (uint64_t)status.st_blksize > look->page_bytes &&
      status.st_blksize >= 1 << 20 && fstatfs(fd, &system) == 0 &&
      system.f_type == HUGETLBFS_MAGIC) {
    look->page_bytes = (uint64_t)status.st_blksize;
  }
  return 0;
}

int64_t platform_read(int fd, void *target, size_t length) {
  ssize_t count;
  do {
    count = read(fd, target, length);
  } while (count < 0 && errno == EINTR);
  return count < 0 ? memmap_failure(MEMMAP_CALL_READ, errno) : count;
}

int64_t platform_size(int fd) {
  struct stat status;
  if (fstat(fd, &status) != 0) return memmap_failure(MEMMAP_CALL_FSTAT, errno);
  if (!S_ISBLK(status.st_mode)) return status.st_size;
  uint64_t size;
  if (ioctl(fd, BLKGETSIZE64, &size) != 0) return memmap_failure(MEMMAP_CALL_IOCTL, errno);
  return (int64_t)size;
}

bool platform_path(int fd, char *path, size_t path_bytes) {
  char link[32];
  if (fd < 0) return false;
  snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, path_bytes - 1);
  if (length <= 0) return false;
  path[length] = '\0';
  return true;
}

static int64_t nanoseconds(struct timespec time) {
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int platform_identify(int fd, struct memmap_identity *identity) {
  struct stat status;
  if (fstat(fd, &status) != 0) return memmap_failure(MEMMAP_CALL_FSTAT, errno);
  identity->inode = (uint64_t)status.st_ino;
  identity->size_bytes = (uint64_t)status.st_size;
  identity->modified_ns = nanoseconds(status.st_mtim);
  identity->changed_ns = nanoseconds(status.st_ctim);
  return 0;
}

/* A file that would grow beyond RLIMIT_FSIZE is EFBIG and a SIGXFSZ, which ends a process that does
 * not ignore it; Node.js does, Deno does not. So it is kept from the thread for the call. */
static sigset_t hold_size_signal(void) {
  sigset_t signal, before;
  sigemptyset(&signal);
  sigaddset(&signal, SIGXFSZ);
  pthread_sigmask(SIG_BLOCK, &signal, &before);
  return before;
}

/* Keeps errno. */
static void release_size_signal(const sigset_t *before) {
  int error = errno;
  if (!sigismember(before, SIGXFSZ)) {
    sigset_t signal;
    sigemptyset(&signal);
    sigaddset(&signal, SIGXFSZ);
    if (error == EFBIG) sigtimedwait(&signal, NULL, &(struct timespec){0});
    pthread_sigmask(SIG_UNBLOCK, &signal, NULL);
  }
  errno = error;
}

/* Where blocks cannot be allocated, zeros in them are the same promise. */
static int write_zeros(int fd, uint64_t offset, uint64_t length) {
  static const char zeros[1 << 16];
  while (length) {
    size_t part = length < sizeof(zeros) ? (size_t)length : sizeof(zeros);
    sigset_t before = hold_size_signal();
    ssize_t written = pwrite(fd, zeros, part, (off_t)offset);
    release_size_signal(&before);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return memmap_failure(MEMMAP_CALL_PWRITE, errno);
    offset += (uint64_t)written;
    length -= (uint64_t)written;
  }
  return 0;
}

int platform_allocate(int fd, uint64_t offset, uint64_t length) {
  int result;
  sigset_t before = hold_size_signal();
  do {
    result = fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length);
  } while (result != 0 && errno == EINTR);
  release_size_signal(&before);
  if (result == 0) return 0;
  if (errno != EOPNOTSUPP && errno != ENOSYS) {
    return memmap_failure(MEMMAP_CALL_FALLOCATE, errno);
  }
  result = write_zeros(fd, offset, length);
  return result ? result : 1;
}

int platform_extend(int fd, uint64_t from, uint64_t to) {
  int result;
  sigset_t before = hold_size_signal();
  /* Not ftruncate, which would cut a file that somebody else has grown further meanwhile. */
  do {
    result = fallocate(fd, 0, (off_t)from, (off_t)(to - from));
  } while (result != 0 && errno == EINTR);
  release_size_signal(&before);
  if (result == 0) return 0;
  if (errno != EOPNOTSUPP && errno != ENOSYS) {
    return memmap_failure(MEMMAP_CALL_FALLOCATE, errno);
  }
  int64_t size = platform_size(fd);
  if (size < 0) return (int)size;
  return (uint64_t)size < to ? platform_resize(fd, to) : 0;
}

int platform_resize(int fd, uint64_t size) {
  int result;
  sigset_t before = hold_size_signal();
  do {
    result = ftruncate(fd, (off_t)size);
  } while (result != 0 && errno == EINTR);
  release_size_signal(&before);
  return answer(MEMMAP_CALL_FTRUNCATE, result);
}

int platform_punch(int fd, uint64_t offset, uint64_t length) {
  return answer(MEMMAP_CALL_FALLOCATE,
                fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
                          (off_t)length));
}

int platform_write_back(int fd, uint64_t offset, uint64_t length) {
  return answer(MEMMAP_CALL_SYNC_FILE_RANGE,
                sync_file_range(fd, (off_t)offset, (off_t)length,
                                SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                                    SYNC_FILE_RANGE_WAIT_AFTER));
}

int platform_drop_cache(int fd, uint64_t offset, uint64_t length) {
  int error = posix_fadvise(fd, (off_t)offset, (off_t)length, POSIX_FADV_DONTNEED);
  return error ? memmap_failure(MEMMAP_CALL_POSIX_FADVISE, error) : 0;
}

int platform_memory_object(uint64_t size, unsigned huge_shift) {
  unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  if (huge_shift) flags |= MFD_HUGETLB | huge_shift << MFD_HUGE_SHIFT;
  int fd = memfd_create("memmap", flags);
  if (fd < 0) return memmap_failure(MEMMAP_CALL_MEMFD_CREATE, errno);
  int result = platform_resize(fd, size);
  if (result == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) != 0) {
    result = memmap_failure(MEMMAP_CALL_FCNTL, errno);
  }
  if (result) close(fd);
  return result ? result : fd;
}

/* mm/mincore.c, can_do_mincore: the owner, who may act as the owner, and who may write. */
static bool has_fowner(void) {
  FILE *status = fopen("/proc/self/status", "re");
  if (!status) return false;
  char line[256];
  unsigned long long capabilities = 0;
  while (fgets(line, sizeof(line), status)) {
    if (strncmp(line, "CapEff:", 7) == 0) capabilities = strtoull(line + 7, NULL, 16);
  }
  fclose(status);
  const unsigned cap_fowner = 3; /* include/uapi/linux/capability.h */
  return capabilities >> cap_fowner & 1;
}

bool platform_may_see_cache(int fd) {
  struct stat status;
  if (fstat(fd, &status) != 0) return false;
  if (status.st_uid == geteuid()) return true;
  char path[32];
  snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
  return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0 || has_fowner();
}
