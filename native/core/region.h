/*
 * region.h - one mapping, inside the engine.
 *
 *   start                                    start + mapped          start + reserved
 *     |<- delta ->|<------ length_bytes ------>|                          |
 *     |-------------- object under it ---------|------ reservation -------|
 *
 * start, mapped, reserved and object_offset are multiples of `page`. The reservation behind the
 * mapped part is there only with a capacity.
 *
 * Locking: `lock` guards everything below it. A fault handler takes it, so whoever holds it must
 * not touch mapped memory and must not call the registry's writers (they wait for handlers).
 */
#ifndef MEMMAP_REGION_H
#define MEMMAP_REGION_H

#include <stdatomic.h>

#include "core/range_map.h"
#include "memmap.h"
#include "platform/platform.h"

enum patch_kind {
  PATCH_ZEROS,   /* put back by mapping the object again */
  PATCH_PRIVATE, /* likewise: pages of the object, private */
  PATCH_COPY,   /* the stash holds a copy of the content; write it back */
  PATCH_MOVE,   /* the stash holds the pages themselves; move them back */
  PATCH_OPEN,   /* only the protection was raised: nothing else was to be had */
  PATCH_CLOSED, /* a page of a closed reservation */
};

struct patch {
  size_t first, end; /* pages of the region */
  uintptr_t stash;
  int kind; /* enum patch_kind */
};

/* Runs double, so that twice the logarithm of the page count is enough for each run of one
 * protection. Where there are many of those the table grows; see fault.c. */
enum { PATCHES_INSIDE = 32 };

/* Bits of the advice map: what madvise leaves in a mapping, to be told to its successor. */
enum {
  ADVICE_RANDOM = 1 << 0, ADVICE_SEQUENTIAL = 1 << 1, ADVICE_HUGEPAGE = 1 << 2,
  ADVICE_NOHUGEPAGE = 1 << 3, ADVICE_DONTFORK = 1 << 4, ADVICE_DONTDUMP = 1 << 5,
  ADVICE_MERGEABLE = 1 << 6,
};
enum { LOCK_NOW = 1, LOCK_ON_FAULT = 2 };

struct memmap_region {
  atomic_size_t users, holders;
  atomic_bool is_faulted; /* records wait */
  atomic_size_t guards;   /* open now, of all threads */
  _Atomic(uint64_t) fault_count; /* ever, collected or not */

  struct platform_lock lock;
  uintptr_t start; /* 0: an empty region without capacity; it has no addresses */
  size_t reserved, page, delta;
  /* Changed under the lock by resize; others may look without it and see either value. */
  atomic_size_t mapped;
  _Atomic(uint64_t) length_bytes;
  uint64_t object_offset;
  int fd; /* -1: none, or given back */
  int object_kind;
  enum memmap_access access;
  uint32_t flags; /* enum memmap_flags */
  unsigned huge_shift;
  bool is_shared;    /* MAP_SHARED */
  atomic_bool is_closed;
  bool is_borrowed;  /* the memory belongs to somebody else */
  bool is_abandoned; /* who has given it away meanwhile */
  bool has_capacity;
  bool is_registered;
  size_t works;            /* pieces of work in flight */
  size_t readers;          /* of them, those that read the memory itself */
  memmap_region *formers;  /* where it was; the works may be about to use these addresses */
  memmap_region *next_former;
  size_t keep_first, keep_end; /* bytes that stay reserved when the last user goes; end 0: none */

  struct range_map protections; /* protection + 1 where it differs from the access */
  struct range_map locks;
  struct range_map advices;
  unsigned lock_epoch;

  struct patch patches_inside[PATCHES_INSIDE];
  struct patch *patches; /* patches_inside, or a mapping of its own */
  size_t patch_count, patch_capacity;
  unsigned doublings;
  unsigned doubts; /* whether the object failed or only changes its size all the time */
  uintptr_t retry_address;
  unsigned retries;
  struct memmap_fault faults[MEMMAP_FAULT_KINDS];

  memmap_region *next_unreleased;

  /* Guarded by the lock of the list of shared regions: */
  size_t left_users;      /* that the buffer will release */
  bool has_buffer;
  uint64_t number;        /* 0: in no list */
  memmap_region *next_shared;
};

static inline size_t round_down(uint64_t value, size_t page) { return (size_t)(value - value % page); }
static inline size_t round_up(uint64_t value, size_t page) {
  return round_down(value + page - 1, page);
}

/* The pages [first, end) that hold a range of the user's bytes. */
struct pages { size_t first, end; };
static inline struct pages region_pages(const memmap_region *region, uint64_t offset,
                                        uint64_t length) {
  return (struct pages){(size_t)((region->delta + offset) / region->page),
                        round_up(region->delta + offset + length, region->page) / region->page};
}
static inline uintptr_t page_address(const memmap_region *region, size_t page) {
  return region->start + page * region->page;
}

/* What pages of this access may do when nothing was protected. */
static inline enum memmap_access default_protection(const memmap_region *region) {
  return region->access == MEMMAP_COPY ? MEMMAP_WRITE : region->access;
}
/* The protection of a page; *end is where its run ends. */
enum memmap_access protection_at(const memmap_region *region, size_t page, size_t *end);

/* Maps the object over pages [first, end) of the region, with what was said about them: right,
 * advice, locks. *first is then where it stopped: `end`, unless it failed.
 * pre: the lock is held or the region is nobody's yet. [handler: no] */
int region_place(memmap_region *region, size_t *first, size_t end);
/* Applies advice and locks to pages that were mapped anew. Best effort. */
void region_restate(memmap_region *region, size_t first, size_t end);
/* Locks again, and unlocks for a move, what the map of locks says. [handler] */
void region_relock(memmap_region *region, uintptr_t address, size_t first, size_t end);
void region_unlock_for_move(memmap_region *region, uintptr_t address, size_t first, size_t end);
/* munlockall makes all that the lock maps say untrue. */
void region_check_locks(memmap_region *region);
unsigned region_lock_epoch(void);
void region_forget_locks(void);
/* How regions that are made now are locked: 0, LOCK_NOW or LOCK_ON_FAULT. */
int region_lock_of_new(void);
/* Locks pages of a region that is being made or grown, as it was asked for. */
int region_lock_added(memmap_region *region, size_t first, size_t end);
/* Reserves an aligned range anywhere. */
int reserve_addresses(uintptr_t *address, size_t length, size_t alignment);
/* Where transparent huge pages are used, ranges start at their multiples: 2 MiB, the size that
 * x86-64 and arm64 with 4 KiB pages have (Documentation/admin-guide/mm/transhuge.rst). */
#define TRANSPARENT_HUGE_BYTES ((size_t)1 << 21)
/* Leaves a reservation over [address, +length): zeros to loads, a fault to stores. [handler] */
int place_reservation(uintptr_t address, size_t length, enum memmap_access protection);

/* A closed region for a range that buffers may still point into. NULL: no memory. */
memmap_region *region_make_closed(uintptr_t start, size_t length, size_t page);

/* fault.c. pre: the lock is held. */
void region_put_back(memmap_region *region);

#endif
