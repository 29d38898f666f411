/*
 * limits.test.c - many faults: how few patches and mappings they take, in any order and number, and
 * what happens when there are no more to be had.
 */
#include <sys/mman.h>

#include "mapping.h"

enum { PAGES = 8, JUNK = 0xee };

/* Stores to every second page, again and again. Returns how many mappings the range then is. */
static size_t check_stride(const struct mapping *mapping, uint64_t bytes) {
  size_t maps = count_all_maps();
  for (uint64_t at = 0; at < bytes; at += pages(2)) store(mapping->at + at, JUNK);
  CHECK(count_all_maps() < maps + 200);
  struct memmap_fault faults[MEMMAP_FAULT_KINDS];
  CHECK_EQUAL(memmap_collect(mapping->region, faults), 1);
  CHECK(faults[MEMMAP_FAULT_READ_ONLY].count <= 40); /* 2 log2 of 2^18 pages, and some */
  for (uint64_t at = 0; at < bytes; at += pages(1000)) CHECK_EQUAL(load(mapping->at + at), 0);
  collect_nothing(mapping);
  return count_maps_of(mapping);
}

static void stride_over_a_gigabyte(void) {
  const uint64_t bytes = (uint64_t)1 << 30;
  int fd = make_file(0);
  cut(fd, bytes);
  struct mapping mapping = map_file(fd, MEMMAP_READ);
  CHECK_EQUAL(check_stride(&mapping, bytes), 1);
  CHECK_EQUAL(look_at(fd).st_blocks, 0);
}

/* Memory that was never touched gets its anon_vma in pieces, and the kernel does not merge what
 * has different ones; it must not become more each time. */
static void stride_over_memory(void) {
  const uint64_t bytes = 64 << 20;
  struct mapping mapping = map_memory(bytes, 0);
  protect(&mapping, 0, bytes / pages(1), MEMMAP_READ);
  size_t maps = check_stride(&mapping, bytes);
  CHECK(maps < 10);
  for (int round = 0; round < 3; round++) CHECK(check_stride(&mapping, bytes) <= maps);
}

/* "In any order": every page of 4096, scattered, for every kind of replacement. */
static void any_order(void) {
  enum { MANY = 4096 };
  for (int round = 0; round < 4; round++) {
    struct mapping mapping = map_memory(pages(MANY), round % 2 ? MEMMAP_SHARED_OBJECT : 0);
    for (size_t page = 0; page < MANY; page++) store(page_at(&mapping, page), content_of(page));
    protect(&mapping, 0, MANY, round / 2 ? MEMMAP_NONE : MEMMAP_READ);
    for (int i = 0; i < 3 * MANY; i++) store(page_at(&mapping, random_below(MANY)), JUNK);
    struct memmap_fault faults[MEMMAP_FAULT_KINDS];
    CHECK_EQUAL(memmap_collect(mapping.region, faults), 1);
    CHECK(faults[round / 2 ? MEMMAP_FAULT_NO_ACCESS : MEMMAP_FAULT_READ_ONLY].count <= 40);
    CHECK_EQUAL(count_maps_of(&mapping), 1);
    check_rights(&mapping, 0, 3, round / 2 ? MEMMAP_NONE : MEMMAP_READ);
    protect(&mapping, 0, MANY, MEMMAP_READ);
    for (size_t page = 0; page < MANY; page++) {
      CHECK_EQUAL(load(page_at(&mapping, page)), content_of(page));
    }
    unmap(&mapping);
  }
}

/* Mappings up to the limit, but for so many. Returns where they are: OTHERS pages. */
enum { OTHERS = 3000000 };
static uint8_t *make_others(size_t left) {
  uint8_t *others = mmap(NULL, pages(OTHERS), PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  size_t made = 0;
  while (made < OTHERS && mprotect(others + pages(made), pages(1), PROT_READ) == 0) made += 2;
  if (made >= OTHERS) check_skip("vm.max_map_count is very high");
  for (size_t i = 0; i < left; i++) munmap(others + pages(2 * i), pages(2));
  return others;
}

/* The kernel refuses more mappings: whatever it takes, the process lives, and later all is well. */
static void check_limit_of_mappings(size_t left) {
  int fd = make_file(pages(PAGES));
  struct mapping mappings[] = {map_file(fd, MEMMAP_WRITE), map_memory(pages(PAGES), 0)};
  struct memmap_fault faults[MEMMAP_FAULT_KINDS];
  fill_memory(&mappings[1]);
  for (int i = 0; i < 2; i++) {
    protect(&mappings[i], 2, 4, MEMMAP_READ);
    protect(&mappings[i], 4, 6, MEMMAP_NONE);
  }
  uint8_t *others = make_others(left);
  for (int i = 0; i < 2; i++) {
    for (size_t page = 2; page < 6; page++) {
      if (page >= 4) load(page_at(&mappings[i], page));
      store(page_at(&mappings[i], page), JUNK);
    }
    CHECK(memmap_collect(mappings[i].region, faults) > 0);
  }
  munmap(others, pages(OTHERS));
  for (int i = 0; i < 2; i++) {
    memmap_collect(mappings[i].region, faults);
    check_rights(&mappings[i], 0, 2, MEMMAP_WRITE);
    check_rights(&mappings[i], 2, 4, MEMMAP_READ);
    check_rights(&mappings[i], 4, 6, MEMMAP_NONE);
    protect(&mappings[i], 4, 6, MEMMAP_READ);
    for (size_t page = 0; page < PAGES; page++) {
      uint8_t byte = load(page_at(&mappings[i], page));
      CHECK(byte == content_of(page) || (i == 1 && byte == JUNK)); /* core/fault.c, last resort */
    }
    collect_nothing(&mappings[i]);
  }
  for (size_t page = 0; page < PAGES; page++) {
    CHECK_EQUAL(file_byte(fd, pages(page)), content_of(page));
  }
}

static void limit_of_mappings(void) {
  check_limit_of_mappings(0);
  check_limit_of_mappings(3);
}

/* More runs of protections than there are places for patches: everything becomes one patch. */
static void check_more_runs_than_patches(enum memmap_access access, bool is_cut) {
  enum { MANY = 300 };
  int fd = make_file(pages(MANY));
  struct mapping mapping = map_file(fd, access);
  for (size_t page = 0; page < MANY; page += 2) protect(&mapping, page, page + 1, MEMMAP_READ);
  size_t maps = count_maps_of(&mapping);
  for (size_t page = 0; page < MANY; page += 2) store(page_at(&mapping, page), JUNK);
  if (is_cut) cut(fd, pages(1));
  for (size_t page = 0; page < MANY; page++) load(page_at(&mapping, page));
  if (is_cut) fill(fd, 0, pages(MANY));
  struct memmap_fault faults[MEMMAP_FAULT_KINDS];
  CHECK(memmap_collect(mapping.region, faults) > 0);
  CHECK_EQUAL(count_maps_of(&mapping), maps);
  for (size_t page = 0; page < MANY; page++) {
    CHECK_EQUAL(rights_at(&mapping, pages(page)), page % 2 ? MEMMAP_WRITE : MEMMAP_READ);
    CHECK_EQUAL(file_byte(fd, pages(page)), content_of(page));
    if (access == MEMMAP_WRITE) CHECK_EQUAL(load(page_at(&mapping, page)), content_of(page));
  }
  unmap(&mapping);
  close(fd);
}

static void more_runs_than_patches(void) {
  check_more_runs_than_patches(MEMMAP_WRITE, false);
  check_more_runs_than_patches(MEMMAP_COPY, false);
}
static void more_runs_than_patches_and_cut(void) {
  check_more_runs_than_patches(MEMMAP_WRITE, true);
  check_more_runs_than_patches(MEMMAP_COPY, true);
}

static const struct check_case cases[] = {
  {"stride over a gigabyte", stride_over_a_gigabyte},
  {"stride over memory", stride_over_memory},
  {"any order", any_order},
  {"limit of mappings", limit_of_mappings},
  {"more runs than patches", more_runs_than_patches},
  {"more runs than patches, and cut", more_runs_than_patches_and_cut},
};
CHECK_MAIN(cases)
