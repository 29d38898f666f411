/*
 * registry.c - a sorted table of ranges, kept twice, so that readers never wait.
 *
 * A signal handler must find the region of an address while other threads map and unmap. A lock
 * would deadlock with the thread that the signal interrupted, and a reader that waits for a
 * preempted writer hangs under real-time scheduling. So the table is kept twice (Left-Right:
 * Ramalhete and Correia, "Left-Right: A Concurrency Control Technique with Wait-Free Population
 * Oblivious Reads", 2015): readers search the side that `active` names, the one writer changes the
 * other side, turns `active`, waits for the readers that may still be on the old side, and repeats
 * the change there.
 *
 *   reader: t = turn; inside[t]++; search tables[active]; ...; inside[t]--
 *   writer: change tables[!active]; active = !active;
 *           wait until inside[!turn] == 0; turn = !turn; wait until inside[!turn] == 0;
 *           change the other table
 *
 * Two counters, so that readers who keep arriving cannot starve the writer. All of these are
 * sequentially consistent: a reader either counts itself before the writer looks, and is awaited,
 * or it sees the new `active`.
 *
 * A table is an array sorted by descending start, because the kernel places mappings downwards:
 * the usual insertion is at the end. A removed entry stays as a dead one (region NULL) until an
 * insertion needs its place or half of the entries are dead; so 100,000 removals in any order cost
 * what they would cost sorted. Dead entries never overlap live ones: an insertion drops those
 * that it overlaps.
 */
#include "core/registry.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "platform/platform.h"

struct entry {
  uintptr_t start, end;
  memmap_region *region; /* NULL: dead */
};

struct table {
  struct entry *entries;
  size_t count, capacity, dead;
};

static struct table tables[2];
static atomic_uint active;
static atomic_uint turn;
static atomic_size_t inside[2];
static atomic_size_t changes;
static pthread_mutex_t writer = PTHREAD_MUTEX_INITIALIZER;

/* The first entry whose start is <= address, in descending order. */
static size_t position(const struct table *table, uintptr_t address) {
  size_t low = 0, high = table->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (table->entries[middle].start > address) low = middle + 1;
    else high = middle;
  }
  return low;
}

static void compact(struct table *table) {
  size_t kept = 0;
  for (size_t i = 0; i < table->count; i++) {
    if (table->entries[i].region) table->entries[kept++] = table->entries[i];
  }
  table->count = kept;
  table->dead = 0;
}

static int ensure(struct table *table) {
  if (table->count < table->capacity) return 0;
  size_t capacity = table->capacity ? table->capacity * 2 : 64;
  struct entry *entries = realloc(table->entries, capacity * sizeof(*entries));
  if (!entries) return memmap_failure(MEMMAP_CALL_MALLOC, ENOMEM);
  table->entries = entries;
  table->capacity = capacity;
  return 0;
}

struct slice { size_t first, last; };

/* The entries [first, last) that a range overlaps. */
static struct slice overlapped(const struct table *table, uintptr_t start, uintptr_t end) {
  size_t last = position(table, start);
  while (last < table->count && table->entries[last].end > start) last++;
  size_t first = last;
  while (first > 0 && table->entries[first - 1].start < end) first--;
  return (struct slice){first, last};
}

static bool is_taken(const struct table *table, uintptr_t start, uintptr_t end) {
  struct slice slice = overlapped(table, start, end);
  for (size_t i = slice.first; i < slice.last; i++) {
    if (table->entries[i].region) return true;
  }
  return false;
}

/* Drops the dead entries that the new one overlaps. pre: there is room for one; it is not taken. */
static void insert(struct table *table, struct entry entry) {
  struct slice slice = overlapped(table, entry.start, entry.end);
  size_t first = slice.first, last = slice.last;
  table->dead -= last - first;
  memmove(&table->entries[first + 1], &table->entries[last],
          (table->count - last) * sizeof(entry));
  table->entries[first] = entry;
  table->count = table->count - (last - first) + 1;
}

static struct entry *exact(struct table *table, uintptr_t start) {
  size_t at = position(table, start);
  return &table->entries[at]; /* pre of the callers: it exists */
}

static void erase(struct table *table, uintptr_t start) {
  exact(table, start)->region = NULL;
  table->dead++;
  if (table->dead > 64 && table->dead > table->count / 2) compact(table);
}

static void narrow(struct table *table, uintptr_t start, uintptr_t new_start, uintptr_t new_end) {
  struct entry *entry = exact(table, start);
  entry->start = new_start;
  entry->end = new_end;
}

static void await_readers(unsigned of_turn) {
  while (atomic_load(&inside[of_turn])) platform_yield();
}

/* Makes the changed side the active one and waits until nobody reads the other; returns it. */
static struct table *turn_over(void) {
  unsigned old = atomic_load(&active);
  atomic_store(&active, !old);
  unsigned now = atomic_load(&turn);
  await_readers(!now);
  atomic_store(&turn, !now);
  await_readers(now);
  return &tables[old];
}

static struct table *idle(void) { return &tables[!atomic_load(&active)]; }

int registry_add(uintptr_t start, uintptr_t end, memmap_region *region) {
  struct entry entry = {start, end, region};
  pthread_mutex_lock(&writer);
  int result = is_taken(idle(), start, end) ? memmap_failure(MEMMAP_CALL_NONE, EEXIST)
                                            : ensure(idle());
  if (result == 0) {
    insert(idle(), entry);
    struct table *other = turn_over();
    if (ensure(other) == 0) {
      insert(other, entry);
    } else {
      /* Take it back: both sides must say the same. */
      struct table *changed = turn_over();
      erase(changed, start);
      result = memmap_failure(MEMMAP_CALL_MALLOC, ENOMEM);
    }
  }
  atomic_fetch_add(&changes, 1);
  pthread_mutex_unlock(&writer);
  return result;
}

void registry_remove(uintptr_t start) {
  pthread_mutex_lock(&writer);
  erase(idle(), start);
  erase(turn_over(), start);
  atomic_fetch_add(&changes, 1);
  pthread_mutex_unlock(&writer);
}

void registry_narrow(uintptr_t start, uintptr_t new_start, uintptr_t new_end) {
  pthread_mutex_lock(&writer);
  narrow(idle(), start, new_start, new_end);
  narrow(turn_over(), start, new_start, new_end);
  pthread_mutex_unlock(&writer);
}

void registry_assign(uintptr_t start, memmap_region *region) {
  pthread_mutex_lock(&writer);
  exact(idle(), start)->region = region;
  exact(turn_over(), start)->region = region;
  pthread_mutex_unlock(&writer);
}

size_t registry_changes(void) { return atomic_load(&changes); }

unsigned registry_enter(void) {
  unsigned ticket = atomic_load(&turn);
  atomic_fetch_add(&inside[ticket], 1);
  return ticket;
}

memmap_region *registry_find(uintptr_t address) {
  const struct table *table = &tables[atomic_load(&active)];
  size_t at = position(table, address);
  if (at == table->count || address >= table->entries[at].end) return NULL;
  return table->entries[at].region;
}

void registry_visit(void (*visit)(memmap_region *region, void *context), void *context) {
  const struct table *table = &tables[atomic_load(&active)];
  for (size_t i = 0; i < table->count; i++) {
    if (table->entries[i].region) visit(table->entries[i].region, context);
  }
}

void registry_leave(unsigned ticket) { atomic_fetch_sub(&inside[ticket], 1); }

bool registry_is_sound(void) {
  pthread_mutex_lock(&writer);
  bool sound = true;
  for (int side = 0; side < 2; side++) {
    const struct table *table = &tables[side];
    size_t dead = 0;
    for (size_t i = 0; i < table->count; i++) {
      const struct entry *entry = &table->entries[i];
      dead += entry->region == NULL;
      sound = sound && entry->start < entry->end;
      if (i > 0) sound = sound && table->entries[i - 1].start >= entry->end;
    }
    sound = sound && dead == table->dead;
  }
  pthread_mutex_unlock(&writer);
  return sound;
}

size_t registry_count(void) {
  pthread_mutex_lock(&writer);
  size_t count = tables[0].count - tables[0].dead;
  pthread_mutex_unlock(&writer);
  return count;
}
