/*
 * storm.test.c - threads that fault while others collect, protect, cut, resize, map and close.
 *
 * Whatever happens meanwhile, a load gives zero, the content, or what was stored and will be
 * thrown away; nothing that was thrown away is ever in the object; and when it is quiet again
 * everything is as it was.
 *
 *   MEMMAP_TEST_SECONDS=20 ./storm.test    each storm so long
 */
#include <pthread.h>

#include "mapping.h"

enum { PAGES = 64, JUNK = 0xee, TOUCHERS = 2 };

static double duration(void) {
  const char *seconds = getenv("MEMMAP_TEST_SECONDS");
  return seconds ? strtod(seconds, NULL) : 0.8;
}

struct storm {
  struct mapping mapping;
  int fd;
  bool stores_junk;   /* else the content */
  size_t touch_bytes; /* that are loaded and stored */
  _Atomic(uintptr_t) at;
  atomic_bool stop;
  atomic_uint_least64_t stores;
};
static struct storm storm;

struct thread { pthread_t handle; uint64_t seed; };

static void start(void *(*run)(void *), struct thread *thread) {
  thread->seed = random_seed();
  CHECK_EQUAL(pthread_create(&thread->handle, NULL, run, &thread->seed), 0);
}

static uint64_t below(uint64_t *seed, uint64_t limit) {
  return (random_from(seed) >> 16) % limit;
}

static void *touch(void *seed) {
  while (!atomic_load(&storm.stop)) {
    uint64_t offset = below(seed, storm.touch_bytes), number = random_from(seed);
    uintptr_t address = atomic_load(&storm.at) + offset;
    if (number >> 63) {
      store(address, storm.stores_junk ? JUNK : content_at(offset));
      atomic_fetch_add(&storm.stores, 1);
      continue;
    }
    uint8_t byte = load(address);
    CHECK(byte == 0 || byte == content_at(offset) || (storm.stores_junk && byte == JUNK));
  }
  return NULL;
}

/* Cuts the file and makes it whole again; nothing may ever get into it but its content. */
static void *cut_and_grow(void *seed) {
  uint8_t *bytes = malloc(pages(PAGES));
  while (!atomic_load(&storm.stop)) {
    cut(storm.fd, below(seed, pages(PAGES)));
    if (below(seed, 2)) usleep((useconds_t)below(seed, 200));
    cut(storm.fd, pages(PAGES));
    ssize_t got = pread(storm.fd, bytes, pages(PAGES), 0);
    for (ssize_t i = 0; i < got; i++) CHECK(bytes[i] == 0 || bytes[i] == content_at((uint64_t)i));
    fill(storm.fd, 0, pages(PAGES));
  }
  free(bytes);
  return NULL;
}

/* Only ever no access or read. */
static void *protect_anything(void *seed) {
  while (!atomic_load(&storm.stop)) {
    uint64_t first = below(seed, PAGES), count = 1 + below(seed, PAGES - first);
    enum memmap_access access = below(seed, 2) ? MEMMAP_NONE : MEMMAP_READ;
    CHECK_EQUAL(memmap_protect(storm.mapping.region, pages(first), pages(count), access), 0);
    usleep((useconds_t)below(seed, 300));
  }
  return NULL;
}

/* Collects for as long as the storm lasts. Returns how many faults there were, all of which have
 * to be of these kinds (bits). */
static uint64_t collect_all(unsigned kinds) {
  uint64_t count = 0;
  for (double end = check_seconds() + duration(); check_seconds() < end; usleep(50)) {
    struct memmap_fault faults[MEMMAP_FAULT_KINDS];
    memmap_collect(storm.mapping.region, faults);
    for (unsigned kind = 0; kind < MEMMAP_FAULT_KINDS; kind++) {
      if (faults[kind].count && !(kinds >> kind & 1)) printf("    a fault of kind %u\n", kind);
      CHECK(faults[kind].count == 0 || kinds >> kind & 1);
      count += faults[kind].count;
    }
  }
  return count;
}

/* Lets threads touch the mapping, and others disturb it, while this one collects. */
static void run_storm(void *(*const *disturbers)(void *), size_t disturber_count, unsigned kinds) {
  struct thread threads[8];
  size_t count = 0;
  storm.at = storm.mapping.at;
  storm.touch_bytes = pages(PAGES);
  for (; count < TOUCHERS; count++) start(touch, &threads[count]);
  for (size_t i = 0; i < disturber_count; i++) start(disturbers[i], &threads[count++]);
  CHECK(collect_all(kinds) > 0);
  atomic_store(&storm.stop, true);
  for (size_t i = 0; i < count; i++) pthread_join(threads[i].handle, NULL);
  CHECK(atomic_load(&storm.stores) > 0);
  struct memmap_fault faults[MEMMAP_FAULT_KINDS];
  memmap_collect(storm.mapping.region, faults);
}

/* Put back without /proc/self/mem: the kernel then keeps what was put back as mappings apart. */
static bool is_in_pieces;

static void check_quiet(bool has_content) {
  const struct mapping *mapping = &storm.mapping;
  CHECK_EQUAL(memmap_protect(mapping->region, 0, pages(PAGES), MEMMAP_READ), 0);
  for (uint64_t at = 0; at < pages(PAGES); at++) {
    uint8_t byte = load(mapping->at + at);
    if (byte != content_at(at) && (has_content || byte)) printf("    %d at %d\n", byte, (int)at);
    CHECK(byte == content_at(at) || (!has_content && byte == 0));
    if (storm.fd >= 0 && at % 97 == 0) CHECK_EQUAL(file_byte(storm.fd, at), content_at(at));
  }
  for (size_t page = 0; page < PAGES; page++) {
    CHECK_EQUAL(rights_at(mapping, pages(page)), MEMMAP_READ);
  }
  collect_nothing(mapping);
  CHECK(is_in_pieces || count_maps_of(mapping) < 10);
}

#define KIND(kind) (1u << MEMMAP_FAULT_##kind)
static void *(*const cutter[])(void *) = {cut_and_grow};
static void *(*const protector[])(void *) = {protect_anything};
static void *(*const both[])(void *) = {cut_and_grow, protect_anything};

static void storm_over_file(enum memmap_access access, bool stores_junk) {
  storm.fd = make_file(pages(PAGES));
  storm.mapping = map_file(storm.fd, access);
  storm.stores_junk = stores_junk;
}

static void cut_under_writers(void) {
  storm_over_file(MEMMAP_WRITE, false);
  run_storm(cutter, 1, KIND(TRUNCATED));
  fill(storm.fd, 0, pages(PAGES));
  check_quiet(true);
}

static void cut_under_stray_stores(void) {
  storm_over_file(MEMMAP_READ, true);
  run_storm(cutter, 1, KIND(TRUNCATED) | KIND(READ_ONLY));
  check_quiet(true);
}

static void cut_and_protect(void) {
  storm_over_file(MEMMAP_WRITE, true);
  CHECK_EQUAL(memmap_protect(storm.mapping.region, 0, pages(PAGES), MEMMAP_READ), 0);
  run_storm(both, 2, KIND(TRUNCATED) | KIND(READ_ONLY) | KIND(NO_ACCESS));
  check_quiet(true);
}

static void cut_and_protect_copy(void) {
#if defined(__SANITIZE_THREAD__)
  check_skip("this sanitizer does not survive a fault in the handler of a fault");
#endif
  storm_over_file(MEMMAP_COPY, true);
  CHECK_EQUAL(memmap_protect(storm.mapping.region, 0, pages(PAGES), MEMMAP_READ), 0);
  run_storm(both, 2, KIND(TRUNCATED) | KIND(READ_ONLY) | KIND(NO_ACCESS));
  check_quiet(false); /* a page may have been copied when the file had zeros there */
}

static void protect_memory(uint32_t flags) {
  storm.mapping = map_memory(pages(PAGES), flags);
  storm.fd = storm.mapping.facts.fd;
  storm.stores_junk = true;
  fill_memory(&storm.mapping);
  CHECK_EQUAL(memmap_protect(storm.mapping.region, 0, pages(PAGES), MEMMAP_READ), 0);
  run_storm(protector, 1, KIND(READ_ONLY) | KIND(NO_ACCESS));
  check_quiet(true);
}

static void protect_private_memory(void) { protect_memory(0); }

/* Content is put back in another way where /proc/self/mem cannot be opened. */
static void protect_without_proc(void) {
  drop_proc();
  is_in_pieces = true;
  protect_memory(0);
  _exit(0); /* the search for leaks needs ptrace, which this process has given up */
}
static void protect_memory_object(void) { protect_memory(MEMMAP_SHARED_OBJECT); }

/* -- resizing ---------------------------------------------------------------------------------- */

/* The mapping changes its length under threads that touch all of its capacity. */
static void resize_in_place(void) {
  struct thread threads[TOUCHERS];
  storm.fd = make_file(pages(PAGES));
  storm.mapping = map((struct memmap_request){
    .fd = storm.fd, .access = MEMMAP_WRITE, .length_bytes = -1, .capacity_bytes = pages(PAGES),
  });
  storm.at = storm.mapping.at;
  storm.touch_bytes = pages(PAGES);
  for (int i = 0; i < TOUCHERS; i++) start(touch, &threads[i]);
  for (double end = check_seconds() + duration(); check_seconds() < end;) {
    CHECK_EQUAL(resize(&storm.mapping, random_below(pages(PAGES))), 0);
    CHECK_EQUAL(look_at(storm.fd).st_size, storm.mapping.facts.length_bytes);
    struct memmap_fault faults[MEMMAP_FAULT_KINDS];
    memmap_collect(storm.mapping.region, faults);
    for (int kind = 1; kind < MEMMAP_FAULT_KINDS; kind++) CHECK_EQUAL(faults[kind].count, 0);
  }
  atomic_store(&storm.stop, true);
  for (int i = 0; i < TOUCHERS; i++) pthread_join(threads[i].handle, NULL);
  CHECK_EQUAL(resize(&storm.mapping, pages(PAGES)), 0);
  fill(storm.fd, 0, pages(PAGES));
  struct memmap_fault faults[MEMMAP_FAULT_KINDS];
  memmap_collect(storm.mapping.region, faults);
  check_quiet(true);
}

/* The mapping moves away under threads that still touch the old addresses. */
static void resize_by_moving(void) {
  enum { ROUNDS = 500 };
  struct thread threads[TOUCHERS];
  static memmap_region *former[ROUNDS];
  storm.mapping = map_memory(pages(PAGES), 0);
  storm.at = storm.mapping.at;
  storm.touch_bytes = pages(PAGES);
  fill_memory(&storm.mapping);
  for (int i = 0; i < TOUCHERS; i++) start(touch, &threads[i]);
  for (int round = 0; round < ROUNDS; round++) {
    uint64_t length = pages(PAGES + (size_t)round % 2);
    CHECK_EQUAL(memmap_resize(storm.mapping.region, length, &former[round],
                              &storm.mapping.facts), 0);
    CHECK(former[round] != NULL);
    usleep(100);
    atomic_store(&storm.at, (uintptr_t)storm.mapping.facts.address);
  }
  atomic_store(&storm.stop, true);
  for (int i = 0; i < TOUCHERS; i++) pthread_join(threads[i].handle, NULL);
  for (int round = 0; round < ROUNDS; round++) memmap_release_holder(former[round]);
  storm.mapping.at = storm.at;
  storm.fd = -1;
  for (uint64_t at = 0; at < pages(PAGES); at++) {
    CHECK_EQUAL(load(storm.mapping.at + at), content_at(at));
  }
}

/* -- coming and going -------------------------------------------------------------------------- */

/* Threads with mappings of their own, which fault, close and fault again. */
static void *map_fault_close(void *seed) {
  int fd = make_file(pages(6));
  while (!atomic_load(&storm.stop)) {
    enum memmap_access access = (enum memmap_access)(1 + below(seed, 3));
    struct mapping mapping = map_file(fd, access);
    CHECK_EQUAL(memmap_protect(mapping.region, 0, pages(4), MEMMAP_READ), 0);
    store(mapping.at + pages(1), JUNK);
    CHECK_EQUAL(load(mapping.at + pages(1)), JUNK);
    cut(fd, pages(5));
    CHECK_EQUAL(load(mapping.at + pages(5)), 0);
    fill(fd, pages(5), pages(6));
    memmap_retain_holder(mapping.region);
    memmap_release_user(mapping.region, pages(below(seed, 2)), pages(3));
    CHECK_EQUAL(load(mapping.at + pages(1)), 0);
    store(mapping.at + pages(2), JUNK);
    CHECK_EQUAL(load(mapping.at + pages(2)), JUNK);
    memmap_release_holder(mapping.region);
  }
  for (uint64_t at = 0; at < pages(6); at++) CHECK_EQUAL(file_byte(fd, at), content_at(at));
  close(fd);
  return NULL;
}

static void map_and_close_meanwhile(void) {
  void *(*const disturbers[])(void *) = {map_fault_close, map_fault_close, map_fault_close};
  storm_over_file(MEMMAP_READ, true);
  run_storm(disturbers, 3, KIND(READ_ONLY));
  check_quiet(true);
}

/* One mapping is closed while others store to it; they go on with the reservation. */
static void close_while_storing(void) {
  int fd = make_file(pages(PAGES));
  storm.touch_bytes = pages(PAGES);
  storm.stores_junk = true;
  for (double end = check_seconds() + duration(); check_seconds() < end;) {
    struct thread threads[TOUCHERS];
    struct mapping mapping = map_file(fd, MEMMAP_READ);
    storm.at = mapping.at;
    atomic_store(&storm.stop, false);
    memmap_retain_holder(mapping.region);
    for (int i = 0; i < TOUCHERS; i++) start(touch, &threads[i]);
    usleep(300);
    memmap_release_user(mapping.region, 0, pages(PAGES));
    for (int i = 0; i < 5; i++) {
      struct memmap_fault faults[MEMMAP_FAULT_KINDS];
      memmap_collect(mapping.region, faults);
      CHECK_EQUAL(faults[MEMMAP_FAULT_TRUNCATED].count + faults[MEMMAP_FAULT_IO].count, 0);
      usleep(50);
    }
    atomic_store(&storm.stop, true);
    for (int i = 0; i < TOUCHERS; i++) pthread_join(threads[i].handle, NULL);
    memmap_release_holder(mapping.region);
    CHECK_EQUAL(count_maps(mapping.at, pages(PAGES)), 0);
  }
  for (uint64_t at = 0; at < pages(PAGES); at += 97) CHECK_EQUAL(file_byte(fd, at), content_at(at));
}

static const struct check_case cases[] = {
  {"cut under writers", cut_under_writers},
  {"cut under stray stores", cut_under_stray_stores},
  {"cut and protect", cut_and_protect},
  {"cut and protect, copy", cut_and_protect_copy},
  {"protect, private memory", protect_private_memory},
  {"protect, private memory, without /proc/self/mem", protect_without_proc},
  {"protect, memory object", protect_memory_object},
  {"resize in place", resize_in_place},
  {"resize by moving", resize_by_moving},
  {"map and close meanwhile", map_and_close_meanwhile},
  {"close while storing", close_while_storing},
};
CHECK_MAIN(cases)
