/*
 * range.c - operations on parts of a mapping: flush, advise, residency, lock, protect.
 */
#include <errno.h>

#include "core/region.h"
#include "core/room.h"

struct span { uintptr_t address; size_t length; };

/* The whole pages around a range, as far as they are mapped now. */
static struct span span_of(const memmap_region *region, uint64_t offset, uint64_t length) {
  struct pages pages = region_pages(region, offset, length);
  size_t mapped = region->mapped / region->page;
  if (pages.end > mapped) pages.end = mapped;
  if (pages.first >= pages.end || length == 0) return (struct span){0, 0};
  return (struct span){page_address(region, pages.first),
                       (pages.end - pages.first) * region->page};
}

/* What a change of the values of some pages makes of the borders between runs, each of which is one
 * between two mappings of the system. */
struct change { struct pages pages; uint8_t at_first, at_last; };

static int added_border(uint8_t outside, uint8_t inside, uint8_t next) {
  return (outside != next) - (outside != inside);
}

static int added_borders(const struct range_map *map, struct change change, size_t mapped) {
  size_t end, stop;
  int added = 0;
  uint8_t first = range_map_get(map, change.pages.first, &stop);
  for (end = stop; end < change.pages.end && added > -4; end = stop, added--) {
    range_map_get(map, end, &stop);
  }
  if (change.pages.first > 0) {
    added += added_border(range_map_get(map, change.pages.first - 1, &stop), first, change.at_first);
  }
  if (change.pages.end < mapped) {
    uint8_t last = range_map_get(map, change.pages.end - 1, &stop);
    added += added_border(range_map_get(map, change.pages.end, &stop), last, change.at_last);
  }
  return added;
}

/* A part that gets something of its own becomes a mapping of its own. What makes fewer of them is
 * always allowed. */
static int room_for(memmap_region *region, const struct range_map *map, struct change change,
                    enum memmap_call_name call) {
  platform_lock_take(&region->lock);
  int added = added_borders(map, change, region->mapped / region->page);
  platform_lock_drop(&region->lock);
  return added > 0 ? room_take(call) : 0;
}

static int room_for_value(memmap_region *region, const struct range_map *map, uint64_t offset,
                          uint64_t length, uint8_t value, enum memmap_call_name call) {
  struct change change = {region_pages(region, offset, length), value, value};
  return room_for(region, map, change, call);
}

int memmap_flush(memmap_region *region, uint64_t offset, uint64_t length, enum memmap_sync mode,
                 bool invalidate) {
  struct span span = span_of(region, offset, length);
  if (!span.length || region->fd < 0) return 0;
  return platform_sync(span.address, span.length, mode, invalidate);
}

/* -- advice --------------------------------------------------------------------------------------- */

/* What an advice makes of the bits of a page. */
static uint8_t advised(uint8_t bits, enum memmap_advice advice) {
  const uint8_t pattern = ADVICE_RANDOM | ADVICE_SEQUENTIAL;
  const uint8_t huge = ADVICE_HUGEPAGE | ADVICE_NOHUGEPAGE;
  switch (advice) {
    case MEMMAP_NORMAL: return (uint8_t)(bits & ~pattern);
    case MEMMAP_RANDOM: return (uint8_t)((bits & ~pattern) | ADVICE_RANDOM);
    case MEMMAP_SEQUENTIAL: return (uint8_t)((bits & ~pattern) | ADVICE_SEQUENTIAL);
    case MEMMAP_HUGEPAGE: return (uint8_t)((bits & ~huge) | ADVICE_HUGEPAGE);
    case MEMMAP_NOHUGEPAGE: return (uint8_t)((bits & ~huge) | ADVICE_NOHUGEPAGE);
    case MEMMAP_DONTFORK: return bits | ADVICE_DONTFORK;
    case MEMMAP_DOFORK: return (uint8_t)(bits & ~ADVICE_DONTFORK);
    case MEMMAP_DONTDUMP: return bits | ADVICE_DONTDUMP;
    case MEMMAP_DODUMP: return (uint8_t)(bits & ~ADVICE_DONTDUMP);
    case MEMMAP_MERGEABLE: return bits | ADVICE_MERGEABLE;
    case MEMMAP_UNMERGEABLE: return (uint8_t)(bits & ~ADVICE_MERGEABLE);
    default: return bits;
  }
}

/* Only what is lost by not remembering it is remembered: after a put-back the advice is gone. */
static void remember_advice(memmap_region *region, struct pages pages, enum memmap_advice advice) {
  for (size_t page = pages.first, stop; page < pages.end; page = stop) {
    uint8_t bits = range_map_get(&region->advices, page, &stop);
    if (stop > pages.end) stop = pages.end;
    uint8_t next = advised(bits, advice);
    if (next == bits) continue;
    if (range_map_reserve(&region->advices) != 0) return;
    range_map_set(&region->advices, page, stop, next);
  }
}

static int room_for_advice(memmap_region *region, uint64_t offset, uint64_t length,
                           enum memmap_advice advice) {
  size_t stop;
  struct change change = {.pages = region_pages(region, offset, length)};
  platform_lock_take(&region->lock);
  change.at_first = advised(range_map_get(&region->advices, change.pages.first, &stop), advice);
  change.at_last = advised(range_map_get(&region->advices, change.pages.end - 1, &stop), advice);
  platform_lock_drop(&region->lock);
  return room_for(region, &region->advices, change, MEMMAP_CALL_MADVISE);
}

static bool has_lock(memmap_region *region, struct pages pages) {
  region_check_locks(region);
  for (size_t page = pages.first, stop; page < pages.end; page = stop) {
    if (range_map_get(&region->locks, page, &stop)) return true;
  }
  return false;
}

/* A hole of exactly these bytes. MADV_REMOVE would take whole pages, and with the first and the last
 * what of the file lies before the mapping and behind it. */
static int remove_bytes(memmap_region *region, uint64_t offset, uint64_t length) {
  if (has_lock(region, region_pages(region, offset, length))) {
    return memmap_failure(MEMMAP_CALL_MADVISE, EINVAL);
  }
  uint64_t left = region->length_bytes > offset ? region->length_bytes - offset : 0;
  if (length > left) length = left;
  return length ? platform_punch(region->fd, region->object_offset + region->delta + offset, length)
                : 0;
}

static int give_advice(memmap_region *region, uint64_t offset, uint64_t length,
                       enum memmap_advice advice) {
  struct span span = span_of(region, offset, length);
  if (!span.length) return 0;
  if (advice == MEMMAP_REMOVE && region->is_shared && region->fd >= 0) {
    return remove_bytes(region, offset, length);
  }
  return platform_advise(span.address, span.length, advice);
}

int memmap_advise(memmap_region *region, uint64_t offset, uint64_t length,
                  enum memmap_advice advice) {
  /* Bringing pages in takes as long as the disk does; nobody shall wait for that. All other advice
   * is given under the lock, so that the mapping does not move away from under it. */
  bool is_long = advice == MEMMAP_POPULATE_READ || advice == MEMMAP_POPULATE_WRITE;
  if (is_long) {
    struct span span = span_of(region, offset, length);
    return span.length ? platform_advise(span.address, span.length, advice) : 0;
  }
  bool is_lasting = advised(0, advice) != 0 || advised(0xff, advice) != 0xff;
  int result = is_lasting && length > 0 ? room_for_advice(region, offset, length, advice) : 0;
  if (result) return result;
  platform_lock_take(&region->lock);
  result = give_advice(region, offset, length, advice);
  if (result == 0 && is_lasting && span_of(region, offset, length).length) {
    remember_advice(region, region_pages(region, offset, length), advice);
  }
  platform_lock_drop(&region->lock);
  return result;
}

int memmap_residency(memmap_region *region, uint64_t offset, uint64_t length,
                     unsigned char *pages, size_t page_count) {
  struct span span = span_of(region, offset, length);
  if (!span.length) return 0;
  if (region->fd >= 0 && !platform_may_see_cache(region->fd)) return 1;
  size_t system = platform_page_bytes();
  if (span.length / region->page > page_count) span.length = page_count * region->page;
  if (region->page == system) {
    int result = platform_resident(span.address, span.length, pages);
    for (size_t i = 0; i < page_count && result == 0; i++) pages[i] &= 1;
    return result;
  }
  /* The kernel answers in small pages; a huge page is there or not. */
  for (size_t i = 0; i < span.length / region->page; i++) {
    int result = platform_resident(span.address + i * region->page, system, &pages[i]);
    if (result) return result;
    pages[i] &= 1;
  }
  return 0;
}

/* -- locks ---------------------------------------------------------------------------------------- */

/* munlockall in this process makes all that the lock maps say untrue. */
static atomic_uint lock_epoch;

unsigned region_lock_epoch(void) { return atomic_load(&lock_epoch); }
void region_forget_locks(void) { atomic_fetch_add(&lock_epoch, 1); }

void region_check_locks(memmap_region *region) {
  unsigned now = atomic_load(&lock_epoch);
  if (region->lock_epoch != now) range_map_clear(&region->locks);
  region->lock_epoch = now;
}

/* Locks what is not locked yet, or only on fault when now is asked. The kernel leaves a range
 * marked as locked when it fails half way, so what this call has tried is taken back. */
static int lock_pages(memmap_region *region, struct pages pages, uint8_t how) {
  for (size_t page = pages.first, stop; page < pages.end; page = stop) {
    uint8_t had = range_map_get(&region->locks, page, &stop);
    if (stop > pages.end) stop = pages.end;
    if (had && (had == LOCK_NOW || how == LOCK_ON_FAULT)) continue;
    int result = platform_lock(page_address(region, page), (stop - page) * region->page,
                               how == LOCK_ON_FAULT);
    if (result == 0) continue;
    for (size_t undo = pages.first, end; undo < stop; undo = end) {
      uint8_t before = range_map_get(&region->locks, undo, &end);
      if (end > stop) end = stop;
      uintptr_t address = page_address(region, undo);
      if (!before) platform_unlock(address, (end - undo) * region->page);
      else if (before == LOCK_ON_FAULT) platform_lock(address, (end - undo) * region->page, true);
    }
    return result;
  }
  return 0;
}

static void remember_lock(memmap_region *region, struct pages pages, uint8_t how) {
  if (range_map_reserve(&region->locks) == 0) {
    range_map_set(&region->locks, pages.first, pages.end, how);
  }
}

int memmap_lock(memmap_region *region, uint64_t offset, uint64_t length, bool on_fault) {
  if (!span_of(region, offset, length).length) return 0;
  int result = room_for_value(region, &region->locks, offset, length,
                              on_fault ? LOCK_ON_FAULT : LOCK_NOW, MEMMAP_CALL_MLOCK);
  if (result) return result;
  struct pages pages = region_pages(region, offset, length);
  platform_lock_take(&region->lock);
  region_check_locks(region);
  region_put_back(region);
  result = lock_pages(region, pages, on_fault ? LOCK_ON_FAULT : LOCK_NOW);
  for (size_t page = pages.first, stop; result == 0 && page < pages.end; page = stop) {
    uint8_t had = range_map_get(&region->locks, page, &stop);
    if (stop > pages.end) stop = pages.end;
    if (had == LOCK_NOW) continue;
    remember_lock(region, (struct pages){page, stop}, on_fault ? LOCK_ON_FAULT : LOCK_NOW);
  }
  platform_lock_drop(&region->lock);
  return result;
}

int memmap_unlock(memmap_region *region, uint64_t offset, uint64_t length) {
  struct span span = span_of(region, offset, length);
  if (!span.length) return 0;
  int result = room_for_value(region, &region->locks, offset, length, 0, MEMMAP_CALL_MUNLOCK);
  if (result) return result;
  platform_lock_take(&region->lock);
  region_check_locks(region);
  region_put_back(region);
  result = platform_unlock(span.address, span.length);
  if (result == 0) remember_lock(region, region_pages(region, offset, length), 0);
  platform_lock_drop(&region->lock);
  return result;
}

/* -- protection ----------------------------------------------------------------------------------- */

/* Brings the kernel back to what the map says. */
static void reprotect(memmap_region *region, struct pages pages) {
  for (size_t page = pages.first, stop; page < pages.end; page = stop) {
    enum memmap_access protection = protection_at(region, page, &stop);
    if (stop > pages.end) stop = pages.end;
    platform_protect(page_address(region, page), (stop - page) * region->page, protection);
  }
}

int memmap_protect(memmap_region *region, uint64_t offset, uint64_t length,
                   enum memmap_access protection) {
  struct span span = span_of(region, offset, length);
  if (!span.length) return 0;
  bool is_file = region->object_kind != MEMMAP_OBJECT_NONE;
  if (is_file && protection == MEMMAP_WRITE && region->access == MEMMAP_READ) {
    return memmap_failure(MEMMAP_CALL_MPROTECT, EACCES);
  }
  uint8_t value = protection == default_protection(region) ? 0 : (uint8_t)(protection + 1);
  int result = room_for_value(region, &region->protections, offset, length, value,
                              MEMMAP_CALL_MPROTECT);
  if (result) return result;
  struct pages pages = region_pages(region, offset, length);
  platform_lock_take(&region->lock);
  region_put_back(region);
  result = range_map_reserve(&region->protections);
  if (result == 0) {
    result = platform_protect(span.address, span.length, protection);
    if (result) reprotect(region, pages);
  }
  if (result == 0) {
    range_map_set(&region->protections, pages.first, pages.end, value);
  }
  platform_lock_drop(&region->lock);
  return result;
}

enum memmap_access memmap_protection(memmap_region *region, uint64_t offset, uint64_t *end_bytes) {
  size_t stop;
  platform_lock_take(&region->lock);
  enum memmap_access protection =
      protection_at(region, region_pages(region, offset, 1).first, &stop);
  uint64_t mapped = region->mapped / region->page;
  uint64_t end = (stop < mapped ? stop : mapped) * region->page - region->delta;
  *end_bytes = end < region->length_bytes ? end : region->length_bytes;
  platform_lock_drop(&region->lock);
  return protection;
}
