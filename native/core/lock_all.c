/*
 * lock_all.c - locks on all of the process that can bear it.
 *
 * mlockall(2) would lock the engine's heap as well. V8 gives pages of its heap back with
 * madvise(MADV_DONTNEED), which the kernel refuses for locked memory (EINVAL), and V8 aborts when it
 * does (platform-posix.cc: SetPermissions, DiscardSystemPages): at the next collection, or when the
 * process ends. And a locked stack that grows beyond RLIMIT_MEMLOCK is a SIGSEGV. So what is locked
 * is what nobody gives back: programs, libraries and every other mapping of a file, malloc's heap,
 * and the mappings of this library, of which those to come are locked as they are made.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/region.h"
#include "core/registry.h"

struct part { uintptr_t start; size_t length; };
struct parts { struct part *parts; size_t count, capacity; bool is_out_of_memory; };

/* 0: none; LOCK_NOW or LOCK_ON_FAULT: of regions that are made from now on. */
static atomic_int coming;

int region_lock_of_new(void) { return atomic_load(&coming); }

static bool text_is(const memmap_maps *maps, uint32_t number, const char *expected) {
  struct memmap_maps_text text = maps->texts[number];
  return text.length == strlen(expected) &&
         memcmp(maps->bytes + text.offset, expected, text.length) == 0;
}

static bool is_readable(const memmap_maps *maps, const struct memmap_maps_entry *entry) {
  struct memmap_maps_text rights = maps->texts[entry->permissions];
  return rights.length > 0 && maps->bytes[rights.offset] == 'r';
}

/* V8 maps its built-in code a second time, near to the code that it compiles; that is its own. */
static bool is_copy_of_code(const memmap_maps *maps, size_t index) {
  const struct memmap_maps_entry *entry = &maps->entries[index];
  struct memmap_maps_text rights = maps->texts[entry->permissions];
  uint64_t end = entry->offset_bytes + (entry->end - entry->start);
  if (rights.length < 3 || maps->bytes[rights.offset + 2] != 'x') return false;
  for (size_t i = 0; i < index; i++) {
    const struct memmap_maps_entry *other = &maps->entries[i];
    if (other->inode == entry->inode && other->major == entry->major &&
        other->minor == entry->minor && other->permissions == entry->permissions &&
        other->offset_bytes <= entry->offset_bytes &&
        other->offset_bytes + (other->end - other->start) >= end) {
      return true;
    }
  }
  return false;
}

static bool is_of_file(const memmap_maps *maps, const struct memmap_maps_entry *entry) {
  struct memmap_maps_text name = maps->texts[entry->name];
  return name.length > 0 && maps->bytes[name.offset] == '/';
}

static bool is_locked(const memmap_maps *maps, size_t index) {
  for (size_t field = 0; field < maps->field_count; field++) {
    if (!text_is(maps, maps->fields[field], "VmFlags")) continue;
    double value = maps->values[index * maps->field_count + field];
    if (!(value <= -1)) return false;
    struct memmap_maps_text flags = maps->texts[(size_t)(-1 - value)];
    const char *at = maps->bytes + flags.offset;
    for (size_t i = 0; i + 2 <= flags.length; i += 3) {
      if (at[i] == 'l' && at[i + 1] == 'o') return true;
    }
  }
  return false;
}

static void add(struct parts *parts, uintptr_t start, size_t length) {
  if (parts->count == parts->capacity) {
    size_t capacity = parts->capacity ? 2 * parts->capacity : 256;
    struct part *grown = realloc(parts->parts, capacity * sizeof(*grown));
    if (!grown) {
      parts->is_out_of_memory = true;
      return;
    }
    parts->parts = grown;
    parts->capacity = capacity;
  }
  parts->parts[parts->count++] = (struct part){start, length};
}

static int add_files(struct parts *parts) {
  memmap_maps maps = {0};
  int result = memmap_read_maps("/proc/self/smaps", &maps);
  if (result) return result;
  for (size_t i = 0; i < maps.count; i++) {
    const struct memmap_maps_entry *entry = &maps.entries[i];
    bool is_file = is_of_file(&maps, entry) && !is_copy_of_code(&maps, i);
    bool is_one = is_file || text_is(&maps, entry->name, "[heap]");
    if (!is_one || !is_readable(&maps, entry) || is_locked(&maps, i)) continue;
    add(parts, (uintptr_t)entry->start, (size_t)(entry->end - entry->start));
  }
  memmap_free_maps(&maps);
  /* What was just freed may have made malloc's heap shorter. */
  uintptr_t heap_end = platform_heap_end();
  for (size_t i = 0; i < parts->count; i++) {
    struct part *part = &parts->parts[i];
    if (heap_end > part->start && heap_end - part->start < part->length) {
      part->length = heap_end - part->start;
    }
  }
  return 0;
}

/* The next pages from `page` on that can be locked and are not; none: first == end.
 * pre: the lock is held. */
static struct pages lockable(memmap_region *region, size_t page) {
  size_t end = region->is_closed ? 0 : region->mapped / region->page;
  for (size_t stop, locked_end; page < end; page = stop) {
    bool is_none = protection_at(region, page, &stop) == MEMMAP_NONE;
    bool is_locked_here = range_map_get(&region->locks, page, &locked_end) != 0;
    if (locked_end < stop) stop = locked_end;
    if (stop > end) stop = end;
    if (!is_none && !is_locked_here) return (struct pages){page, stop};
  }
  return (struct pages){end, end};
}

/* By their own borders: the kernel may have made one mapping of this memory and the engine's. Those
 * of objects are among the files. */
static void add_region(memmap_region *region, void *parts) {
  if (region->fd >= 0) return;
  platform_lock_take(&region->lock);
  region_check_locks(region);
  for (struct pages run = lockable(region, 0); run.first < run.end;
       run = lockable(region, run.end)) {
    add(parts, page_address(region, run.first), (run.end - run.first) * region->page);
  }
  platform_lock_drop(&region->lock);
}

/* What shall be locked and is not. */
static int find_parts(struct parts *parts) {
  *parts = (struct parts){0};
  int result = add_files(parts);
  unsigned ticket = registry_enter();
  registry_visit(add_region, parts);
  registry_leave(ticket);
  if (result == 0 && parts->is_out_of_memory) result = memmap_failure(MEMMAP_CALL_MALLOC, ENOMEM);
  if (result) free(parts->parts);
  return result;
}

static bool is_there(uintptr_t address) {
  unsigned char page;
  return memmap_errno(platform_resident(address, platform_page_bytes(), &page)) != ENOMEM;
}

/* Another thread has unmapped it, or malloc a part of its heap. */
static bool is_changed(struct part part) {
  return !is_there(part.start) || !is_there(part.start + part.length - platform_page_bytes());
}

enum { LOOKS_MAX = 16, CHANGED_MEANWHILE = 1 };

static int lock_parts(const struct parts *parts, bool on_fault) {
  /* Without a page brought in it can only fail at the limit. */
  for (size_t i = 0; i < parts->count; i++) {
    int result = platform_lock(parts->parts[i].start, parts->parts[i].length, true);
    if (result == 0) continue;
    if (is_changed(parts->parts[i])) result = CHANGED_MEANWHILE;
    /* What failed half way is marked as locked. */
    for (size_t undo = 0; undo <= i; undo++) {
      platform_unlock(parts->parts[undo].start, parts->parts[undo].length);
    }
    return result;
  }
  /* Pages that cannot come (a file that was cut) stay away, as with mlockall. */
  for (size_t i = 0; i < parts->count && !on_fault; i++) {
    platform_lock(parts->parts[i].start, parts->parts[i].length, false);
  }
  return 0;
}

/* So that the pages of a region are locked again when they are put back after a fault. */
static void remember(memmap_region *region, void *how) {
  uint8_t value = *(const uint8_t *)how;
  platform_lock_take(&region->lock);
  region_check_locks(region);
  for (struct pages run = lockable(region, 0); run.first < run.end;
       run = lockable(region, run.end)) {
    if (range_map_reserve(&region->locks) != 0) break;
    range_map_set(&region->locks, run.first, run.end, value);
  }
  platform_lock_drop(&region->lock);
}

static int lock_current(bool on_fault) {
  int result = CHANGED_MEANWHILE;
  for (int looks = 0; result == CHANGED_MEANWHILE && looks < LOOKS_MAX; looks++) {
    struct parts parts;
    result = find_parts(&parts);
    if (result) return result;
    result = lock_parts(&parts, on_fault);
    free(parts.parts);
  }
  if (result == CHANGED_MEANWHILE) result = memmap_failure(MEMMAP_CALL_MLOCK, EAGAIN);
  if (result) return result;
  uint8_t how = on_fault ? LOCK_ON_FAULT : LOCK_NOW;
  unsigned ticket = registry_enter();
  registry_visit(remember, &how);
  registry_leave(ticket);
  return 0;
}

int memmap_lock_all(bool current, bool future, bool on_fault) {
  if (!current && !future) return memmap_failure(MEMMAP_CALL_MLOCK, EINVAL);
  int result = current ? lock_current(on_fault) : 0;
  if (result == 0) atomic_store(&coming, !future ? 0 : on_fault ? LOCK_ON_FAULT : LOCK_NOW);
  return result;
}

int memmap_unlock_all(void) {
  atomic_store(&coming, 0);
  int result = platform_unlock_all();
  if (result == 0) region_forget_locks();
  return result;
}
