/*
 * fault.test.c - every row of the table at the head of core/fault.c: what a page shows before and
 * after it was put back, what was counted, and that nothing else has changed.
 */
#include <linux/loop.h>
#include <sys/ioctl.h>

#include "mapping.h"

enum { PAGES = 8, JUNK = 0xee };

static struct mapping map_content(int *fd, enum memmap_access access) {
  *fd = make_file(pages(PAGES));
  return map_file(*fd, access);
}

static void check_pages(const struct mapping *mapping, size_t first, size_t end) {
  for (size_t page = first; page < end; page++) {
    CHECK_EQUAL(load(page_at(mapping, page)), content_of(page));
    CHECK_EQUAL(load(page_at(mapping, page + 1) - 1), content_at(pages(page + 1) - 1));
  }
}

static void check_file(int fd) {
  for (size_t page = 0; page < PAGES; page++) {
    CHECK_EQUAL(file_byte(fd, pages(page)), content_of(page));
  }
}

/* -- behind the end of the object -------------------------------------------------------------- */

static void truncated(void) {
  int fd;
  struct mapping mapping = map_content(&fd, MEMMAP_WRITE);
  size_t maps = count_maps_of(&mapping);
  cut(fd, pages(3) + 100);
  CHECK_EQUAL(load(page_at(&mapping, 3) + 99), content_at(pages(3) + 99));
  CHECK_EQUAL(load(page_at(&mapping, 3) + 100), 0); /* the rest of the last page: no fault */
  CHECK(!memmap_has_faults(mapping.region, false));
  CHECK_EQUAL(load(page_at(&mapping, 5) + 17), 0);
  CHECK(memmap_has_faults(mapping.region, false));
  store(page_at(&mapping, 6), JUNK); /* all behind the end was replaced at once */
  CHECK_EQUAL(load(page_at(&mapping, 6)), JUNK);
  fill(fd, 0, pages(PAGES));
  CHECK_EQUAL(load(page_at(&mapping, 5)), 0); /* not yet: it was not put back */
  check_pages(&mapping, 0, 4);
  struct memmap_fault fault = collect(&mapping, MEMMAP_FAULT_TRUNCATED, 1);
  CHECK(fault.address == page_at(&mapping, 5) + 17 && fault.access == MEMMAP_READ);
  CHECK_EQUAL(fault.offset_bytes, pages(5) + 17);
  CHECK(fault.thread == gettid() && fault.detail == BUS_ADRERR);
  check_pages(&mapping, 0, PAGES);
  check_file(fd);
  CHECK_EQUAL(count_maps_of(&mapping), maps);
  collect_nothing(&mapping);
}

static void truncated_store_and_again(void) {
  int fd;
  struct mapping mapping = map_content(&fd, MEMMAP_WRITE);
  cut(fd, 0);
  for (int round = 0; round < 3; round++) {
    store(page_at(&mapping, 0), JUNK);
    CHECK_EQUAL(load(page_at(&mapping, 0)), JUNK);
    CHECK_EQUAL(load(page_at(&mapping, PAGES - 1)), 0);
    struct memmap_fault fault = collect(&mapping, MEMMAP_FAULT_TRUNCATED, 1);
    CHECK(fault.address == mapping.at && fault.access == MEMMAP_WRITE);
  }
  CHECK_EQUAL(look_at(fd).st_size, 0);
  cut(fd, pages(PAGES));
  CHECK_EQUAL(load(page_at(&mapping, 0)), 0);
  collect_nothing(&mapping);
}

/* The offset counts from the first byte of the object, whatever the mapping starts with. */
static void truncated_with_offset(void) {
  int fd = make_file(pages(PAGES));
  struct mapping mapping = map((struct memmap_request){
    .fd = fd, .access = MEMMAP_READ, .offset_bytes = pages(2) + 123, .length_bytes = -1,
  });
  cut(fd, pages(4));
  CHECK_EQUAL(load(mapping.at + pages(2)), 0);
  struct memmap_fault fault = collect(&mapping, MEMMAP_FAULT_TRUNCATED, 1);
  CHECK_EQUAL(fault.offset_bytes, pages(4) + 123);
  CHECK_EQUAL(load(mapping.at), content_at(pages(2) + 123));
  collect_nothing(&mapping);
}

/* A store to a read-only page behind the end is two faults of the processor: the right first. */
static void check_store_behind_the_end(enum memmap_access access, enum memmap_access protection) {
  int fd;
  struct mapping mapping = map_content(&fd, access);
  protect(&mapping, 0, PAGES, protection);
  cut(fd, pages(3));
  store(page_at(&mapping, 5), JUNK);
  CHECK_EQUAL(load(page_at(&mapping, 7)), 0);
  CHECK(memmap_has_faults(mapping.region, false));
  fill(fd, 0, pages(PAGES));
  struct memmap_fault faults[MEMMAP_FAULT_KINDS];
  CHECK(memmap_collect(mapping.region, faults) > 0);
  protect(&mapping, 0, PAGES, MEMMAP_READ);
  check_pages(&mapping, 0, PAGES);
  check_file(fd);
  check_rights(&mapping, 0, PAGES, MEMMAP_READ);
  CHECK_EQUAL(count_maps_of(&mapping), 1);
  unmap(&mapping);
  close(fd);
}

static void store_behind_the_end_of_read_only(void) {
  check_store_behind_the_end(MEMMAP_READ, MEMMAP_READ);
}
static void store_behind_the_end_of_protected(void) {
  check_store_behind_the_end(MEMMAP_WRITE, MEMMAP_READ);
}
static void store_behind_the_end_of_copy(void) {
  check_store_behind_the_end(MEMMAP_COPY, MEMMAP_READ);
}
static void store_behind_the_end_without_access(void) {
  check_store_behind_the_end(MEMMAP_WRITE, MEMMAP_NONE);
  check_store_behind_the_end(MEMMAP_COPY, MEMMAP_NONE);
}

/* The file is cut while pages of it are replaced by what depends on it. */
static void check_cut_while_patched(enum memmap_access access) {
  int fd;
  struct mapping mapping = map_content(&fd, access);
  protect(&mapping, 0, PAGES, MEMMAP_READ);
  for (size_t page = 0; page < PAGES; page++) store(page_at(&mapping, page), JUNK);
  cut(fd, pages(2));
  for (size_t page = PAGES; page-- > 2;) CHECK_EQUAL(load(page_at(&mapping, page)), 0);
  CHECK_EQUAL(load(page_at(&mapping, 1)), JUNK);
  fill(fd, 0, pages(PAGES));
  struct memmap_fault faults[MEMMAP_FAULT_KINDS];
  CHECK_EQUAL(memmap_collect(mapping.region, faults), 2);
  CHECK(faults[MEMMAP_FAULT_READ_ONLY].count > 0 && faults[MEMMAP_FAULT_TRUNCATED].count > 0);
  check_pages(&mapping, access == MEMMAP_COPY ? 2 : 0, PAGES);
  check_rights(&mapping, 0, PAGES, MEMMAP_READ);
  check_file(fd);
  CHECK_EQUAL(count_maps_of(&mapping), 1);
  unmap(&mapping);
  close(fd);
}

static void cut_while_patched(void) { check_cut_while_patched(MEMMAP_READ); }
static void cut_while_patched_copy(void) { check_cut_while_patched(MEMMAP_COPY); }

/* -- stores to read-only pages ----------------------------------------------------------------- */

/* Pages [2, 6) are read-only; a store to page 3 and one to its neighbour. */
static void check_read_only(const struct mapping *mapping, int fd) {
  size_t maps = count_maps_of(mapping);
  for (int round = 0; round < 3; round++) {
    store(page_at(mapping, 3), JUNK);
    store(page_at(mapping, 3) + 1, JUNK);
    CHECK_EQUAL(load(page_at(mapping, 3)), JUNK);
    CHECK_EQUAL(load(page_at(mapping, 3) + 2), content_at(pages(3) + 2));
    CHECK_EQUAL(load(page_at(mapping, 2)), content_of(2));
    struct memmap_fault fault = collect(mapping, MEMMAP_FAULT_READ_ONLY, 1);
    CHECK(fault.address == page_at(mapping, 3) && fault.access == MEMMAP_WRITE);
    CHECK(fault.offset_bytes == pages(3) && fault.detail == SEGV_ACCERR);
    check_rights(mapping, 2, 6, MEMMAP_READ);
    check_pages(mapping, 0, PAGES);
    for (size_t page = 2; page < 6; page++) store(page_at(mapping, page), JUNK);
    struct memmap_fault faults[MEMMAP_FAULT_KINDS];
    CHECK_EQUAL(memmap_collect(mapping->region, faults), 1);
    CHECK(faults[MEMMAP_FAULT_READ_ONLY].count > 1);
    check_rights(mapping, 2, 6, MEMMAP_READ);
    check_pages(mapping, 0, PAGES);
    if (fd >= 0) check_file(fd);
    CHECK_EQUAL(count_maps_of(mapping), maps);
  }
}

static void read_only_shared(void) {
  int fd;
  struct mapping mapping = map_content(&fd, MEMMAP_READ);
  check_read_only(&mapping, fd);
  mapping = map_file(fd, MEMMAP_WRITE);
  protect(&mapping, 2, 6, MEMMAP_READ);
  check_read_only(&mapping, fd);
  check_rights(&mapping, 0, 2, MEMMAP_WRITE);
}

static struct mapping map_filled(uint32_t flags) {
  struct mapping mapping = map_memory(pages(PAGES), flags);
  fill_memory(&mapping);
  return mapping;
}

static void read_only_memory(void) {
  struct mapping mapping = map_filled(0);
  protect(&mapping, 2, 6, MEMMAP_READ);
  check_read_only(&mapping, -1);
  check_rights(&mapping, 0, 2, MEMMAP_WRITE);
}

static void read_only_memory_object(void) {
  struct mapping mapping = map_filled(MEMMAP_SHARED_OBJECT);
  protect(&mapping, 2, 6, MEMMAP_READ);
  check_read_only(&mapping, mapping.facts.fd);
}

static void read_only_copy(void) {
  int fd;
  struct mapping mapping = map_content(&fd, MEMMAP_COPY);
  protect(&mapping, 2, 6, MEMMAP_READ);
  check_read_only(&mapping, fd);
  /* What was copied is in no file: it must be kept as it is. */
  protect(&mapping, 2, 6, MEMMAP_WRITE);
  for (size_t page = 0; page < PAGES; page++) store(page_at(&mapping, page) + 7, (uint8_t)page);
  protect(&mapping, 2, 6, MEMMAP_READ);
  check_read_only(&mapping, fd);
  for (size_t page = 0; page < PAGES; page++) CHECK_EQUAL(load(page_at(&mapping, page) + 7), page);
}

/* Without /proc/self/mem the copy is written back through the mapping. */
static void read_only_memory_without_proc(void) {
  drop_proc();
  struct mapping mapping = map_filled(0);
  protect(&mapping, 2, 6, MEMMAP_READ);
  for (size_t page = 2; page < 6; page++) store(page_at(&mapping, page), JUNK);
  CHECK(memmap_has_faults(mapping.region, false));
  struct memmap_fault faults[MEMMAP_FAULT_KINDS];
  CHECK_EQUAL(memmap_collect(mapping.region, faults), 1);
  check_pages(&mapping, 0, PAGES);
  check_rights(&mapping, 2, 6, MEMMAP_READ);
  _exit(0); /* the search for leaks needs ptrace, which this process has given up */
}

/* -- no access --------------------------------------------------------------------------------- */

/* Pages [2, 6) have no access; they held their content. */
static void check_no_access(const struct mapping *mapping, int fd) {
  size_t maps = count_maps_of(mapping);
  for (int round = 0; round < 3; round++) {
    CHECK_EQUAL(load(page_at(mapping, 4)), 0);
    store(page_at(mapping, 4), JUNK);
    CHECK_EQUAL(load(page_at(mapping, 4)), JUNK);
    struct memmap_fault fault = collect(mapping, MEMMAP_FAULT_NO_ACCESS, 1);
    CHECK(fault.address == page_at(mapping, 4) && fault.access == MEMMAP_READ);
    store(page_at(mapping, 2), JUNK);
    CHECK_EQUAL(load(page_at(mapping, 2) + 1), 0);
    fault = collect(mapping, MEMMAP_FAULT_NO_ACCESS, 1);
    CHECK_EQUAL(fault.access, MEMMAP_WRITE);
    for (size_t page = 2; page < 6; page++) CHECK_EQUAL(load(page_at(mapping, page)), 0);
    struct memmap_fault faults[MEMMAP_FAULT_KINDS];
    CHECK_EQUAL(memmap_collect(mapping->region, faults), 1);
    check_rights(mapping, 2, 6, MEMMAP_NONE);
    CHECK_EQUAL(count_maps_of(mapping), maps);
  }
  if (fd >= 0) check_file(fd);
  protect(mapping, 2, 6, MEMMAP_READ);
  check_pages(mapping, 0, PAGES);
  collect_nothing(mapping);
}

static void no_access_shared(void) {
  int fd;
  struct mapping mapping = map_content(&fd, MEMMAP_WRITE);
  protect(&mapping, 2, 6, MEMMAP_NONE);
  check_no_access(&mapping, fd);
  mapping = map_filled(MEMMAP_SHARED_OBJECT);
  protect(&mapping, 2, 6, MEMMAP_NONE);
  check_no_access(&mapping, mapping.facts.fd);
}

static void no_access_private(void) {
  int fd;
  struct mapping mapping = map_content(&fd, MEMMAP_COPY);
  store(page_at(&mapping, 3) + 9, 77);
  protect(&mapping, 2, 6, MEMMAP_NONE);
  check_no_access(&mapping, fd);
  CHECK_EQUAL(load(page_at(&mapping, 3) + 9), 77);
  mapping = map_filled(0);
  protect(&mapping, 2, 6, MEMMAP_NONE);
  check_no_access(&mapping, -1);
}

/* Pages that several mappings of the kernel make up cannot be moved at once. */
static void no_access_in_pieces(void) {
  struct mapping mapping = map_filled(0);
  for (size_t page = 0; page < PAGES; page += 2) {
    CHECK_EQUAL(memmap_advise(mapping.region, pages(page), 1, MEMMAP_DONTDUMP), 0);
  }
  size_t maps = count_maps_of(&mapping);
  CHECK_EQUAL(maps, PAGES);
  for (int round = 0; round < 3; round++) {
    protect(&mapping, 0, PAGES, MEMMAP_NONE);
    for (size_t page = 0; page < PAGES; page++) CHECK_EQUAL(load(page_at(&mapping, page)), 0);
    struct memmap_fault faults[MEMMAP_FAULT_KINDS];
    CHECK_EQUAL(memmap_collect(mapping.region, faults), 1);
    check_rights(&mapping, 0, PAGES, MEMMAP_NONE);
    protect(&mapping, 0, PAGES, MEMMAP_WRITE);
    check_pages(&mapping, 0, PAGES);
    CHECK_EQUAL(count_maps_of(&mapping), maps);
  }
}

/* -- reservations ------------------------------------------------------------------------------ */

static void closed_reservation(void) {
  int fd;
  struct mapping mapping = map_content(&fd, MEMMAP_WRITE);
  memmap_retain_holder(mapping.region);
  memmap_release_user(mapping.region, 0, pages(PAGES));
  for (int round = 0; round < 3; round++) {
    CHECK_EQUAL(load(page_at(&mapping, 3)), 0);
    CHECK(!memmap_has_faults(mapping.region, false));
    store(page_at(&mapping, 3), JUNK);
    CHECK_EQUAL(load(page_at(&mapping, 3)), JUNK);
    struct memmap_fault fault = collect(&mapping, MEMMAP_FAULT_CLOSED, 1);
    CHECK(fault.address == page_at(&mapping, 3) && fault.access == MEMMAP_WRITE);
    CHECK_EQUAL(load(page_at(&mapping, 3)), 0);
    CHECK_EQUAL(count_maps_of(&mapping), 1);
  }
  for (size_t page = 0; page < PAGES; page++) store(page_at(&mapping, page), JUNK);
  check_file(fd);
  memmap_release_holder(mapping.region);
  CHECK_EQUAL(count_maps_of(&mapping), 0);
}

static void behind_the_length(void) {
  int fd = make_file(pages(2));
  struct mapping mapping = map((struct memmap_request){
    .fd = fd, .access = MEMMAP_WRITE, .length_bytes = -1, .capacity_bytes = pages(PAGES),
  });
  for (size_t page = 2; page < PAGES; page++) {
    store(page_at(&mapping, page), JUNK);
    CHECK_EQUAL(load(page_at(&mapping, page) + 1), 0);
  }
  struct memmap_fault faults[MEMMAP_FAULT_KINDS];
  CHECK_EQUAL(memmap_collect(mapping.region, faults), 1);
  CHECK(faults[MEMMAP_FAULT_TRUNCATED].address == page_at(&mapping, 2));
  CHECK_EQUAL(count_maps(mapping.at, pages(PAGES)), 2);
  store(page_at(&mapping, 4), JUNK);
  CHECK_EQUAL(resize(&mapping, pages(5)), 0); /* puts back by itself */
  for (size_t page = 2; page < 5; page++) CHECK_EQUAL(load(page_at(&mapping, page)), 0);
  collect(&mapping, MEMMAP_FAULT_TRUNCATED, 1);
  CHECK_EQUAL(look_at(fd).st_size, pages(5));
}

/* -- objects that fail ------------------------------------------------------------------------- */

static void disk_full(void) {
  enum { HOLES = 200 };
  int directory = make_small_tmpfs("size=1m");
  int fd = openat(directory, "file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  int filler = openat(directory, "filler", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  cut(fd, pages(2 * HOLES)); /* every second page of it is a hole */
  for (size_t page = 0; page < 20; page += 2) fill(fd, pages(page), pages(page + 1));
  while (pwrite(filler, "x", 1, look_at(filler).st_size + 4095) == 1) continue;
  CHECK_EQUAL(errno, ENOSPC);
  struct mapping mapping = map_file(fd, MEMMAP_WRITE);
  size_t maps = count_maps_of(&mapping);
  store(page_at(&mapping, 5) + 3, JUNK);
  CHECK_EQUAL(load(page_at(&mapping, 5) + 3), JUNK);
  CHECK_EQUAL(load(page_at(&mapping, 4)), content_of(4));
  store(page_at(&mapping, 4) + 1, JUNK); /* has its block */
  struct memmap_fault fault = collect(&mapping, MEMMAP_FAULT_IO, 1);
  CHECK(fault.address == page_at(&mapping, 5) + 3 && fault.access == MEMMAP_WRITE);
  CHECK_EQUAL(file_byte(fd, pages(4) + 1), JUNK);
  CHECK_EQUAL(count_maps_of(&mapping), maps);
  for (size_t page = 1; page < 2 * HOLES; page += 2) store(page_at(&mapping, page), JUNK);
  struct memmap_fault faults[MEMMAP_FAULT_KINDS];
  CHECK_EQUAL(memmap_collect(mapping.region, faults), 1);
  CHECK(faults[MEMMAP_FAULT_IO].count > 0);
  for (size_t page = 0; page < 20; page += 2) {
    CHECK_EQUAL(load(page_at(&mapping, page)), content_of(page));
  }
  CHECK_EQUAL(count_maps_of(&mapping), maps);
  cut(filler, 0); /* room again: what was lost stays lost, what comes is stored */
  store(page_at(&mapping, 5), JUNK);
  collect_nothing(&mapping);
  CHECK(file_byte(fd, pages(5)) == JUNK && file_byte(fd, pages(5) + 3) == 0);
}

/* A block device over a file, which is gone when its last descriptor is. */
static int make_block_device(int fd) {
  char path[32];
  int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
  int number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
  if (number < 0) check_skip("only root can make a block device");
  snprintf(path, sizeof(path), "/dev/loop%d", number);
  int device = open(path, O_RDWR | O_CLOEXEC);
  struct loop_config config = {.fd = (uint32_t)fd, .info.lo_flags = LO_FLAGS_AUTOCLEAR};
  if (device < 0 || ioctl(device, LOOP_CONFIGURE, &config) != 0) {
    check_skip("this kernel makes no block devices over files");
  }
  close(control);
  return device;
}

/* A disk that has lost its second half. */
static void disk_that_fails(void) {
  enum { MANY = 1024 };
  int fd = make_file(pages(MANY));
  int device = make_block_device(fd);
  struct mapping mapping = map_file(device, MEMMAP_WRITE);
  CHECK_EQUAL(mapping.facts.object_kind, MEMMAP_OBJECT_BLOCK_DEVICE);
  CHECK_EQUAL(mapping.facts.length_bytes, pages(MANY));
  CHECK_EQUAL(load(page_at(&mapping, 5)), content_of(5));
  cut(fd, pages(MANY) / 2);
  CHECK_EQUAL(load(page_at(&mapping, MANY - 10)), 0);
  struct memmap_fault fault = collect(&mapping, MEMMAP_FAULT_IO, 1);
  CHECK(fault.address == page_at(&mapping, MANY - 10) && fault.access == MEMMAP_READ);
  uint8_t byte = 77;
  struct memmap_copied copied = memmap_read(mapping.region, pages(MANY - 10), &byte, 1);
  CHECK(copied.bytes == 0 && copied.fault == MEMMAP_FAULT_IO && byte == 77);
  CHECK_EQUAL(load(page_at(&mapping, 5)), content_of(5));
  CHECK_EQUAL(count_maps_of(&mapping), 1);
  unmap(&mapping);
  close(device);
}

/* Huge pages of which the system has none: the mapping is there, its pages are not. */
static void no_huge_pages(void) {
  struct memmap_request request = {
    .fd = -1, .access = MEMMAP_WRITE, .length_bytes = 4 << 20, .huge_shift = 21,
    .flags = MEMMAP_NORESERVE,
  };
  struct mapping mapping;
  if (try_map(request, &mapping) != 0) {
    check_skip("no huge pages in this kernel");
  }
  CHECK_EQUAL(mapping.facts.page_bytes, 2 << 20);
  store(mapping.at + 4096, JUNK);
  CHECK_EQUAL(load(mapping.at + 4096), JUNK);
  if (!memmap_has_faults(mapping.region, false)) check_skip("this system has huge pages to give");
  struct memmap_fault fault = collect(&mapping, MEMMAP_FAULT_IO, 1);
  CHECK(fault.address == mapping.at + 4096);
  CHECK_EQUAL(load(mapping.at + 4096), 0); /* faults again */
  collect(&mapping, MEMMAP_FAULT_IO, 1);
}

/* What happens in a guard is its own until it ends. */
static void guards(void) {
  struct mapping mapping = map_memory(pages(PAGES), 0);
  protect(&mapping, 0, PAGES, MEMMAP_READ);
  memmap_guard_begin(mapping.region);
  memmap_guard_begin(mapping.region);
  store(mapping.at, JUNK);
  memmap_guard_end(mapping.region);
  CHECK(memmap_has_faults(mapping.region, true) && !memmap_has_faults(mapping.region, false));
  memmap_guard_end(mapping.region);
  CHECK(memmap_has_faults(mapping.region, true) && memmap_has_faults(mapping.region, false));
  collect(&mapping, MEMMAP_FAULT_READ_ONLY, 1);
  CHECK(!memmap_has_faults(mapping.region, true));
}

static const struct check_case cases[] = {
  {"truncated", truncated},
  {"truncated: store, and again", truncated_store_and_again},
  {"truncated: offset in the object", truncated_with_offset},
  {"store behind the end of a read-only mapping", store_behind_the_end_of_read_only},
  {"store behind the end, protected", store_behind_the_end_of_protected},
  {"store behind the end, copy", store_behind_the_end_of_copy},
  {"store behind the end, no access", store_behind_the_end_without_access},
  {"cut while patched, shared", cut_while_patched},
  {"cut while patched, copy", cut_while_patched_copy},
  {"read-only, shared", read_only_shared},
  {"read-only, memory", read_only_memory},
  {"read-only, memory object", read_only_memory_object},
  {"read-only, copy", read_only_copy},
  {"read-only, memory, without /proc/self/mem", read_only_memory_without_proc},
  {"no access, shared", no_access_shared},
  {"no access, private", no_access_private},
  {"no access, in pieces", no_access_in_pieces},
  {"closed reservation", closed_reservation},
  {"behind the length", behind_the_length},
  {"disk full", disk_full},
  {"disk that fails", disk_that_fails},
  {"no huge pages", no_huge_pages},
  {"guards", guards},
};
CHECK_MAIN(cases)
