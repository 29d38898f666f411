/*
 * registry.test.c - the table of ranges against a list, and readers against writers.
 *
 * The registry never looks into a region, so the tests enter owners of their own, which know what
 * they have owned and since when they own nothing any more.
 */
#include "core/registry.h"

#include <pthread.h>
#include <stdatomic.h>

#include "check.h"

struct owner {
  uintptr_t start, end; /* all that it has ever owned */
  atomic_bool is_gone;
};

static memmap_region *as_region(struct owner *owner) { return (memmap_region *)(void *)owner; }

/* Outside of enter and leave only to be compared: it may be freed at once. */
static struct owner *find(uintptr_t address) {
  unsigned ticket = registry_enter();
  struct owner *owner = (struct owner *)(void *)registry_find(address);
  registry_leave(ticket);
  return owner;
}

static struct owner *owner_new(uintptr_t start, uintptr_t end) {
  struct owner *owner = calloc(1, sizeof(*owner));
  CHECK(owner != NULL);
  *owner = (struct owner){.start = start, .end = end};
  return owner;
}

/* -- one thread: a list of ranges in a small address space ------------------------------------- */

enum { PAGE = 4096, SPACE = 400, RANGES = 64 };

struct range { size_t first, end; struct owner *owner; }; /* in pages; owner NULL: free */

static struct range ranges[RANGES];

static struct range *naive_find(size_t page) {
  for (size_t i = 0; i < RANGES; i++) {
    if (ranges[i].owner && page >= ranges[i].first && page < ranges[i].end) return &ranges[i];
  }
  return NULL;
}

static bool is_free(size_t first, size_t end) {
  for (size_t page = first; page < end; page++) {
    if (naive_find(page)) return false;
  }
  return true;
}

static void add(struct range *range) {
  size_t first = 1 + random_below(SPACE - 1), end = first + 1 + random_below(12);
  if (end > SPACE) return;
  if (!is_free(first, end)) { /* nothing lies over what is there */
    int result = registry_add(first * PAGE, end * PAGE, as_region(ranges[0].owner));
    CHECK_EQUAL(memmap_errno(result), EEXIST);
    return;
  }
  *range = (struct range){first, end, owner_new(first * PAGE, end * PAGE)};
  CHECK_EQUAL(registry_add(first * PAGE, end * PAGE, as_region(range->owner)), 0);
}

static void change(struct range *range) {
  switch (random_below(3)) {
    case 0:
      registry_remove(range->first * PAGE);
      free(range->owner);
      range->owner = NULL;
      break;
    case 1: {
      size_t length = range->end - range->first, cut = random_below(length);
      size_t first = range->first + cut, end = first + 1 + random_below(length - cut);
      registry_narrow(range->first * PAGE, first * PAGE, end * PAGE);
      range->first = first;
      range->end = end;
      break;
    }
    default: {
      struct owner *next = owner_new(range->first * PAGE, range->end * PAGE);
      registry_assign(range->first * PAGE, as_region(next));
      free(range->owner);
      range->owner = next;
    }
  }
}

static void check_same(void) {
  size_t count = 0;
  for (size_t i = 0; i < RANGES; i++) count += ranges[i].owner != NULL;
  CHECK_EQUAL(registry_count(), count);
  for (size_t page = 0; page < SPACE + 20; page++) {
    const struct range *range = naive_find(page);
    struct owner *expected = range ? range->owner : NULL;
    CHECK(find(page * PAGE) == expected);
    CHECK(find(page * PAGE + PAGE - 1) == expected);
  }
}

static void random_changes(void) {
  for (int step = 0; step < 6000; step++) {
    struct range *range = &ranges[random_below(RANGES)];
    if (range->owner) change(range);
    else add(range);
    CHECK(registry_is_sound());
    if (step % 8 == 0) check_same();
  }
  for (size_t i = 0; i < RANGES; i++) {
    if (!ranges[i].owner) continue;
    registry_remove(ranges[i].first * PAGE);
    free(ranges[i].owner);
    ranges[i].owner = NULL;
  }
  check_same();
}

/* Dead entries are dropped in bulk: many removals, in every order, and the same places again. */
static void many_entries(void) {
  enum { MANY = 3000, SMALL_STEP = 7 /* coprime to MANY: visits all, scattered */ };
  struct owner *owners[MANY];
  for (size_t i = 0; i < MANY; i++) owners[i] = owner_new((i + 1) * PAGE, (i + 2) * PAGE);
  for (int order = 0; order < 3; order++) {
    for (size_t i = 0; i < MANY; i++) {
      size_t at = order == 0 ? i : order == 1 ? MANY - 1 - i : i * SMALL_STEP % MANY;
      CHECK_EQUAL(registry_add(owners[at]->start, owners[at]->end, as_region(owners[at])), 0);
    }
    CHECK(registry_is_sound());
    CHECK_EQUAL(registry_count(), MANY);
    for (size_t i = 0; i < MANY; i++) {
      size_t at = order == 1 ? i : order == 0 ? MANY - 1 - i : i * SMALL_STEP % MANY;
      CHECK(find(owners[at]->start) == owners[at]);
      registry_remove(owners[at]->start);
      CHECK(find(owners[at]->start) == NULL);
      if (i % 100 == 0) CHECK(registry_is_sound());
    }
    CHECK_EQUAL(registry_count(), 0);
  }
  for (size_t i = 0; i < MANY; i++) free(owners[i]);
}

/* -- readers and writers ----------------------------------------------------------------------- */

/* Slots of ten pages. A slot belongs to one writer, but for those that stay: always found. */
enum { SLOTS = 90, SLOT_PAGES = 10, WRITERS = 2, READERS = 3, STAYING = 3, SECONDS = 2 };

static atomic_bool stop;
static atomic_uint_least64_t found_count;
static struct owner *staying[SLOTS];

static uintptr_t slot_start(size_t slot) { return (uintptr_t)(slot + 1) * SLOT_PAGES * PAGE; }

static void *read_always(void *seed) {
  uint64_t state = *(uint64_t *)seed, found = 0;
  while (!atomic_load(&stop)) {
    size_t slot = random_from(&state) % SLOTS;
    uintptr_t address = slot_start(slot) + random_from(&state) % (SLOT_PAGES * PAGE);
    unsigned ticket = registry_enter();
    struct owner *owner = (struct owner *)(void *)registry_find(address);
    if (owner) {
      CHECK(address >= owner->start && address < owner->end);
      /* A writer sets it only after it has waited for those who may have found the owner. */
      CHECK(!atomic_load(&owner->is_gone));
      found++;
    }
    if (staying[slot]) CHECK(owner == staying[slot]);
    registry_leave(ticket);
  }
  atomic_fetch_add(&found_count, found);
  return NULL;
}

static void end_of(struct owner *owner) {
  atomic_store(&owner->is_gone, true);
  free(owner);
}

/* One life of a slot: it comes, changes hands or gets smaller, and goes. */
static void live(size_t slot, uint64_t *state) {
  uintptr_t start = slot_start(slot) + random_from(state) % 3 * PAGE;
  uintptr_t end = slot_start(slot) + SLOT_PAGES * PAGE - random_from(state) % 3 * PAGE;
  struct owner *owner = owner_new(start, end);
  CHECK_EQUAL(registry_add(start, end, as_region(owner)), 0);
  CHECK(find(start) == owner && find(end - 1) == owner && find(start - 1) != owner);
  if (random_from(state) >> 63) {
    struct owner *next = owner_new(start, end);
    registry_assign(start, as_region(next));
    CHECK(find(start) == next);
    end_of(owner);
    owner = next;
  }
  if (random_from(state) >> 63) {
    registry_narrow(start, start + PAGE, end - PAGE);
    CHECK(find(start) == NULL && find(end - 1) == NULL && find(start + PAGE) == owner);
    start += PAGE;
  }
  registry_remove(start);
  CHECK(find(start) == NULL);
  end_of(owner);
}

struct writing { size_t number; uint64_t state; };

static void *write_always(void *argument) {
  struct writing *writing = argument;
  while (!atomic_load(&stop)) {
    size_t slot = random_from(&writing->state) % SLOTS;
    if (slot % (WRITERS + 1) == writing->number) live(slot, &writing->state);
  }
  return NULL;
}

static void readers_against_writers(void) {
  pthread_t readers[READERS], writers[WRITERS];
  uint64_t seeds[READERS];
  struct writing writings[WRITERS];
  for (size_t slot = WRITERS; slot < SLOTS; slot += WRITERS + 1) {
    uintptr_t start = slot_start(slot), end = slot_start(slot + 1);
    staying[slot] = owner_new(start, end);
    CHECK_EQUAL(registry_add(start, end, as_region(staying[slot])), 0);
  }
  for (size_t i = 0; i < READERS; i++) {
    seeds[i] = random_seed();
    CHECK_EQUAL(pthread_create(&readers[i], NULL, read_always, &seeds[i]), 0);
  }
  for (size_t i = 0; i < WRITERS; i++) {
    writings[i] = (struct writing){i, random_seed()};
    CHECK_EQUAL(pthread_create(&writers[i], NULL, write_always, &writings[i]), 0);
  }
  for (double end = check_seconds() + SECONDS; check_seconds() < end; usleep(10000)) {
    CHECK(registry_is_sound());
  }
  atomic_store(&stop, true);
  for (size_t i = 0; i < READERS; i++) pthread_join(readers[i], NULL);
  for (size_t i = 0; i < WRITERS; i++) pthread_join(writers[i], NULL);
  CHECK(atomic_load(&found_count) > 0);
  CHECK_EQUAL(registry_count(), SLOTS / (WRITERS + 1));
  for (size_t slot = WRITERS; slot < SLOTS; slot += WRITERS + 1) {
    registry_remove(slot_start(slot));
    free(staying[slot]);
  }
  CHECK_EQUAL(registry_count(), 0);
}

static const struct check_case cases[] = {
  {"random changes", random_changes},
  {"many entries", many_entries},
  {"readers against writers", readers_against_writers},
};
CHECK_MAIN(cases)
