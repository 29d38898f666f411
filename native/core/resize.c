/*
 * resize.c - mapping and object change their length together, or neither does.
 *
 * Growing: blocks first (KEEP_SIZE: a full disk is known before anything has changed), then the
 * mapping, then the size of the file; whatever fails, setting the old size again frees the blocks.
 * Shrinking: the mapping first, then the file, so that no moment has pages behind the end.
 * A mapping that ends before its file never cuts it.
 *
 * With capacity the pages change where they are. Without, a new range is made, and the old one
 * becomes a closed region of its own, because buffers that are detached for JavaScript may still
 * be in the hands of native code.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/region.h"
#include "core/registry.h"
#include "core/room.h"

struct resizing {
  memmap_region *region;
  uint64_t length;      /* the new one */
  size_t mapped;        /* the new one */
  uint64_t object_size; /* before */
  bool is_allocated;    /* blocks behind the end, to be given back on failure */
  bool is_written;      /* as zeros: the size has changed */
};

static uint64_t object_end(const memmap_region *region, uint64_t length) {
  return region->object_offset + region->delta + length;
}

/* 0, a refusal or -errno. */
static int check(struct resizing *resizing, struct memmap_facts *facts) {
  memmap_region *region = resizing->region;
  bool is_device = region->object_kind == MEMMAP_OBJECT_CHARACTER_DEVICE ||
                   region->object_kind == MEMMAP_OBJECT_BLOCK_DEVICE;
  if (is_device || region->access == MEMMAP_COPY) return MEMMAP_NOT_RESIZABLE;
  bool is_fixed = region->is_borrowed || region->has_buffer || region->flags & MEMMAP_SHARED_OBJECT;
  if (is_fixed && !region->has_capacity)
    return MEMMAP_NOT_RESIZABLE;
  /* Huge pages from the pool cannot be moved and kept. */
  if (region->huge_shift && region->fd < 0 && !region->has_capacity) return MEMMAP_NOT_RESIZABLE;
  if (region->has_capacity && region->delta + resizing->length > region->reserved)
    return MEMMAP_OVER_CAPACITY;
  if (region->fd < 0) return 0;
  int64_t size = platform_size(region->fd);
  if (size < 0) return (int)size;
  facts->object_bytes = resizing->object_size = (uint64_t)size;
  if (region->access == MEMMAP_READ && object_end(region, resizing->length) > (uint64_t)size)
    return MEMMAP_LENGTH_BEHIND_END;
  return 0;
}

static int grow_object(struct resizing *resizing) {
  memmap_region *region = resizing->region;
  uint64_t end = object_end(region, resizing->length);
  if (region->fd < 0 || region->access != MEMMAP_WRITE || end <= resizing->object_size) return 0;
  resizing->is_allocated = true;
  int result = platform_allocate(region->fd, resizing->object_size, end - resizing->object_size);
  resizing->is_written = result != 0;
  return result < 0 ? result : 0;
}

static int set_object_size(struct resizing *resizing, uint64_t old_length) {
  memmap_region *region = resizing->region;
  if (region->fd < 0 || region->access != MEMMAP_WRITE) return 0;
  uint64_t end = object_end(region, resizing->length);
  if (end > resizing->object_size) {
    return platform_extend(region->fd, resizing->object_size, end);
  }
  if (resizing->length >= old_length) return 0;
  /* A sealed memory object keeps its size, without pages. */
  if (region->flags & MEMMAP_SHARED_OBJECT) {
    return platform_punch(region->fd, end, round_up(resizing->object_size, region->page) - end);
  }
  /* Cut only what ended with the mapping. */
  if (object_end(region, old_length) < resizing->object_size) return 0;
  return platform_resize(region->fd, end);
}

static void give_blocks_back(const struct resizing *resizing) {
  if (!resizing->is_allocated) return;
  int64_t size = platform_size(resizing->region->fd);
  /* A file that somebody else has grown meanwhile is left alone. */
  bool is_mine = resizing->is_written || (uint64_t)size == resizing->object_size;
  if (size >= 0 && is_mine) platform_resize(resizing->region->fd, resizing->object_size);
}

/* What was asked of the whole mapping is asked of what is added as well. */
static int advise_added(memmap_region *region, size_t first, size_t end) {
  if (!(region->flags & MEMMAP_HUGE_TRANSPARENT) || first >= end) return 0;
  int result = range_map_reserve(&region->advices);
  for (size_t page = first, stop; result == 0 && page < end; page = stop) {
    uint8_t bits = range_map_get(&region->advices, page, &stop);
    if (stop > end) stop = end;
    range_map_set(&region->advices, page, stop, bits | ADVICE_HUGEPAGE);
    result = range_map_reserve(&region->advices);
  }
  return result;
}

static void forget(memmap_region *region, size_t first, size_t end) {
  if (range_map_reserve(&region->protections) == 0)
    range_map_set(&region->protections, first, end, 0);
  if (range_map_reserve(&region->locks) == 0) range_map_set(&region->locks, first, end, 0);
}

/* The rest of the last page: bytes that come back by growing again are zeros. In files the kernel
 * sees to it. */
static void zero_tail(memmap_region *region) {
  static const char zeros[4096];
  if (region->fd >= 0 || !region->mapped) return;
  uintptr_t at = region->start + region->delta + (uintptr_t)region->length_bytes;
  for (uintptr_t end = region->start + region->mapped; at < end;) {
    size_t part = end - at < sizeof(zeros) ? (size_t)(end - at) : sizeof(zeros);
    if (platform_copy((void *)at, zeros, part).left) platform_poke(at, zeros, part);
    at += part;
  }
}

/* pre: the lock is held. */
static int resize_in_place(struct resizing *resizing) {
  memmap_region *region = resizing->region;
  size_t before = region->mapped / region->page, after = resizing->mapped / region->page;
  uint64_t old_length = region->length_bytes;
  int result = 0;
  if (after > before) {
    result = advise_added(region, before, after);
    size_t first = before;
    if (result == 0) result = region_place(region, &first, after);
    if (result == 0) result = region_lock_added(region, before, after);
  } else if (after < before) {
    result = place_reservation(page_address(region, after), (before - after) * region->page,
                               MEMMAP_NONE);
    if (result) return result;
  }
  if (result == 0) result = set_object_size(resizing, old_length);
  if (result) {
    if (after > before) {
      place_reservation(page_address(region, before), (after - before) * region->page,
                        MEMMAP_NONE);
      forget(region, before, after);
    } else if (after < before) {
      size_t first = after;
      region_place(region, &first, before);
    }
    return result;
  }
  if (after < before) forget(region, after, before);
  region->mapped = resizing->mapped;
  region->length_bytes = resizing->length;
  if (resizing->length < old_length) zero_tail(region);
  return 0;
}

/* Where a region was, to go back to or to leave behind. */
struct place { uintptr_t start; size_t mapped, reserved; };

static struct place place_of(const memmap_region *region) {
  return (struct place){region->start, region->mapped, region->reserved};
}
static void go_to(memmap_region *region, struct place place) {
  region->start = place.start;
  region->mapped = place.mapped;
  region->reserved = place.reserved;
}

/* Where the run ends that protections, advice and locks have made one mapping: what can be moved
 * at once (before Linux 6.17). */
static size_t piece_end(const memmap_region *region, size_t page, size_t end) {
  size_t by_protection, by_advice, by_lock;
  protection_at(region, page, &by_protection);
  range_map_get(&region->advices, page, &by_advice);
  range_map_get(&region->locks, page, &by_lock);
  if (by_protection < end) end = by_protection;
  if (by_advice < end) end = by_advice;
  return by_lock < end ? by_lock : end;
}

/* Moves a run of pages and their lock; on failure both are where they were. */
static int move_run(memmap_region *region, uintptr_t from, uintptr_t to, size_t first, size_t end) {
  size_t bytes = (end - first) * region->page;
  region_unlock_for_move(region, from, first, end);
  int result = platform_move(from, bytes, to, true);
  region_relock(region, result ? from : to, first, end);
  if (memmap_errno(result) != EFAULT || end - first < 2) return result;
  /* Several mappings after all, which the kernel did not make one again: half by half. */
  size_t middle = first + (end - first) / 2;
  size_t half = (middle - first) * region->page;
  result = move_run(region, from, to, first, middle);
  if (result) return result;
  result = move_run(region, from + half, to + half, middle, end);
  if (result) move_run(region, to, from, first, middle);
  return result;
}

/* Fills the new range: the object again, or the pages of anonymous memory moved into it.
 * pre: the lock is held and the region is at its new place. */
static int fill_new_place(memmap_region *region, struct place old) {
  size_t after = region->mapped / region->page, before = old.mapped / region->page;
  size_t kept = after < before ? after : before;
  int result = advise_added(region, before, after);
  if (result) return result;
  if (region->fd >= 0) {
    size_t first = 0;
    result = after ? region_place(region, &first, after) : 0;
    if (result == 0 && after > before) result = region_lock_added(region, before, after);
    return result;
  }
  size_t first = kept;
  result = after > kept ? region_place(region, &first, after) : 0;
  if (result == 0 && after > kept) result = region_lock_added(region, kept, after);
  size_t done = 0;
  for (size_t stop; result == 0 && done < kept; done = stop) {
    stop = piece_end(region, done, kept);
    result = move_run(region, old.start + done * region->page, page_address(region, done), done,
                      stop);
    if (result) break;
  }
  if (result == 0) return 0;
  /* Back again what has moved; the run that failed has not. */
  for (size_t page = 0, stop; page < done; page = stop) {
    stop = piece_end(region, page, done);
    move_run(region, page_address(region, page), old.start + page * region->page, page, stop);
  }
  return result;
}

/* Reserves the new range and makes it known, so that a fault in it finds the region. */
static int reserve_new_place(memmap_region *region, size_t mapped, struct place *place) {
  *place = (struct place){0, mapped, mapped};
  if (!mapped) return 0;
  size_t alignment = region->flags & MEMMAP_HUGE_TRANSPARENT ? TRANSPARENT_HUGE_BYTES : region->page;
  int result = reserve_addresses(&place->start, mapped, alignment);
  if (result) return result;
  result = registry_add(place->start, place->start + mapped, region);
  if (result) {
    platform_unmap(place->start, mapped);
    return memmap_failure(MEMMAP_CALL_MALLOC, ENOMEM);
  }
  return 0;
}

static void drop_place(struct place place) {
  if (!place.mapped) return;
  registry_remove(place.start);
  platform_unmap(place.start, place.reserved);
}

static int resize_by_moving(struct resizing *resizing, memmap_region **former) {
  memmap_region *region = resizing->region;
  struct place old = place_of(region), new;
  uint64_t old_length = region->length_bytes;
  memmap_region *closed = NULL;
  if (old.reserved) {
    closed = region_make_closed(old.start, old.reserved, region->page);
    if (!closed) return memmap_failure(MEMMAP_CALL_MALLOC, ENOMEM);
  }
  int result = reserve_new_place(region, resizing->mapped, &new);
  if (result) {
    free(closed);
    return result;
  }
  platform_lock_take(&region->lock);
  region_put_back(region);
  go_to(region, new);
  result = fill_new_place(region, old);
  if (result == 0) {
    result = set_object_size(resizing, old_length);
  }
  if (result) {
    go_to(region, old);
    if (new.mapped > old.mapped) forget(region, old.mapped / region->page, new.mapped / region->page);
    platform_lock_drop(&region->lock);
    drop_place(new);
    free(closed);
    return result;
  }
  region->length_bytes = resizing->length;
  if (resizing->length < old_length) zero_tail(region);
  if (new.mapped < old.mapped) forget(region, new.mapped / region->page, old.mapped / region->page);
  if (old.reserved) place_reservation(old.start, old.reserved, MEMMAP_READ);
  region->is_registered = new.mapped != 0;
  if (closed && region->works > 0) {
    memmap_retain_holder(closed);
    closed->next_former = region->formers;
    region->formers = closed;
  }
  platform_lock_drop(&region->lock);
  if (closed) registry_assign(old.start, closed), closed->is_registered = true;
  *former = closed;
  return 0;
}

int memmap_resize(memmap_region *region, uint64_t length, memmap_region **former,
                  struct memmap_facts *facts) {
  *former = NULL;
  if (length > (uint64_t)1 << 56) return memmap_failure(MEMMAP_CALL_MMAP, ENOMEM);
  struct resizing resizing = {
    .region = region, .length = length,
    .mapped = length ? round_up(region->delta + length, region->page) : 0,
  };
  int result = check(&resizing, facts);
  if (result) return result;
  /* Work that reads the memory itself must not read what is left in its old place. */
  platform_lock_take(&region->lock);
  bool is_pinned = region->readers > 0 && (!region->has_capacity || length < region->length_bytes);
  platform_lock_drop(&region->lock);
  if (is_pinned) return memmap_failure(MEMMAP_CALL_MREMAP, EBUSY);
  result = room_take(MEMMAP_CALL_MMAP);
  if (result) return result;
  result = grow_object(&resizing);
  if (result == 0 && region->has_capacity) {
    platform_lock_take(&region->lock);
    region_put_back(region);
    result = resize_in_place(&resizing);
    platform_lock_drop(&region->lock);
  } else if (result == 0) {
    result = resize_by_moving(&resizing, former);
  }
  if (result) give_blocks_back(&resizing);
  memmap_describe(region, facts);
  return result;
}
