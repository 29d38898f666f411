/*
 * fault.c - what would have been a crash.
 *
 * A load or store that the kernel cannot serve ends in a signal on the thread that made it. The
 * handler finds the region, puts something under the address so that the instruction can run
 * again, and counts. Later, on a thread that may do anything, memmap_collect puts everything back
 * and hands out the counts. Between the two the patched pages are private to the process: what is
 * stored there is thrown away, what others write to the object is not seen. Nothing weaker would
 * do: a page that is put back at once faults again at once (a loop of stores would cost two system
 * calls each and could never be reported as a whole), and a page that is not replaced cannot let
 * the instruction pass.
 *
 *   what                            becomes until it is put back
 *   ------------------------------  -----------------------------------------------------------
 *   behind the end of the object    zeros, from the end of the object to the end of the mapping
 *   the object failed (I/O, full)   zeros
 *   store, read-only, shared        the same pages of the object, private
 *   store, read-only, private       the page itself made writable; a copy of it is in the stash
 *   any access, no access, shared   zeros
 *   any access, no access, private  zeros; the page itself is moved into the stash
 *   store, closed reservation       zeros
 *
 * One page at a time would exhaust the limit of mappings of a process (vm.max_map_count): the
 * k-th fault replaces the aligned block of 2^k pages around its address (after an I/O error: as many
 * from its address on), as far as it is not replaced already and has one protection. So n pages of
 * one protection take at most about 2 log2(n) faults in any order. When the kernel refuses even
 * so, some mappings that were made for nothing else are given up, which leaves room for a patch;
 * and at last the whole mapping becomes one patch.
 *
 * Races. Handlers, put-back, protect, resize and close exclude each other by the region's lock. A
 * thread that faulted on a page which another one has patched or put back in the meantime finds
 * nothing to do and runs its instruction again. A region cannot end while a handler holds it
 * (registry.c). Only when the same address comes back RETRIES_MAX times with nothing to do is
 * something else wrong, and the fault is not ours.
 */
#include <errno.h>
#include <string.h>

#include "core/region.h"
#include "core/registry.h"

enum { RETRIES_MAX = 10000, DOUBTS_MAX = 100 };

static atomic_uint_least64_t fault_order;
static atomic_int bell = -1;

/* -- room for patches --------------------------------------------------------------------------- */

/* Pages of which no two neighbours can be one mapping, and the first and last of which cannot
 * become one with what lies beside them: as many mappings to be given up at once. */
enum { BALLAST_PAGES = 33 };
static atomic_uintptr_t ballast;

static void take_ballast(void) {
  uintptr_t address = 0;
  size_t page = platform_page_bytes();
  if (atomic_load(&ballast)) return;
  if (platform_map(&address, BALLAST_PAGES * page, MEMMAP_NONE, PLATFORM_NORESERVE, 0, -1, 0)) return;
  for (size_t i = 0; i < BALLAST_PAGES; i += 2) {
    platform_advise(address + i * page, page, MEMMAP_DONTDUMP);
  }
  uintptr_t none = 0;
  if (!atomic_compare_exchange_strong(&ballast, &none, address)) {
    platform_unmap(address, BALLAST_PAGES * page);
  }
}

static void drop_ballast(void) {
  uintptr_t address = atomic_exchange(&ballast, 0);
  if (address) platform_unmap(address, BALLAST_PAGES * platform_page_bytes());
}

static void record(memmap_region *region, enum memmap_fault_kind kind,
                   const struct platform_fault *fault, int access) {
  struct memmap_fault *entry = &region->faults[kind];
  atomic_fetch_add(&region->fault_count, 1);
  if (entry->count++ == 0) {
    entry->order = atomic_fetch_add(&fault_order, 1);
    entry->address = fault->address;
    entry->offset_bytes = region->object_offset + (fault->address - region->start);
    entry->thread = platform_thread();
    entry->access = access;
    entry->detail = fault->detail;
  }
  if (!atomic_exchange(&region->is_faulted, true)) {
    int fd = atomic_load(&bell);
    if (fd >= 0) platform_bell_ring(fd);
  }
}

/* -- which pages -------------------------------------------------------------------------------- */

static struct patch *patch_at(memmap_region *region, size_t page) {
  for (size_t i = 0; i < region->patch_count; i++) {
    struct patch *patch = &region->patches[i];
    if (page >= patch->first && page < patch->end) return patch;
  }
  return NULL;
}

/* Cuts `pages`, which holds `page`, down to what is around it and not patched. */
static void cut_at_patches(const memmap_region *region, size_t page, struct pages *pages) {
  for (size_t i = 0; i < region->patch_count; i++) {
    const struct patch *patch = &region->patches[i];
    if (patch->end <= page && patch->end > pages->first) pages->first = patch->end;
    if (patch->first > page && patch->first < pages->end) pages->end = patch->first;
  }
}

/* The aligned block of the next size around `page`, inside `limit`. */
static struct pages next_run(memmap_region *region, size_t page, struct pages limit) {
  unsigned shift = region->doublings < 62 ? region->doublings : 62;
  region->doublings++;
  size_t size = (size_t)1 << shift;
  size_t first = page / size * size;
  struct pages run = {first, first + size};
  if (run.first < limit.first) run.first = limit.first;
  if (run.end > limit.end) run.end = limit.end;
  cut_at_patches(region, page, &run);
  return run;
}

/* The pages around `page` that have its protection. */
static struct pages same_protection(const memmap_region *region, size_t page, size_t end) {
  struct pages run = {page, end};
  size_t stop;
  for (size_t at = 0; at <= page; at = stop) {
    protection_at(region, at, &stop);
    run.first = at;
  }
  if (stop < run.end) run.end = stop;
  return run;
}

/* How much of the region's object is left, in pages of the region; all of it without a size. */
static size_t pages_left(const memmap_region *region) {
  size_t mapped = region->mapped / region->page;
  bool has_size = region->object_kind == MEMMAP_OBJECT_FILE ||
                  region->flags & MEMMAP_SHARED_OBJECT;
  int64_t size = has_size ? platform_size(region->fd) : -1;
  if (size < 0) return mapped;
  if ((uint64_t)size <= region->object_offset) return 0;
  size_t left = round_up((uint64_t)size - region->object_offset, region->page) / region->page;
  return left < mapped ? left : mapped;
}

/* -- patches ------------------------------------------------------------------------------------ */

/* Room for one patch more, in the handler: a table is a mapping of its own when it grows. */
static bool has_room(memmap_region *region) {
  if (!region->patches) {
    region->patches = region->patches_inside;
    region->patch_capacity = PATCHES_INSIDE;
  }
  if (region->patch_count < region->patch_capacity) return true;
  uintptr_t table = 0;
  size_t page = platform_page_bytes();
  size_t bytes = round_up(2 * region->patch_capacity * sizeof(struct patch), page);
  if (platform_map(&table, bytes, MEMMAP_WRITE, 0, 0, -1, 0) != 0) return false;
  struct patch *former = region->patches;
  memcpy((void *)table, former, region->patch_count * sizeof(*former));
  region->patches = (struct patch *)table;
  size_t former_bytes = round_up(region->patch_capacity * sizeof(*former), page);
  if (former != region->patches_inside) platform_unmap((uintptr_t)former, former_bytes);
  region->patch_capacity = bytes / sizeof(*former);
  return true;
}

/* When nothing is patched any more. */
static void drop_table(memmap_region *region) {
  size_t bytes = round_up(region->patch_capacity * sizeof(struct patch), platform_page_bytes());
  if (region->patches && region->patches != region->patches_inside) {
    platform_unmap((uintptr_t)region->patches, bytes);
  }
  region->patches = NULL;
}

/* pre: has_room. */
static void remember(memmap_region *region, struct pages run, int kind, uintptr_t stash) {
  region->patches[region->patch_count++] = (struct patch){run.first, run.end, stash, kind};
}

static size_t run_bytes(const memmap_region *region, struct pages run) {
  return (run.end - run.first) * region->page;
}

static int zeros_over(memmap_region *region, struct pages run, int kind) {
  int result = place_reservation(page_address(region, run.first), run_bytes(region, run),
                                 MEMMAP_WRITE);
  if (result == 0) remember(region, run, kind, 0);
  return result;
}

static int private_pages_over(memmap_region *region, struct pages run) {
  uintptr_t address = page_address(region, run.first);
  uint64_t offset = region->object_offset + (uint64_t)run.first * region->page;
  int result = platform_map(&address, run_bytes(region, run), MEMMAP_WRITE,
                            PLATFORM_FIXED | PLATFORM_NORESERVE, 0, region->fd, offset);
  if (result == 0) remember(region, run, PATCH_PRIVATE, 0);
  /* Devices cannot be private. */
  return result == 0 ? 0 : zeros_over(region, run, PATCH_ZEROS);
}

/* Nothing of a private read-only page changes while it is copied: it is read-only. */
static int open_with_copy(memmap_region *region, struct pages run) {
  uintptr_t stash = 0, address = page_address(region, run.first);
  size_t length = run_bytes(region, run);
  int result = platform_map(&stash, length, MEMMAP_WRITE, PLATFORM_NORESERVE, 0, -1, 0);
  if (result) return result;
  /* A page behind the end of the object has no content; it stays zero in the stash. */
  for (size_t done = 0; done < length; done += region->page) {
    platform_copy((void *)(stash + done), (const void *)(address + done), region->page);
  }
  result = platform_protect(address, length, MEMMAP_WRITE);
  if (result) {
    platform_unmap(stash, length);
    return result;
  }
  remember(region, run, PATCH_COPY, stash);
  return 0;
}

static int zeros_with_move(memmap_region *region, struct pages run) {
  uintptr_t stash = 0, address = page_address(region, run.first);
  size_t length = run_bytes(region, run);
  int result = platform_map(&stash, length, MEMMAP_NONE, PLATFORM_NORESERVE, 0, -1, 0);
  if (result) return result;
  region_unlock_for_move(region, address, run.first, run.end);
  result = platform_move(address, length, stash, true);
  if (result) {
    region_relock(region, address, run.first, run.end);
    platform_unmap(stash, length);
    return result;
  }
  result = place_reservation(address, length, MEMMAP_WRITE);
  if (result) {
    platform_move(stash, length, address, false);
    region_relock(region, address, run.first, run.end);
    return result;
  }
  remember(region, run, PATCH_MOVE, stash);
  return 0;
}

/* Raises a protection, and nothing else: what is stored stays. Only where the limit of mappings
 * leaves no other way to let the instruction pass, and the content is nowhere else. */
static int open_only(memmap_region *region, struct pages run) {
  int result = platform_protect(page_address(region, run.first), run_bytes(region, run),
                                MEMMAP_WRITE);
  if (result == 0) remember(region, run, PATCH_OPEN, 0);
  return result;
}

/* The last resort, when the limit of mappings is reached: one patch for everything. Shared pages
 * become zeros; private ones, whose content is nowhere else, only become writable. */
static int patch_everything(memmap_region *region) {
  drop_ballast();
  region_put_back(region);
  struct pages all = {0, region->mapped / region->page};
  if (!has_room(region)) return -1;
  return region->is_shared ? zeros_over(region, all, PATCH_ZEROS) : open_only(region, all);
}

/* -- putting back --------------------------------------------------------------------------------- */

/* The content of one page; a page that the object no longer has, has none. */
static int put_page_back(const memmap_region *region, size_t page, uintptr_t stash) {
  for (int i = 0; i < 3 && page < pages_left(region); i++) {
    if (platform_poke(page_address(region, page), (const void *)stash, region->page) == 0) return 0;
  }
  return page < pages_left(region) ? memmap_failure(MEMMAP_CALL_PWRITE, EIO) : 0;
}

/* First read-only and then the content, so that no store comes in between. */
static int put_copy_back(memmap_region *region, const struct patch *patch) {
  uintptr_t address = page_address(region, patch->first);
  size_t length = (patch->end - patch->first) * region->page;
  int result = platform_protect(address, length, MEMMAP_READ);
  if (result) return result;
  int poked = platform_poke(address, (const void *)patch->stash, length);
  if (poked < 0) {
    /* Without a way to write there, the copy itself becomes the pages. */
    result = platform_protect(patch->stash, length, MEMMAP_READ);
    if (result == 0) result = platform_move(patch->stash, length, address, false);
    if (result == 0) region_relock(region, address, patch->first, patch->end);
  }
  for (size_t page = patch->first; poked > 0 && result == 0 && page < patch->end; page++) {
    result = put_page_back(region, page, patch->stash + (page - patch->first) * region->page);
  }
  if (result) platform_protect(address, length, MEMMAP_WRITE); /* still a patch, so open */
  else if (poked >= 0) platform_unmap(patch->stash, length);
  return result;
}

static int put_moved_back(memmap_region *region, const struct patch *patch) {
  uintptr_t address = page_address(region, patch->first);
  int result = platform_move(patch->stash, (patch->end - patch->first) * region->page, address,
                             false);
  if (result == 0) region_relock(region, address, patch->first, patch->end);
  return result;
}

static int put_protection_back(memmap_region *region, const struct patch *patch) {
  int result = 0;
  for (size_t page = patch->first, stop; page < patch->end && result == 0; page = stop) {
    enum memmap_access protection = protection_at(region, page, &stop);
    if (stop > patch->end) stop = patch->end;
    result = platform_protect(page_address(region, page), (stop - page) * region->page, protection);
  }
  return result;
}

static int put_patch_back(memmap_region *region, struct patch *patch) {
  switch (patch->kind) {
    case PATCH_ZEROS:
    case PATCH_PRIVATE: return region_place(region, &patch->first, patch->end);
    case PATCH_COPY: return put_copy_back(region, patch);
    case PATCH_MOVE: return put_moved_back(region, patch);
    case PATCH_OPEN: return put_protection_back(region, patch);
    default:
      return place_reservation(page_address(region, patch->first),
                               (patch->end - patch->first) * region->page,
                               region->is_closed ? MEMMAP_READ : MEMMAP_NONE);
  }
}

void region_put_back(memmap_region *region) {
  size_t kept = 0;
  region_check_locks(region);
  for (size_t i = 0; i < region->patch_count; i++) {
    struct patch patch = region->patches[i];
    /* What the kernel refuses now is tried again at the next look. */
    if (put_patch_back(region, &patch) != 0) region->patches[kept++] = patch;
  }
  region->patch_count = kept;
  if (kept > 0) return;
  region->doublings = 0;
  drop_table(region);
}

/* Puts one patch back, in the handler. */
static int take_patch_back(memmap_region *region, struct patch *patch) {
  int result = put_patch_back(region, patch);
  if (result == 0) *patch = region->patches[--region->patch_count];
  return result;
}

/* -- decisions ---------------------------------------------------------------------------------- */

static int patch_protected(memmap_region *region, size_t page, enum memmap_access protection) {
  struct pages limit = same_protection(region, page, region->mapped / region->page);
  struct pages run = next_run(region, page, limit);
  int (*patch)(memmap_region *, struct pages);
  if (region->is_shared) {
    if (protection == MEMMAP_NONE) return zeros_over(region, run, PATCH_ZEROS);
    patch = private_pages_over;
  } else {
    patch = protection == MEMMAP_NONE ? zeros_with_move : open_with_copy;
  }
  int result = patch(region, run);
  /* A run of several mappings cannot be moved as one; a page can. At the limit of mappings only
   * what need not be cut out of one can be changed. */
  struct pages one = {page, page + 1};
  cut_at_patches(region, page, &limit);
  if (result) drop_ballast();
  if (result) result = patch(region, one);
  if (result) result = patch(region, limit);
  return result && !region->is_shared ? open_only(region, limit) : result;
}

static bool decide_protection(memmap_region *region, size_t page,
                              const struct platform_fault *fault) {
  size_t stop;
  enum memmap_access protection = protection_at(region, page, &stop);
  if (protection == MEMMAP_WRITE) return false; /* nothing to do: it was put right meanwhile */
  if (protection == MEMMAP_READ && fault->access == MEMMAP_READ) return false;
  if (!has_room(region) || patch_protected(region, page, protection) != 0) {
    if (patch_everything(region) != 0) return false;
  }
  if (protection == MEMMAP_READ) record(region, MEMMAP_FAULT_READ_ONLY, fault, MEMMAP_WRITE);
  else record(region, MEMMAP_FAULT_NO_ACCESS, fault, fault->access);
  return true;
}

/* The object could not give the page: it has become shorter, or it failed. When it says neither
 * (it has grown back since, or a handler that came first has put the page right), the instruction
 * runs again. Asking the kernel for the page tells the two apart without a signal. */
static bool decide_bus(memmap_region *region, size_t page, const struct platform_fault *fault) {
  size_t left = pages_left(region);
  if (page < left) {
    bool is_write = fault->access == MEMMAP_WRITE;
    if (platform_advise(page_address(region, page), region->page,
                        is_write ? MEMMAP_POPULATE_WRITE : MEMMAP_POPULATE_READ) == 0) {
      region->doubts = 0;
      return false;
    }
    left = pages_left(region);
  }
  bool is_behind = page >= left;
  /* A file that is cut and grows all the time looks like one that fails. */
  if (!is_behind && ++region->doubts < DOUBTS_MAX) return false;
  region->doubts = 0;
  struct pages run = {is_behind ? left : page, region->mapped / region->page};
  if (!is_behind) {
    /* Pages before this one may be good, and stores mostly go upwards. */
    size_t size = (size_t)1 << (region->doublings < 62 ? region->doublings : 62);
    region->doublings++;
    if (run.end - page > size) run.end = page + size;
  }
  cut_at_patches(region, page, &run);
  if (!has_room(region) || zeros_over(region, run, PATCH_ZEROS) != 0) {
    if (patch_everything(region) != 0) return false;
  }
  record(region, is_behind ? MEMMAP_FAULT_TRUNCATED : MEMMAP_FAULT_IO, fault, fault->access);
  return true;
}

static bool decide_closed(memmap_region *region, size_t page, const struct platform_fault *fault) {
  struct pages all = {0, region->reserved / region->page};
  struct pages run = next_run(region, page, all);
  if (!has_room(region) || zeros_over(region, run, PATCH_CLOSED) != 0) {
    region->patch_count = 0;
    if (zeros_over(region, all, PATCH_CLOSED) != 0) return false;
  }
  record(region, MEMMAP_FAULT_CLOSED, fault, fault->access);
  return true;
}

/* Behind the mapped part of a region with capacity: there is nothing yet, or no longer. */
static bool decide_capacity(memmap_region *region, size_t page,
                            const struct platform_fault *fault) {
  struct pages tail = {region->mapped / region->page, region->reserved / region->page};
  if (!has_room(region)) return false;
  struct pages run = next_run(region, page, tail);
  if (zeros_over(region, run, PATCH_CLOSED) != 0) return false;
  record(region, MEMMAP_FAULT_TRUNCATED, fault, fault->access);
  return true;
}

static bool decide_in(memmap_region *region, const struct platform_fault *fault) {
  if (fault->address < region->start || fault->address >= region->start + region->reserved) {
    return false; /* the region is moving */
  }
  size_t page = (fault->address - region->start) / region->page;
  struct patch *patch = patch_at(region, page);
  if (patch) {
    bool is_of_object = patch->kind == PATCH_PRIVATE || patch->kind == PATCH_COPY ||
                        patch->kind == PATCH_OPEN;
    /* Somebody else has put it right; or the object was cut under the patch. */
    if (!fault->is_bus || !is_of_object || take_patch_back(region, patch) != 0) return false;
  }
  if (region->is_closed) return decide_closed(region, page, fault);
  if (page >= region->mapped / region->page) return decide_capacity(region, page, fault);
  if (fault->is_bus) return decide_bus(region, page, fault);
  return decide_protection(region, page, fault);
}

/* Nobody's address. It may have been a region's when the instruction faulted: memory that was
 * borrowed is the runtime's again before the region leaves the registry. Then the page is there, and
 * the kernel says so (since Linux 5.14). Only a fault that stays although it does is passed on. */
static bool is_late(const struct platform_fault *fault) {
  static _Atomic(uintptr_t) last_address;
  static atomic_uint count;
  size_t page = platform_page_bytes();
  if (platform_advise(fault->address / page * page, page,
                      fault->access == MEMMAP_WRITE ? MEMMAP_POPULATE_WRITE
                                                    : MEMMAP_POPULATE_READ) != 0) {
    return false;
  }
  if (atomic_exchange(&last_address, fault->address) != fault->address) atomic_store(&count, 0);
  return atomic_fetch_add(&count, 1) < RETRIES_MAX;
}

/* In the region of the address; false: there is none, and `is_ours` is untouched. */
static bool decide_by_region(const struct platform_fault *fault, bool *is_ours) {
  unsigned ticket = registry_enter();
  memmap_region *region = registry_find(fault->address);
  if (region) {
    platform_lock_take(&region->lock);
    *is_ours = true;
    if (decide_in(region, fault)) {
      region->retry_address = 0;
      region->retries = 0;
    } else if (region->retry_address != fault->address) {
      region->retry_address = fault->address;
      region->retries = 1;
    } else {
      *is_ours = ++region->retries < RETRIES_MAX;
    }
    platform_lock_drop(&region->lock);
  }
  registry_leave(ticket);
  return region != NULL;
}

/* Called in the handler. True: run the instruction again. */
static bool decide(const struct platform_fault *fault) {
  if (fault->is_execute) return false;
  for (;;) {
    size_t changes = registry_changes();
    bool is_ours = false;
    if (decide_by_region(fault, &is_ours)) return is_ours;
    if (is_late(fault)) return true;
    /* Another mapping may have come there while the kernel was asked. */
    if (registry_changes() == changes) return false;
  }
}

/* -- collecting ------------------------------------------------------------------------------------- */

void memmap_guard_begin(memmap_region *region) { atomic_fetch_add(&region->guards, 1); }
void memmap_guard_end(memmap_region *region) { atomic_fetch_sub(&region->guards, 1); }

bool memmap_has_faults(const memmap_region *region, bool is_in_guard) {
  return atomic_load(&region->is_faulted) && (is_in_guard || atomic_load(&region->guards) == 0);
}

/* pre: the lock is held. */
static int take_records(memmap_region *region, struct memmap_fault *faults) {
  int kinds = 0;
  atomic_store(&region->is_faulted, false);
  for (int kind = 0; kind < MEMMAP_FAULT_KINDS; kind++) {
    faults[kind] = region->faults[kind];
    kinds += faults[kind].count != 0;
    region->faults[kind] = (struct memmap_fault){0};
  }
  return kinds;
}

int memmap_collect(memmap_region *region, struct memmap_fault *faults) {
  platform_lock_take(&region->lock);
  region_put_back(region);
  int kinds = take_records(region, faults);
  platform_lock_drop(&region->lock);
  take_ballast();
  return kinds;
}

struct collecting_all {
  void (*tell)(void *context, const struct memmap_fault *faults, const char *path);
  void *context;
};

static void collect_visited(memmap_region *region, void *context) {
  const struct collecting_all *all = context;
  struct memmap_fault faults[MEMMAP_FAULT_KINDS];
  char path[4096];
  if (!memmap_has_faults(region, false)) return;
  platform_lock_take(&region->lock);
  int kinds = take_records(region, faults);
  bool has_path = platform_path(region->fd, path, sizeof(path));
  platform_lock_drop(&region->lock);
  if (kinds) all->tell(all->context, faults, has_path ? path : NULL);
}

void memmap_collect_all(void (*tell)(void *context, const struct memmap_fault *faults,
                                     const char *path),
                        void *context) {
  struct collecting_all all = {tell, context};
  unsigned ticket = registry_enter();
  registry_visit(collect_visited, &all);
  registry_leave(ticket);
}

/* -- copies --------------------------------------------------------------------------------------- */

/* Why a copy stopped at `address`: like decide, but nothing is replaced. */
static int reason(memmap_region *region, uintptr_t address, bool is_bus, bool is_write) {
  size_t page = (address - region->start) / region->page, stop;
  platform_lock_take(&region->lock);
  int kind = MEMMAP_FAULT_CLOSED;
  if (!region->is_closed && !is_bus) {
    kind = protection_at(region, page, &stop) == MEMMAP_NONE ? MEMMAP_FAULT_NO_ACCESS
                                                             : MEMMAP_FAULT_READ_ONLY;
  } else if (!region->is_closed) {
    /* Cut, also when it has grown back since; it has failed when it still does, inside the file. */
    bool is_there = false, is_behind = false;
    for (int i = 0; i < DOUBTS_MAX && !is_there && !is_behind; i++) {
      is_behind = page >= pages_left(region);
      is_there = platform_advise(page_address(region, page), region->page,
                                 is_write ? MEMMAP_POPULATE_WRITE : MEMMAP_POPULATE_READ) == 0;
    }
    kind = is_behind || is_there ? MEMMAP_FAULT_TRUNCATED : MEMMAP_FAULT_IO;
  }
  platform_lock_drop(&region->lock);
  return kind;
}

/* The bytes of a range that lie inside the file. What is behind its end in the last page can be
 * loaded and stored, but is not in the file: a store there would be lost. */
static size_t inside_file(const memmap_region *region, uint64_t offset, size_t length) {
  if (length == 0) return 0;
  if (region->object_kind != MEMMAP_OBJECT_FILE) return length;
  int64_t size = platform_size(region->fd);
  uint64_t at = region->object_offset + region->delta + offset;
  if (size < 0 || at + length <= (uint64_t)size) return length;
  return at < (uint64_t)size ? (size_t)((uint64_t)size - at) : 0;
}

/* What platform_copy does, also where the target begins inside of the source: from the end on,
 * through a buffer, in which case a fault leaves everything uncopied as far as the caller knows. */
static struct platform_copied copy_any(void *target, const void *source, size_t length) {
  char bounce[1 << 14];
  uintptr_t to = (uintptr_t)target, from = (uintptr_t)source;
  if (to <= from || to >= from + length) return platform_copy(target, source, length);
  struct platform_copied copied = {0};
  for (size_t left = length; left > 0;) {
    size_t piece = left < sizeof(bounce) ? left : sizeof(bounce);
    left -= piece;
    copied = platform_copy(bounce, (const void *)(from + left), piece);
    if (!copied.left) copied = platform_copy((void *)(to + left), bounce, piece);
    if (copied.left) {
      copied.left = length;
      return copied;
    }
  }
  return copied;
}

static struct memmap_copied copy(memmap_region *region, uint64_t offset, void *target,
                                 const void *source, size_t wanted) {
  uint64_t bytes = region->length_bytes;
  if (offset >= bytes) return (struct memmap_copied){0, MEMMAP_FAULT_KINDS};
  if (wanted > bytes - offset) wanted = (size_t)(bytes - offset);
  size_t length = inside_file(region, offset, wanted);
  struct platform_copied done = copy_any(target, source, length);
  struct memmap_copied copied = {length - done.left, MEMMAP_FAULT_KINDS};
  if (length < wanted) copied.fault = MEMMAP_FAULT_TRUNCATED;
  if (!done.left) return copied;
  bool is_ours = done.address >= region->start && done.address < region->start + region->reserved;
  bool is_write = (uintptr_t)target >= region->start &&
                  (uintptr_t)target < region->start + region->reserved;
  copied.fault = is_ours ? reason(region, done.address, done.is_bus, is_write)
                         : MEMMAP_FAULT_KINDS + 1;
  return copied;
}

struct memmap_copied memmap_read(memmap_region *region, uint64_t offset, void *target,
                                 size_t length) {
  uintptr_t address = region->start + region->delta + (uintptr_t)offset;
  return copy(region, offset, target, (const void *)address, length);
}

struct memmap_copied memmap_write(memmap_region *region, uint64_t offset, const void *source,
                                  size_t length) {
  uintptr_t address = region->start + region->delta + (uintptr_t)offset;
  return copy(region, offset, (void *)address, source, length);
}

/* -- the process ------------------------------------------------------------------------------------ */

int memmap_handlers_lost(void) { return platform_handlers_lost(); }

int fault_handlers_start(int with_bell) {
  atomic_store(&bell, with_bell);
  take_ballast();
  return platform_install_handlers(decide);
}
