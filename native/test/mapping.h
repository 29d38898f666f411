/*
 * mapping.h - what the tests of mappings share: files, mappings, and what the kernel says.
 */
#ifndef MEMMAP_TEST_MAPPING_H
#define MEMMAP_TEST_MAPPING_H

#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "check.h"
#include "memmap.h"

/* The bytes of so many pages. */
static inline size_t pages(size_t count) { return count * memmap_page_bytes(); }

/* The address as a number, which offsetof the null pointer and of foreign objects may be. */
static inline uintptr_t address_of(const volatile void *pointer) { return (uintptr_t)pointer; }

/* Accesses that the sanitizers leave alone and the compiler makes as they are written. */
#define UNCHECKED __attribute__((unused, noinline, no_sanitize("address", "undefined", "thread")))
UNCHECKED static uint8_t load(uintptr_t address) { return *(volatile uint8_t *)address; }
UNCHECKED static void store(uintptr_t address, uint8_t value) {
  *(volatile uint8_t *)address = value;
}

/* -- files ------------------------------------------------------------------------------------- */

static inline const char *temporary_directory(void) {
  const char *directory = getenv("TMPDIR");
  return directory ? directory : "/tmp";
}

/* Never 0, and another one in the same place of the next pages. */
static inline uint8_t content_at(uint64_t offset) {
  return (uint8_t)(1 + (offset * 7 + offset / 4096 * 13) % 127);
}

static inline void fill(int fd, uint64_t first, uint64_t end) {
  uint8_t block[4096];
  for (uint64_t at = first, part; at < end; at += part) {
    part = end - at < sizeof(block) ? end - at : sizeof(block);
    for (uint64_t i = 0; i < part; i++) block[i] = content_at(at + i);
    CHECK_EQUAL(pwrite(fd, block, part, (off_t)at), part);
  }
}

/* A file without a name, of that many bytes of content. */
static inline int make_file(uint64_t bytes) {
  char path[4096];
  snprintf(path, sizeof(path), "%s/memmap-test-XXXXXX", temporary_directory());
  int fd = mkstemp(path);
  CHECK(fd >= 0);
  unlink(path);
  fill(fd, 0, bytes);
  return fd;
}

static inline uint8_t file_byte(int fd, uint64_t offset) {
  uint8_t byte = 0;
  CHECK_EQUAL(pread(fd, &byte, 1, (off_t)offset), 1);
  return byte;
}

static inline struct stat look_at(int fd) {
  struct stat status;
  CHECK_EQUAL(fstat(fd, &status), 0);
  return status;
}

static inline void cut(int fd, uint64_t bytes) { CHECK_EQUAL(ftruncate(fd, (off_t)bytes), 0); }

/* The directory of a new tmpfs of that size, which ends with its last descriptor. */
static inline int make_small_tmpfs(const char *size) {
  char path[4096];
  snprintf(path, sizeof(path), "%s/memmap-test-XXXXXX", temporary_directory());
  CHECK(mkdtemp(path) != NULL);
  int mounted = mount("memmap-test", path, "tmpfs", 0, size);
  int directory = mounted == 0 ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  if (mounted == 0) CHECK_EQUAL(umount2(path, MNT_DETACH), 0);
  rmdir(path);
  if (mounted != 0) check_skip("only root can mount a tmpfs");
  CHECK(directory >= 0);
  return directory;
}

/* -- mappings ---------------------------------------------------------------------------------- */

struct mapping {
  memmap_region *region;
  struct memmap_facts facts;
  uintptr_t at; /* the address of its first byte */
};

/* What memmap_map answers, without a first advice. */
static inline int try_map(struct memmap_request request, struct mapping *mapping) {
  request.advice = -1;
  int result = memmap_map(&request, &mapping->region, &mapping->facts);
  mapping->at = result == 0 ? (uintptr_t)mapping->facts.address : 0;
  return result;
}

static inline struct mapping map(struct memmap_request request) {
  struct mapping mapping = {0};
  int result = try_map(request, &mapping);
  if (result < 0) printf("    %s: %s\n", memmap_call(result), strerror(memmap_errno(result)));
  CHECK_EQUAL(result, 0);
  return mapping;
}

static inline struct mapping map_file(int fd, enum memmap_access access) {
  return map((struct memmap_request){.fd = fd, .access = access, .length_bytes = -1});
}

static inline struct mapping map_memory(uint64_t bytes, uint32_t flags) {
  return map((struct memmap_request){
    .fd = -1, .access = MEMMAP_WRITE, .flags = flags, .length_bytes = (int64_t)bytes,
  });
}

static inline void fill_memory(const struct mapping *mapping) {
  for (uint64_t at = 0; at < mapping->facts.length_bytes; at++) {
    store(mapping->at + at, content_at(at));
  }
}

static inline void unmap(const struct mapping *mapping) {
  memmap_release_user(mapping->region, 0, 0);
}

/* Resizes and drops the closed region that the old addresses became. */
static inline int resize(struct mapping *mapping, uint64_t bytes) {
  memmap_region *former;
  int result = memmap_resize(mapping->region, bytes, &former, &mapping->facts);
  if (former) memmap_release_holder(former);
  mapping->at = (uintptr_t)mapping->facts.address;
  return result;
}

/* Puts back, and expects faults of one kind only, so many of them. Returns their record. */
static inline struct memmap_fault collect(const struct mapping *mapping,
                                          enum memmap_fault_kind kind, uint64_t count) {
  struct memmap_fault faults[MEMMAP_FAULT_KINDS];
  int kinds = memmap_collect(mapping->region, faults);
  for (int i = 0; i < MEMMAP_FAULT_KINDS; i++) {
    if (i != (int)kind) CHECK_EQUAL(faults[i].count, 0);
  }
  CHECK_EQUAL(faults[kind].count, count);
  CHECK_EQUAL(kinds, count > 0);
  CHECK(!memmap_has_faults(mapping->region, false));
  return faults[kind];
}

static inline void collect_nothing(const struct mapping *mapping) {
  collect(mapping, MEMMAP_FAULT_TRUNCATED, 0);
}

/* What can be done with a byte, found out without a fault and without a change. */
static inline enum memmap_access rights_at(const struct mapping *mapping, uint64_t offset) {
  uint8_t byte = 0;
  if (memmap_read(mapping->region, offset, &byte, 1).bytes == 0) return MEMMAP_NONE;
  return memmap_write(mapping->region, offset, &byte, 1).bytes ? MEMMAP_WRITE : MEMMAP_READ;
}

/* The first byte of a page. */
static inline uintptr_t page_at(const struct mapping *mapping, size_t page) {
  return mapping->at + pages(page);
}
static inline uint8_t content_of(size_t page) { return content_at(pages(page)); }

static inline void protect(const struct mapping *mapping, size_t first, size_t end,
                    enum memmap_access protection) {
  CHECK_EQUAL(memmap_protect(mapping->region, pages(first), pages(end - first), protection), 0);
}

static inline void check_rights(const struct mapping *mapping, size_t first, size_t end,
                         enum memmap_access rights) {
  for (size_t page = first; page < end; page++) {
    uint64_t stop;
    CHECK_EQUAL(rights_at(mapping, pages(page)), rights);
    CHECK_EQUAL(memmap_protection(mapping->region, pages(page), &stop), rights);
  }
}

/* -- what the kernel says ---------------------------------------------------------------------- */

/* The mappings of the process that touch [start, start + length), without those that libc may have
 * made. Allocates nothing: that could put a mapping there. */
static inline size_t count_maps_that(uintptr_t start, size_t length, bool are_not_of_libc) {
  static char text[1 << 16];
  size_t count = 0, held = 0;
  int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  CHECK(fd >= 0);
  for (ssize_t got; (got = read(fd, text + held, sizeof(text) - 1 - held)) > 0;) {
    held += (size_t)got;
    text[held] = '\0';
    char *line = text;
    for (char *newline; (newline = strchr(line, '\n')); line = newline + 1) {
      char *rest;
      uintptr_t first = strtoull(line, &rest, 16), end = strtoull(rest + 1, &rest, 16);
      bool is_of_libc = (strncmp(rest, " rw-p", 5) == 0 || strncmp(rest, " ---p", 5) == 0) &&
                        strncmp(rest + 5, " 00000000 00:00 0", 17) == 0;
      count += first < start + length && end > start && !(are_not_of_libc && is_of_libc);
    }
    held -= (size_t)(line - text);
    memmove(text, line, held);
  }
  close(fd);
  return count;
}

static inline size_t count_maps(uintptr_t start, size_t length) {
  return count_maps_that(start, length, false);
}

/* Whether nothing of a mapping is there any more. What libc and the sanitizers map for threads and
 * their memory, private and without a file, is put by the kernel wherever there is room. */
static inline bool is_gone(uintptr_t start, size_t length) {
  return count_maps_that(start, length, true) == 0;
}

static inline size_t count_maps_of(const struct mapping *mapping) {
  return count_maps(mapping->at, mapping->facts.length_bytes);
}

static inline size_t count_all_maps(void) { return count_maps(0, SIZE_MAX); }

/* Gives up what /proc/self/mem needs. */
static inline void drop_proc(void) {
  if (getuid() == 0) CHECK_EQUAL(setuid(65534), 0);
  CHECK_EQUAL(prctl(PR_SET_DUMPABLE, 0), 0);
  if (open("/proc/self/mem", O_RDWR | O_CLOEXEC) >= 0) check_skip("/proc/self/mem can be opened");
}

static inline size_t count_descriptors(void) {
  DIR *directory = opendir("/proc/self/fd");
  size_t count = 0;
  CHECK(directory != NULL);
  while (readdir(directory)) count++;
  closedir(directory);
  return count;
}

/* A number of /proc/self/status, like VmLck, in bytes. */
static inline size_t status_bytes(const char *name) {
  FILE *status = fopen("/proc/self/status", "re");
  char line[256];
  size_t bytes = 0, length = strlen(name);
  CHECK(status != NULL);
  while (fgets(line, sizeof(line), status)) {
    if (strncmp(line, name, length) == 0 && line[length] == ':') {
      bytes = (size_t)strtoull(line + length + 1, NULL, 10) << 10;
    }
  }
  fclose(status);
  return bytes;
}

#endif
