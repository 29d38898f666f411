/*
 * region.c - how a mapping comes and goes.
 */
#include "core/region.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/registry.h"
#include "core/room.h"

/* The largest length that still leaves room for rounding: 2^56 is far above any address space. */
#define BYTES_MAX ((uint64_t)1 << 56)

int place_reservation(uintptr_t address, size_t length, enum memmap_access protection) {
  return platform_map(&address, length, protection, PLATFORM_FIXED | PLATFORM_NORESERVE, 0, -1, 0);
}

enum memmap_access protection_at(const memmap_region *region, size_t page, size_t *end) {
  uint8_t value = range_map_get(&region->protections, page, end);
  return value ? (enum memmap_access)(value - 1) : default_protection(region);
}

static unsigned mapping_flags(const memmap_region *region) {
  return (region->is_shared ? PLATFORM_SHARED : 0) |
         (region->flags & MEMMAP_NORESERVE ? PLATFORM_NORESERVE : 0);
}

static int map_object_as(const memmap_region *region, uintptr_t *address, struct pages pages,
                         unsigned flags, enum memmap_access protection) {
  uint64_t offset = region->fd >= 0 ? region->object_offset + (uint64_t)pages.first * region->page
                                    : 0;
  return platform_map(address, (pages.end - pages.first) * region->page, protection,
                      mapping_flags(region) | flags, region->huge_shift, region->fd, offset);
}

static int map_object(const memmap_region *region, uintptr_t *address, size_t first, size_t end,
                      unsigned flags) {
  return map_object_as(region, address, (struct pages){first, end}, flags,
                       default_protection(region));
}

/* Private memory is accounted as writable when it is mapped writable; made otherwise it would not
 * become one mapping with its neighbours again. So it is made elsewhere and moved. */
static int place_run(const memmap_region *region, struct pages run,
                     enum memmap_access protection) {
  uintptr_t target = page_address(region, run.first), address = target;
  size_t length = (run.end - run.first) * region->page;
  bool is_accounted = !region->is_shared && default_protection(region) == MEMMAP_WRITE &&
                      protection != MEMMAP_WRITE && !region->huge_shift;
  if (!is_accounted) return map_object_as(region, &address, run, PLATFORM_FIXED, protection);
  address = 0;
  int result = map_object_as(region, &address, run, 0, MEMMAP_WRITE);
  if (result) return result;
  result = platform_protect(address, length, protection);
  if (result == 0) result = platform_move(address, length, target, false);
  if (result) platform_unmap(address, length);
  return result;
}

/* Each run with its protection from the first moment on: a store that comes between would get
 * into the object. */
int region_place(memmap_region *region, size_t *first, size_t end) {
  size_t begin = *first;
  int result = 0;
  for (size_t stop; *first < end && result == 0;) {
    enum memmap_access protection = protection_at(region, *first, &stop);
    if (stop > end) stop = end;
    result = place_run(region, (struct pages){*first, stop}, protection);
    if (result == 0) *first = stop;
  }
  region_restate(region, begin, *first);
  return result;
}

static const struct { int bit; enum memmap_advice advice; } advice_bits[] = {
  {ADVICE_RANDOM, MEMMAP_RANDOM},         {ADVICE_SEQUENTIAL, MEMMAP_SEQUENTIAL},
  {ADVICE_HUGEPAGE, MEMMAP_HUGEPAGE},     {ADVICE_NOHUGEPAGE, MEMMAP_NOHUGEPAGE},
  {ADVICE_DONTFORK, MEMMAP_DONTFORK},     {ADVICE_DONTDUMP, MEMMAP_DONTDUMP},
  {ADVICE_MERGEABLE, MEMMAP_MERGEABLE},
};

void region_relock(memmap_region *region, uintptr_t address, size_t first, size_t end) {
  for (size_t page = first, stop; page < end; page = stop) {
    uint8_t value = range_map_get(&region->locks, page, &stop);
    if (stop > end) stop = end;
    /* On fault: the pages come when they are touched, and nothing blocks here. */
    if (value) platform_lock(address + (page - first) * region->page, (stop - page) * region->page, true);
  }
}

void region_unlock_for_move(memmap_region *region, uintptr_t address, size_t first, size_t end) {
  for (size_t page = first, stop; page < end; page = stop) {
    uint8_t value = range_map_get(&region->locks, page, &stop);
    if (stop > end) stop = end;
    /* mremap with DONTUNMAP would count the locked pages twice. */
    if (value) platform_unlock(address + (page - first) * region->page, (stop - page) * region->page);
  }
}

void region_restate(memmap_region *region, size_t first, size_t end) {
  for (size_t page = first, stop; page < end; page = stop) {
    uint8_t bits = range_map_get(&region->advices, page, &stop);
    if (stop > end) stop = end;
    for (size_t i = 0; bits && i < sizeof(advice_bits) / sizeof(*advice_bits); i++) {
      if (!(bits & advice_bits[i].bit)) continue;
      platform_advise(page_address(region, page), (stop - page) * region->page,
                      advice_bits[i].advice);
    }
  }
  region_check_locks(region);
  region_relock(region, page_address(region, first), first, end);
}

/* -- opening ------------------------------------------------------------------------------------ */

struct opening {
  const struct memmap_request *request;
  memmap_region *region;
  struct platform_look look;
  bool is_created;     /* the file was made by this call */
  bool is_allocated;   /* blocks behind the end, to be given back on failure */
  bool is_written;     /* as zeros: the size has changed */
  bool is_extended;    /* the size is the one asked for */
};

static int open_object(struct opening *opening) {
  const struct memmap_request *request = opening->request;
  memmap_region *region = opening->region;
  region->fd = -1;
  if (!request->path && request->fd < 0) {
    opening->look.page_bytes =
        request->huge_shift ? (uint64_t)1 << request->huge_shift : platform_page_bytes();
    return 0;
  }
  int fd = request->path ? platform_open(request->path, request->access == MEMMAP_WRITE,
                                         request->flags & MEMMAP_CREATE, &opening->is_created)
                         : platform_duplicate(request->fd);
  if (fd < 0) return fd;
  region->fd = fd;
  return platform_look(fd, &opening->look);
}

/* Decides the range; returns 0, a refusal, or a negative errno. */
static int measure(struct opening *opening) {
  const struct memmap_request *request = opening->request;
  memmap_region *region = opening->region;
  const struct platform_look *look = &opening->look;
  bool is_anonymous = look->kind == MEMMAP_OBJECT_NONE;
  if (look->kind >= MEMMAP_OBJECT_DIRECTORY) return MEMMAP_NOT_MAPPABLE;
  if (!is_anonymous && request->huge_shift && look->page_bytes != (uint64_t)1 << request->huge_shift)
    return MEMMAP_NOT_HUGE;
  uint64_t length = (uint64_t)request->length_bytes;
  if (look->kind == MEMMAP_OBJECT_CHARACTER_DEVICE) {
    if (request->length_bytes < 0) return MEMMAP_LENGTH_NEEDED;
  } else if (!is_anonymous) {
    bool extends = request->flags & MEMMAP_EXTEND && request->length_bytes >= 0 &&
                   look->kind == MEMMAP_OBJECT_FILE;
    if (!extends && request->offset_bytes > look->size_bytes) return MEMMAP_OFFSET_BEHIND_END;
    if (request->length_bytes < 0) length = look->size_bytes - request->offset_bytes;
    else if (!extends && length > look->size_bytes - request->offset_bytes)
      return MEMMAP_LENGTH_BEHIND_END;
  }
  if (request->capacity_bytes && length > request->capacity_bytes) return MEMMAP_OVER_CAPACITY;
  uint64_t capacity = request->capacity_bytes ? request->capacity_bytes : length;
  if (capacity > BYTES_MAX || request->offset_bytes > BYTES_MAX)
    return memmap_failure(MEMMAP_CALL_MMAP, ENOMEM);
  region->object_offset = round_down(request->offset_bytes, region->page);
  region->delta = (size_t)(request->offset_bytes - region->object_offset);
  region->length_bytes = length;
  region->mapped = length ? round_up(region->delta + length, region->page) : 0;
  region->reserved = request->capacity_bytes ? round_up(region->delta + capacity, region->page)
                                             : region->mapped;
  return 0;
}

/* A file of size 0 may be one that has no size and cannot be mapped (proc, sysfs). */
static int probe_empty(struct opening *opening) {
  memmap_region *region = opening->region;
  if (opening->look.kind != MEMMAP_OBJECT_FILE || opening->look.size_bytes) return 0;
  uintptr_t address = 0;
  int result = map_object(region, &address, 0, 1, 0);
  if (memmap_errno(result) == EIO) {
    /* Some of proc say so instead of ENODEV (fs/proc/inode.c, proc_reg_mmap). */
    opening->look.kind = MEMMAP_OBJECT_OTHER;
    return MEMMAP_NOT_MAPPABLE;
  }
  return result ? result : platform_unmap(address, region->page);
}

static int extend_object(struct opening *opening) {
  memmap_region *region = opening->region;
  uint64_t end = opening->request->offset_bytes + region->length_bytes;
  if (!(opening->request->flags & MEMMAP_EXTEND) || end <= opening->look.size_bytes) return 0;
  if (opening->look.kind != MEMMAP_OBJECT_FILE) return 0;
  uint64_t size = opening->look.size_bytes;
  opening->is_allocated = true;
  int result = platform_allocate(region->fd, size, end - size);
  opening->is_written = result != 0;
  return result < 0 ? result : 0;
}

int reserve_addresses(uintptr_t *address, size_t length, size_t alignment) {
  size_t slack = alignment > platform_page_bytes() ? alignment : 0;
  *address = 0;
  int result = platform_map(address, length + slack, MEMMAP_NONE, PLATFORM_NORESERVE, 0, -1, 0);
  if (result || !slack) return result;
  uintptr_t start = round_up(*address, alignment);
  if (start > *address) platform_unmap(*address, start - *address);
  if (start < *address + slack) platform_unmap(start + length, *address + slack - start);
  *address = start;
  return 0;
}

/* Finds addresses for the whole reservation and maps the object over its first part. */
static int place(struct opening *opening) {
  const struct memmap_request *request = opening->request;
  memmap_region *region = opening->region;
  uintptr_t address = (uintptr_t)request->address;
  bool is_transparent = request->flags & MEMMAP_HUGE_TRANSPARENT && !address;
  int result;
  if (region->reserved == region->mapped && !is_transparent) {
    result = map_object(region, &address, 0, region->mapped / region->page,
                        address ? PLATFORM_NOREPLACE : 0);
    if (result == 0) region->start = address;
    return result;
  }
  if (address) {
    result = platform_map(&address, region->reserved, MEMMAP_NONE,
                          PLATFORM_NOREPLACE | PLATFORM_NORESERVE, 0, -1, 0);
  } else {
    result = reserve_addresses(&address, region->reserved,
                               is_transparent ? TRANSPARENT_HUGE_BYTES : region->page);
  }
  if (result) return result;
  region->start = address;
  if (!region->mapped) return 0;
  result = map_object(region, &address, 0, region->mapped / region->page, PLATFORM_FIXED);
  if (result) {
    platform_unmap(region->start, region->reserved);
    region->start = 0;
  }
  return result;
}

int region_lock_added(memmap_region *region, size_t first, size_t end) {
  if (!(region->flags & (MEMMAP_LOCKED | MEMMAP_LOCKED_ON_FAULT)) || first >= end) return 0;
  bool on_fault = !(region->flags & MEMMAP_LOCKED);
  int result = range_map_reserve(&region->locks);
  if (result == 0) {
    result = platform_lock(page_address(region, first), (end - first) * region->page, on_fault);
  }
  if (result == 0) {
    range_map_set(&region->locks, first, end, on_fault ? LOCK_ON_FAULT : LOCK_NOW);
  }
  return result;
}

/* lockAll of what comes, where it can be brought in. */
static uint32_t flags_of_new(const struct memmap_request *request) {
  int lock = request->access == MEMMAP_NONE ? 0 : region_lock_of_new();
  return request->flags | (lock == LOCK_NOW ? (uint32_t)MEMMAP_LOCKED : 0) |
         (lock == LOCK_ON_FAULT ? (uint32_t)MEMMAP_LOCKED_ON_FAULT : 0);
}

static int prepare_pages(struct opening *opening) {
  memmap_region *region = opening->region;
  uint32_t flags = opening->request->flags;
  if (!region->mapped) return 0;
  if (flags & MEMMAP_HUGE_TRANSPARENT) {
    int result = platform_advise(region->start, region->mapped, MEMMAP_HUGEPAGE);
    if (result == 0) result = range_map_reserve(&region->advices);
    if (result) return result;
    range_map_set(&region->advices, 0, region->reserved / region->page, ADVICE_HUGEPAGE);
  }
  if (opening->request->advice >= 0) {
    int result = memmap_advise(region, 0, region->length_bytes,
                               (enum memmap_advice)opening->request->advice);
    if (result) return result;
  }
  if (flags & MEMMAP_POPULATE && default_protection(region) != MEMMAP_NONE) {
    bool is_write = default_protection(region) == MEMMAP_WRITE && !region->is_shared &&
                    opening->look.kind == MEMMAP_OBJECT_NONE;
    int result = platform_advise(region->start, region->mapped,
                                 is_write ? MEMMAP_POPULATE_WRITE : MEMMAP_POPULATE_READ);
    /* Before Linux 5.14, and for devices: tell the kernel and let it come. */
    if (memmap_errno(result) == EINVAL) {
      result = platform_advise(region->start, region->mapped, MEMMAP_WILLNEED);
    }
    if (result) return result;
  }
  return region_lock_added(region, 0, region->mapped / region->page);
}

static int finish_extending(struct opening *opening) {
  if (!opening->is_allocated) return 0;
  uint64_t end = opening->request->offset_bytes + opening->region->length_bytes;
  int result = platform_extend(opening->region->fd, opening->look.size_bytes, end);
  opening->is_extended = result == 0;
  return result;
}

static int make_memory_object(struct opening *opening) {
  memmap_region *region = opening->region;
  if (!(opening->request->flags & MEMMAP_SHARED_OBJECT) || region->fd >= 0) return 0;
  /* As long as was asked for, so that who opens it finds that length; of huge pages whole ones. */
  uint64_t size = region->huge_shift ? region->mapped : region->length_bytes;
  int fd = platform_memory_object(size, region->huge_shift);
  if (fd < 0) return fd;
  region->fd = fd;
  opening->look.size_bytes = size;
  return 0;
}

/* Setting the size that a file has frees the blocks behind it. A file that somebody else has
 * grown meanwhile is left alone. */
static void give_blocks_back(struct opening *opening) {
  int64_t size = platform_size(opening->region->fd);
  uint64_t end = opening->request->offset_bytes + opening->region->length_bytes;
  bool is_mine = opening->is_written || (uint64_t)size == opening->look.size_bytes ||
                 (opening->is_extended && (uint64_t)size == end);
  if (size >= 0 && is_mine) platform_resize(opening->region->fd, opening->look.size_bytes);
}

static void undo(struct opening *opening) {
  memmap_region *region = opening->region;
  int fd = region->fd;
  if (region->start) platform_unmap(region->start, region->reserved);
  if (opening->is_allocated) give_blocks_back(opening);
  if (opening->is_created) platform_unlink(opening->request->path);
  if (fd >= 0) platform_close(fd);
  range_map_free(&region->advices);
  range_map_free(&region->locks);
  free(region);
}

static int realize(struct opening *opening) {
  memmap_region *region = opening->region;
  int result = make_memory_object(opening);
  if (result == 0) result = extend_object(opening);
  if (result == 0 && region->reserved) result = place(opening);
  if (result == 0) result = finish_extending(opening);
  if (result == 0) result = prepare_pages(opening);
  if (result == 0 && region->reserved) {
    result = registry_add(region->start, region->start + region->reserved, region);
    region->is_registered = result == 0;
  }
  return result;
}

int memmap_map(const struct memmap_request *request, memmap_region **result_region,
               struct memmap_facts *facts) {
  int result = memmap_initialize();
  if (result == 0) result = room_take(MEMMAP_CALL_MMAP);
  if (result) return result;
  memmap_region *region = calloc(1, sizeof(*region));
  if (!region) return memmap_failure(MEMMAP_CALL_MALLOC, ENOMEM);
  struct opening opening = {.request = request, .region = region};
  atomic_init(&region->users, 1);
  atomic_init(&region->holders, 1);
  region->lock_epoch = region_lock_epoch();
  result = open_object(&opening);
  region->page = (size_t)opening.look.page_bytes;
  region->object_kind = opening.look.kind;
  region->access = request->access;
  region->flags = flags_of_new(request);
  region->huge_shift = opening.look.kind == MEMMAP_OBJECT_NONE ? request->huge_shift : 0;
  region->has_capacity = request->capacity_bytes != 0;
  region->is_shared = opening.look.kind == MEMMAP_OBJECT_NONE
                          ? (request->flags & MEMMAP_SHARED_OBJECT) != 0
                          : request->access != MEMMAP_COPY && !(request->flags & MEMMAP_PRIVATE);
  if (result == 0) result = probe_empty(&opening);
  if (result == 0) result = measure(&opening);
  if (result == 0) result = realize(&opening);
  if (result) {
    facts->object_bytes = opening.look.size_bytes;
    facts->object_kind = opening.look.kind;
    facts->page_bytes = opening.look.page_bytes;
    undo(&opening);
    return result;
  }
  memmap_describe(region, facts);
  facts->object_bytes = opening.is_extended ? request->offset_bytes + region->length_bytes
                                            : opening.look.size_bytes;
  *result_region = region;
  return 0;
}

void memmap_describe(const memmap_region *region, struct memmap_facts *facts) {
  facts->address = region->length_bytes || region->has_capacity ? region->start + region->delta : 0;
  facts->length_bytes = region->length_bytes;
  facts->capacity_bytes = region->has_capacity ? region->reserved - region->delta : 0;
  facts->page_bytes = region->page;
  facts->object_kind = region->object_kind;
  facts->fd = region->fd;
  facts->access = region->access;
  facts->offset_bytes = region->object_offset + region->delta;
}

int64_t memmap_object_bytes(const memmap_region *region) {
  if (region->fd < 0) return (int64_t)region->length_bytes;
  return platform_size(region->fd);
}

int memmap_identify(const memmap_region *region, struct memmap_identity *identity) {
  return platform_identify(region->fd, identity);
}

int memmap_move_onto(memmap_region *region, void *over) {
  uintptr_t target = (uintptr_t)over, former = region->start;
  int result = registry_add(target, target + region->reserved, region);
  if (result) return result;
  /* Before the pages leave: from then on the kernel may give the range to another thread. */
  registry_remove(former);
  if (region->mapped) result = platform_move(former, region->mapped, target, false);
  if (result) {
    registry_remove(target);
    region->is_registered = registry_add(former, former + region->reserved, region) == 0;
    return result;
  }
  region->start = target;
  region->is_borrowed = true;
  size_t tail = region->reserved - region->mapped;
  if (tail) {
    platform_unmap(former + region->mapped, tail);
    result = place_reservation(target + region->mapped, tail, MEMMAP_NONE);
  }
  return result;
}

void memmap_abandon(memmap_region *region) {
  platform_lock_take(&region->lock);
  region->is_abandoned = true;
  region->patch_count = 0;
  platform_lock_drop(&region->lock);
}

/* -- the end ------------------------------------------------------------------------------------ */

/* Regions whose addresses the kernel would not take back (a munmap in the middle of merged
 * reservations needs one more mapping than the limit allows); tried again at each release. */
static memmap_region *unreleased;
static pthread_mutex_t unreleased_lock = PTHREAD_MUTEX_INITIALIZER;

static bool return_addresses(memmap_region *region) {
  return !region->reserved || platform_unmap(region->start, region->reserved) == 0;
}

static void retry_unreleased(void) {
  pthread_mutex_lock(&unreleased_lock);
  while (unreleased && return_addresses(unreleased)) {
    memmap_region *region = unreleased;
    unreleased = region->next_unreleased;
    free(region);
  }
  pthread_mutex_unlock(&unreleased_lock);
}

static void keep_unreleased(memmap_region *region) {
  pthread_mutex_lock(&unreleased_lock);
  region->next_unreleased = unreleased;
  unreleased = region;
  pthread_mutex_unlock(&unreleased_lock);
}

static void region_end(memmap_region *region) {
  if (region->is_borrowed) {
    /* Ordinary memory again before its owner frees or reuses it; and only then not ours. */
    if (!region->is_abandoned) {
      place_reservation(region->start, region->reserved, MEMMAP_WRITE);
    }
    registry_remove(region->start);
    free(region);
    return;
  }
  if (region->is_registered) registry_remove(region->start);
  if (!return_addresses(region)) {
    keep_unreleased(region);
    return;
  }
  free(region);
  if (unreleased) retry_unreleased();
}

static void release(memmap_region *region, size_t users, size_t holders);

void memmap_retain_holder(memmap_region *region) { atomic_fetch_add(&region->holders, 1); }

void memmap_release_holder(memmap_region *region) { release(region, 0, 1); }

void memmap_retain_user(memmap_region *region) {
  atomic_fetch_add(&region->users, 1);
  memmap_retain_holder(region);
}

/* Gives the object back and leaves reservations where buffers may still point. The lock order
 * forbids the registry while the region's lock is held, so the parts outside are unmapped last,
 * when no handler can be at work in them. */
static void region_close(memmap_region *region, bool is_held) {
  platform_lock_take(&region->lock);
  region_put_back(region);
  region->is_closed = true;
  /* Who holds it without having said where may be anywhere in it. */
  if (is_held && !region->keep_end) region->keep_end = region->reserved;
  size_t keep_first = region->is_borrowed ? 0 : region->keep_first;
  size_t keep_end = region->is_borrowed ? region->reserved : region->keep_end;
  if (region->is_abandoned) keep_end = 0;
  if (keep_end && place_reservation(region->start + keep_first, keep_end - keep_first,
                                    MEMMAP_READ)) {
    /* Too many mappings to cut one out of the middle: keep the whole. */
    keep_first = 0, keep_end = region->reserved;
    place_reservation(region->start, region->reserved, MEMMAP_READ);
  }
  uintptr_t start = region->start;
  size_t reserved = region->reserved;
  if (keep_end) {
    region->start = start + keep_first;
    region->reserved = keep_end - keep_first;
  }
  region->mapped = 0;
  range_map_free(&region->protections);
  range_map_free(&region->locks);
  range_map_free(&region->advices);
  int fd = region->fd;
  region->fd = -1;
  platform_lock_drop(&region->lock);
  if (keep_end && (keep_first || keep_end < reserved)) {
    registry_narrow(start, start + keep_first, start + keep_end);
    if (keep_first) platform_unmap(start, keep_first);
    if (keep_end < reserved) platform_unmap(start + keep_end, reserved - keep_end);
  }
  if (fd >= 0) platform_close(fd);
}

/* -- sharing between threads ---------------------------------------------------------------------- */

static memmap_region *shared_regions;
static uint64_t shared_count;
static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;

uint64_t memmap_share(memmap_region *region) {
  pthread_mutex_lock(&shared_lock);
  if (!region->number) {
    region->number = ++shared_count;
    region->next_shared = shared_regions;
    shared_regions = region;
  }
  uint64_t number = region->number;
  pthread_mutex_unlock(&shared_lock);
  return number;
}

/* One more user, unless the last one is gone. */
static bool join(memmap_region *region) {
  size_t users = atomic_load(&region->users);
  while (users > 0 && !atomic_compare_exchange_weak(&region->users, &users, users + 1)) continue;
  if (users == 0) return false;
  memmap_retain_holder(region);
  return true;
}

memmap_region *memmap_attach(uint64_t number) {
  pthread_mutex_lock(&shared_lock);
  memmap_region *region = shared_regions;
  while (region && region->number != number) region = region->next_shared;
  if (region && !join(region)) region = NULL;
  pthread_mutex_unlock(&shared_lock);
  return region;
}

static void leave_shared(memmap_region *region) {
  if (!region->number) return;
  pthread_mutex_lock(&shared_lock);
  memmap_region **link = &shared_regions;
  while (*link != region) link = &(*link)->next_shared;
  *link = region->next_shared;
  pthread_mutex_unlock(&shared_lock);
}

static void keep_addresses(memmap_region *region, uint64_t first_bytes, uint64_t end_bytes) {
  if (!end_bytes || !region->reserved) return;
  size_t first = round_down(first_bytes, region->page);
  size_t end = round_up(end_bytes, region->page);
  if (end > region->reserved) end = region->reserved;
  platform_lock_take(&region->lock);
  if (!region->keep_end || first < region->keep_first) region->keep_first = first;
  if (end > region->keep_end) region->keep_end = end;
  platform_lock_drop(&region->lock);
}

/* pre: users <= holders, and the caller has as many of both. */
static void release(memmap_region *region, size_t users, size_t holders) {
  if (users && atomic_fetch_sub(&region->users, users) == users) {
    leave_shared(region);
    region_close(region, atomic_load(&region->holders) > holders);
  }
  if (atomic_fetch_sub(&region->holders, holders) == holders) region_end(region);
}

void memmap_release_user(memmap_region *region, uint64_t keep_first, uint64_t keep_end) {
  keep_addresses(region, keep_first, keep_end);
  release(region, 1, 1);
}

void memmap_buffer_begin(memmap_region *region) {
  memmap_retain_holder(region);
  pthread_mutex_lock(&shared_lock);
  region->has_buffer = true;
  pthread_mutex_unlock(&shared_lock);
}

void memmap_buffer_end(memmap_region *region) {
  pthread_mutex_lock(&shared_lock);
  region->has_buffer = false;
  size_t users = region->left_users;
  region->left_users = 0;
  pthread_mutex_unlock(&shared_lock);
  release(region, users, users + 1);
}

void memmap_leave_to_buffer(memmap_region *region) {
  pthread_mutex_lock(&shared_lock);
  bool has_buffer = region->has_buffer;
  if (has_buffer) region->left_users++;
  pthread_mutex_unlock(&shared_lock);
  if (!has_buffer) memmap_release_user(region, 0, 0);
}

bool memmap_is_closed(const memmap_region *region) { return region->is_closed; }

memmap_region *region_make_closed(uintptr_t start, size_t length, size_t page) {
  memmap_region *region = calloc(1, sizeof(*region));
  if (!region) return NULL;
  atomic_init(&region->holders, 1);
  region->start = start;
  region->reserved = length;
  region->page = page;
  region->fd = -1;
  region->is_closed = true;
  return region;
}
