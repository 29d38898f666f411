/*
 * range.test.c - operations on parts of a mapping: protect, lock, advise, residency, flush.
 */
#include <sys/mman.h>

#include "mapping.h"

enum { PAGES = 16 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SKIP_WITH_SANITIZERS() check_skip("the sanitizers make munlock and mlockall do nothing")
#else
#define SKIP_WITH_SANITIZERS() ((void)0)
#endif

/* -- protect ----------------------------------------------------------------------------------- */

/* The rights of all pages, and where their runs end, against one right for each page. */
static void check_naive_rights(const struct mapping *mapping, const enum memmap_access *naive,
                               size_t count) {
  size_t delta = mapping->at % pages(1);
  uint64_t length = mapping->facts.length_bytes;
  for (size_t page = 0; page < count; page++) {
    uint64_t offset = page ? pages(page) - delta : 0, end;
    size_t stop = page + 1;
    while (stop < count && naive[stop] == naive[page]) stop++;
    CHECK_EQUAL(memmap_protection(mapping->region, offset, &end), naive[page]);
    /* A run may be told in pieces, but each has one right and gets further. */
    CHECK(end > offset && end <= (stop == count ? length : pages(stop) - delta));
    CHECK_EQUAL(rights_at(mapping, offset), naive[page]);
  }
}

static void protect_at_random(struct mapping mapping, enum memmap_access most) {
  enum memmap_access naive[PAGES];
  size_t delta = mapping.at % pages(1);
  size_t count = (delta + mapping.facts.length_bytes - 1) / pages(1) + 1;
  for (size_t page = 0; page < count; page++) naive[page] = most;
  for (int step = 0; step < 300; step++) {
    size_t first = random_below(count), end = first + 1 + random_below(count - first);
    enum memmap_access access = (enum memmap_access)random_below(3);
    uint64_t offset = first ? pages(first) - delta : 0;
    uint64_t stop = end == count ? mapping.facts.length_bytes : pages(end) - delta;
    int result = memmap_protect(mapping.region, offset, stop - offset, access);
    CHECK_EQUAL(memmap_errno(result), access > most ? EACCES : 0);
    for (size_t page = first; page < end && result == 0; page++) naive[page] = access;
    check_naive_rights(&mapping, naive, count);
  }
  collect_nothing(&mapping);
  unmap(&mapping);
}

static void protections(void) {
  int fd = make_file(pages(PAGES) - 50);
  protect_at_random(map_file(fd, MEMMAP_READ), MEMMAP_READ);
  protect_at_random(map_file(fd, MEMMAP_WRITE), MEMMAP_WRITE);
  protect_at_random(map_file(fd, MEMMAP_COPY), MEMMAP_WRITE);
  protect_at_random(map_memory(pages(PAGES), 0), MEMMAP_WRITE);
  protect_at_random(map_memory(pages(PAGES), MEMMAP_SHARED_OBJECT), MEMMAP_WRITE);
  protect_at_random(map((struct memmap_request){
    .fd = fd, .access = MEMMAP_WRITE, .offset_bytes = 1234, .length_bytes = -1,
    .capacity_bytes = pages(2 * PAGES),
  }), MEMMAP_WRITE);
}

/* -- lock -------------------------------------------------------------------------------------- */

static size_t locked(void) { return status_bytes("VmLck"); }

static void locks_at_random(void) {
  SKIP_WITH_SANITIZERS();
  bool naive[PAGES] = {false};
  struct mapping mapping = map_memory(pages(PAGES), 0);
  for (int step = 0; step < 500; step++) {
    size_t first = random_below(PAGES), end = first + 1 + random_below(PAGES - first), count = 0;
    bool is_lock = random_below(2);
    uint64_t offset = pages(first) + random_below(pages(1)), length = pages(end) - offset;
    CHECK_EQUAL(is_lock ? memmap_lock(mapping.region, offset, length, random_below(2))
                        : memmap_unlock(mapping.region, offset, length), 0);
    for (size_t page = first; page < end; page++) naive[page] = is_lock;
    for (size_t page = 0; page < PAGES; page++) count += naive[page];
    CHECK_EQUAL(locked(), pages(count));
    if (step % 50) continue;
    CHECK_EQUAL(memmap_unlock_all(), 0);
    memset(naive, 0, sizeof(naive));
  }
  unmap(&mapping);
  CHECK_EQUAL(locked(), 0);
}

/* Without the right to lock more than four pages. */
static void drop_privileges(void) {
  struct rlimit limit = {pages(4), pages(4)};
  CHECK_EQUAL(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
  if (getuid() == 0) CHECK_EQUAL(setuid(65534), 0);
}

static void a_lock_that_fails(void) {
  SKIP_WITH_SANITIZERS();
  struct mapping mapping = map_memory(pages(PAGES), 0);
  drop_privileges();
  for (int on_fault = 0; on_fault < 2; on_fault++) {
    CHECK_EQUAL(memmap_errno(memmap_lock(mapping.region, 0, pages(PAGES), on_fault)), ENOMEM);
    CHECK_EQUAL(locked(), 0);
    CHECK_EQUAL(memmap_lock(mapping.region, pages(3), pages(2), on_fault), 0);
    CHECK_EQUAL(memmap_lock(mapping.region, pages(8), pages(1), !on_fault), 0);
    CHECK_EQUAL(locked(), pages(3));
    CHECK_EQUAL(memmap_errno(memmap_lock(mapping.region, 0, pages(PAGES), on_fault)), ENOMEM);
    CHECK_EQUAL(locked(), pages(3)); /* what was locked before, and nothing more */
    CHECK_EQUAL(memmap_lock(mapping.region, pages(3), pages(3), on_fault), 0);
    CHECK_EQUAL(locked(), pages(4));
    CHECK_EQUAL(memmap_unlock(mapping.region, 0, pages(PAGES)), 0);
    CHECK_EQUAL(locked(), 0);
  }
  struct memmap_request request = {.fd = -1, .access = MEMMAP_WRITE, .flags = MEMMAP_LOCKED,
                                   .length_bytes = (int64_t)pages(PAGES)};
  size_t maps = count_all_maps();
  CHECK_EQUAL(memmap_errno(try_map(request, &mapping)), ENOMEM);
  CHECK(count_all_maps() == maps && locked() == 0);
  request.length_bytes = (int64_t)pages(3);
  mapping = map(request);
  CHECK_EQUAL(resize(&mapping, pages(4)), 0); /* locked: also what resize adds */
  CHECK_EQUAL(locked(), pages(4));
  CHECK(resize(&mapping, pages(5)) < 0);
  CHECK(mapping.facts.length_bytes == pages(4) && locked() == pages(4));
}

/* Pages behind the end of the file cannot be brought in: the kernel fails half way. */
static void a_lock_of_a_cut_file(void) {
  SKIP_WITH_SANITIZERS();
  int fd = make_file(pages(PAGES));
  struct mapping mapping = map_file(fd, MEMMAP_READ);
  CHECK_EQUAL(memmap_lock(mapping.region, pages(1), pages(1), false), 0);
  cut(fd, pages(4));
  CHECK(memmap_lock(mapping.region, 0, pages(PAGES), false) < 0);
  CHECK_EQUAL(locked(), pages(1));
  CHECK_EQUAL(memmap_lock(mapping.region, 0, pages(PAGES), true), 0);
  CHECK_EQUAL(locked(), pages(PAGES));
}

/* A fault and its put-back map pages anew; their locks come back with them. */
static void locks_outlive_faults(void) {
  SKIP_WITH_SANITIZERS();
  int fd = make_file(pages(PAGES));
  struct mapping mappings[] = {map_file(fd, MEMMAP_READ), map_memory(pages(PAGES), 0)};
  for (int i = 0; i < 2; i++) {
    for (int none = 0; none < 2; none++) {
      const struct mapping *mapping = &mappings[i];
      enum memmap_access access = none ? MEMMAP_NONE : MEMMAP_READ;
      CHECK_EQUAL(memmap_protect(mapping->region, 0, pages(PAGES), access), 0);
      CHECK_EQUAL(memmap_lock(mapping->region, 0, pages(PAGES), true), 0);
      for (size_t page = 0; page < PAGES; page++) store(mapping->at + pages(page), 1);
      struct memmap_fault faults[MEMMAP_FAULT_KINDS];
      CHECK_EQUAL(memmap_collect(mapping->region, faults), 1);
      CHECK_EQUAL(locked(), pages(PAGES));
      CHECK_EQUAL(memmap_unlock(mapping->region, 0, pages(PAGES)), 0);
      CHECK_EQUAL(locked(), 0);
    }
  }
}

/* ... but not those that munlockall has taken away. */
static void unlock_all_is_final(void) {
  SKIP_WITH_SANITIZERS();
  int fd = make_file(pages(PAGES));
  struct mapping mapping = map((struct memmap_request){
    .fd = fd, .access = MEMMAP_READ, .length_bytes = -1, .flags = MEMMAP_LOCKED,
  });
  CHECK_EQUAL(locked(), pages(PAGES));
  CHECK_EQUAL(memmap_unlock_all(), 0);
  CHECK_EQUAL(locked(), 0);
  store(mapping.at, 1);
  collect(&mapping, MEMMAP_FAULT_READ_ONLY, 1);
  CHECK_EQUAL(locked(), 0);
}

/* A mapping made after munlockall keeps its locks through a lock that fails. */
static void locks_made_after_unlock_all(void) {
  SKIP_WITH_SANITIZERS();
  int fd = make_file(pages(PAGES));
  CHECK_EQUAL(memmap_unlock_all(), 0);
  struct mapping mapping = map((struct memmap_request){
    .fd = fd, .access = MEMMAP_READ, .length_bytes = (int64_t)pages(PAGES) / 2,
    .capacity_bytes = pages(PAGES), .flags = MEMMAP_LOCKED,
  });
  cut(fd, pages(2));
  int result = memmap_lock(mapping.region, 0, pages(PAGES) / 2, false);
  CHECK(result == 0 || locked() == pages(PAGES) / 2);
  CHECK_EQUAL(locked(), pages(PAGES) / 2);
}

static void lock_all(void) {
  SKIP_WITH_SANITIZERS();
  CHECK_EQUAL(memmap_lock_all(true, false, true), 0);
  CHECK(locked() > 0);
  CHECK_EQUAL(memmap_unlock_all(), 0);
  CHECK_EQUAL(locked(), 0);
  CHECK_EQUAL(memmap_errno(memmap_lock_all(false, false, true)), EINVAL);
}

/* -- advise ------------------------------------------------------------------------------------ */

/* Whether the VmFlags of /proc/self/smaps of the mapping at `address` have this flag. */
static bool has_flag(uintptr_t address, const char *flag) {
  FILE *smaps = fopen("/proc/self/smaps", "re");
  char line[4352], *rest;
  bool is_there = false, has = false;
  CHECK(smaps != NULL);
  while (fgets(line, sizeof(line), smaps)) {
    uintptr_t first = strtoull(line, &rest, 16);
    if (*rest == '-') is_there = address >= first && address < strtoull(rest + 1, NULL, 16);
    if (is_there && strncmp(line, "VmFlags:", 8) == 0) has = strstr(line, flag) != NULL;
  }
  fclose(smaps);
  return has;
}

static void advice_outlives_faults(void) {
  static const struct { enum memmap_advice on, off; const char *flag; } advices[] = {
    {MEMMAP_RANDOM, MEMMAP_NORMAL, " rr"}, {MEMMAP_SEQUENTIAL, MEMMAP_NORMAL, " sr"},
    {MEMMAP_DONTFORK, MEMMAP_DOFORK, " dc"}, {MEMMAP_DONTDUMP, MEMMAP_DODUMP, " dd"},
  };
  int fd = make_file(pages(PAGES));
  for (size_t i = 0; i < sizeof(advices) / sizeof(*advices); i++) {
    struct mapping mapping = map_file(fd, MEMMAP_READ);
    uintptr_t in = mapping.at + pages(5), out = mapping.at + pages(8);
    CHECK_EQUAL(memmap_advise(mapping.region, pages(4), pages(4), advices[i].on), 0);
    CHECK(has_flag(in, advices[i].flag) && !has_flag(out, advices[i].flag));
    size_t maps = count_maps_of(&mapping);
    for (size_t page = 0; page < PAGES; page++) store(mapping.at + pages(page), 1);
    struct memmap_fault faults[MEMMAP_FAULT_KINDS];
    CHECK_EQUAL(memmap_collect(mapping.region, faults), 1);
    CHECK(has_flag(in, advices[i].flag) && !has_flag(out, advices[i].flag));
    CHECK_EQUAL(count_maps_of(&mapping), maps);
    CHECK_EQUAL(memmap_advise(mapping.region, 0, pages(PAGES), advices[i].off), 0);
    store(in, 1);
    collect(&mapping, MEMMAP_FAULT_READ_ONLY, 1);
    CHECK(!has_flag(in, advices[i].flag));
    unmap(&mapping);
  }
}

static void the_first_advice(void) {
  int fd = make_file(pages(PAGES));
  struct memmap_request request = {.fd = fd, .access = MEMMAP_READ, .length_bytes = -1,
                                   .advice = MEMMAP_RANDOM};
  struct mapping mapping;
  CHECK_EQUAL(memmap_map(&request, &mapping.region, &mapping.facts), 0);
  mapping.at = (uintptr_t)mapping.facts.address;
  CHECK(has_flag(mapping.at, " rr") && has_flag(mapping.at + pages(PAGES) - 1, " rr"));
  store(mapping.at, 1);
  collect(&mapping, MEMMAP_FAULT_READ_ONLY, 1);
  CHECK(has_flag(mapping.at, " rr"));
  unmap(&mapping);
}

static void advice_that_discards(void) {
  int fd = make_file(pages(PAGES));
  struct mapping copy = map_file(fd, MEMMAP_COPY), memory = map_memory(pages(PAGES), 0);
  struct mapping shared = map_file(fd, MEMMAP_WRITE);
  store(copy.at + pages(3), 200);
  CHECK_EQUAL(memmap_advise(copy.region, pages(3), pages(1), MEMMAP_DONTNEED), 0);
  CHECK_EQUAL(load(copy.at + pages(3)), content_at(pages(3)));
  fill_memory(&memory);
  CHECK_EQUAL(memmap_advise(memory.region, pages(3), pages(1), MEMMAP_DONTNEED), 0);
  CHECK(load(memory.at + pages(3)) == 0 && load(memory.at + pages(4)) == content_at(pages(4)));
  CHECK_EQUAL(memmap_advise(memory.region, pages(4), pages(1), MEMMAP_FREE), 0);
  store(shared.at + pages(3), 200);
  CHECK_EQUAL(memmap_advise(shared.region, pages(3), pages(1), MEMMAP_DONTNEED), 0);
  CHECK_EQUAL(load(shared.at + pages(3)), 200);
  CHECK_EQUAL(memmap_advise(shared.region, pages(3), pages(1), MEMMAP_REMOVE), 0);
  CHECK(load(shared.at + pages(3)) == 0 && look_at(fd).st_size == (off_t)pages(PAGES));
  CHECK(memmap_advise(shared.region, pages(3), pages(1), MEMMAP_FREE) < 0);
}

/* -- residency and flush ----------------------------------------------------------------------- */

static void residency(void) {
  unsigned char resident[PAGES];
  struct mapping mapping = map_memory(pages(PAGES), 0);
  for (size_t page = 0; page < PAGES; page += 3) store(mapping.at + pages(page), 1);
  memset(resident, 7, sizeof(resident));
  CHECK_EQUAL(memmap_residency(mapping.region, 0, pages(PAGES), resident, PAGES), 0);
  for (size_t page = 0; page < PAGES; page++) CHECK_EQUAL(resident[page], page % 3 == 0);
  memset(resident, 7, sizeof(resident));
  CHECK_EQUAL(memmap_residency(mapping.region, pages(3) - 1, 2, resident, 2), 0);
  CHECK(resident[0] == 0 && resident[1] == 1 && resident[2] == 7);
  CHECK_EQUAL(memmap_advise(mapping.region, 0, pages(PAGES), MEMMAP_POPULATE_WRITE), 0);
  CHECK_EQUAL(memmap_residency(mapping.region, 0, pages(PAGES), resident, PAGES), 0);
  for (size_t page = 0; page < PAGES; page++) CHECK_EQUAL(resident[page], 1);
}

/* Of a file of somebody else that can only be read, the kernel says that all is resident. */
static void residency_that_is_not_told(void) {
  unsigned char resident[PAGES];
  if (getuid() != 0) check_skip("only root has files of others");
  int fd = make_file(pages(2));
  CHECK_EQUAL(fchmod(fd, 0644), 0);
  struct mapping mapping = map_file(fd, MEMMAP_READ);
  CHECK_EQUAL(memmap_residency(mapping.region, 0, pages(2), resident, 2), 0);
  CHECK_EQUAL(setuid(65534), 0);
  CHECK_EQUAL(memmap_residency(mapping.region, 0, pages(2), resident, 2), 1);
  _exit(0); /* no ptrace, no search for leaks */
}

static void flush(void) {
  int fd = make_file(pages(PAGES));
  struct mapping mapping = map_file(fd, MEMMAP_WRITE), memory = map_memory(pages(2), 0);
  const enum memmap_sync modes[] = {MEMMAP_SYNC, MEMMAP_ASYNC, MEMMAP_SYNC_NOTHING};
  for (int i = 0; i < 6; i++) {
    store(mapping.at + pages(5), (uint8_t)i);
    CHECK_EQUAL(memmap_flush(mapping.region, pages(5) + 7, 1, modes[i % 3], i / 3), 0);
    CHECK_EQUAL(memmap_flush(mapping.region, 0, 0, modes[i % 3], i / 3), 0);
    CHECK_EQUAL(memmap_flush(memory.region, 0, pages(2), modes[i % 3], i / 3), 0);
    CHECK_EQUAL(file_byte(fd, pages(5)), i);
  }
}

static const struct check_case cases[] = {
  {"protections at random", protections},
  {"locks at random", locks_at_random},
  {"a lock that fails leaves nothing", a_lock_that_fails},
  {"a lock of a cut file", a_lock_of_a_cut_file},
  {"locks outlive faults", locks_outlive_faults},
  {"unlock all is final", unlock_all_is_final},
  {"locks made after unlock all", locks_made_after_unlock_all},
  {"lock all", lock_all},
  {"advice outlives faults", advice_outlives_faults},
  {"the first advice", the_first_advice},
  {"advice that discards", advice_that_discards},
  {"residency", residency},
  {"residency that is not told", residency_that_is_not_told},
  {"flush", flush},
};
CHECK_MAIN(cases)
