/*
 * work.c - flush, prefetch and evict on threads of our own, and scans on others.
 *
 * libuv's pool has four threads, and file work that waits for a disk would keep them from every
 * fs call of the program. So these pools are separate; and scans, which take as long as their text
 * is, do not keep a flush waiting. Threads start when there is more work than idle threads, and end
 * after a while without any. Work goes in pieces, between which it can be cancelled and its
 * progress seen.
 */
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "core/region.h"

enum { THREADS_MAX = 4, IDLE_SECONDS = 5 };

/* A piece is large enough that its overhead is not seen and small enough that a cancellation is
 * answered in the time a disk needs for it. */
#define PIECE_BYTES ((uint64_t)16 << 20)

static struct pool {
  pthread_mutex_t lock;
  pthread_cond_t arrived;
  memmap_work *queue, *queue_end;
  unsigned threads, idle;
} pools[] = {
  {.lock = PTHREAD_MUTEX_INITIALIZER, .arrived = PTHREAD_COND_INITIALIZER},
  {.lock = PTHREAD_MUTEX_INITIALIZER, .arrived = PTHREAD_COND_INITIALIZER},
};

static struct pool *pool_of(const memmap_work *work) { return &pools[work->run != NULL]; }

typedef int (*piece_function)(memmap_work *work, uint64_t offset, uint64_t length);

static int in_pieces(memmap_work *work, piece_function function) {
  for (uint64_t done = 0; done < work->length_bytes;) {
    if (atomic_load(&work->cancelled)) return memmap_failure(MEMMAP_CALL_NONE, ECANCELED);
    uint64_t left = work->length_bytes - done;
    uint64_t length = left < PIECE_BYTES ? left : PIECE_BYTES;
    int result = function(work, work->offset_bytes + done, length);
    if (result) return result;
    done += length;
    atomic_store(&work->done_bytes, done);
    if (work->progress) work->progress(work);
  }
  return 0;
}

static bool is_on_file(const memmap_region *region) {
  return region->is_shared && region->object_kind == MEMMAP_OBJECT_FILE;
}

static int write_back(memmap_work *work, uint64_t offset, uint64_t length) {
  const memmap_region *region = work->region;
  int result = platform_write_back(region->fd, region->object_offset + region->delta + offset,
                                   length);
  /* Some file systems have no write-back of ranges; msync at the end does all of it. */
  return memmap_errno(result) == EINVAL || memmap_errno(result) == ESPIPE ? 0 : result;
}

/* The data in pieces, then one msync for the rest: the metadata, and the disk's own cache. */
static int flush(memmap_work *work) {
  memmap_region *region = work->region;
  int result = is_on_file(region) ? in_pieces(work, write_back) : 0;
  if (result) return result;
  return memmap_flush(region, work->offset_bytes, work->length_bytes, MEMMAP_SYNC,
                      work->invalidate);
}

static int populate(memmap_work *work, uint64_t offset, uint64_t length) {
  int result = memmap_advise(work->region, offset, length, MEMMAP_POPULATE_READ);
  /* Before Linux 5.14, and for devices: tell the kernel and let it come. */
  if (memmap_errno(result) == EINVAL) {
    result = memmap_advise(work->region, offset, length, MEMMAP_WILLNEED);
  }
  return result;
}

/* The whole pages inside a range: what evict may touch. */
static struct pages pages_inside(const memmap_region *region, uint64_t offset, uint64_t length) {
  size_t first = round_up(region->delta + offset, region->page) / region->page;
  uint64_t end = region->delta + offset + length;
  bool is_last = offset + length == region->length_bytes;
  size_t last_page = (is_last ? round_up(end, region->page) : round_down(end, region->page)) /
                     region->page;
  return (struct pages){first, last_page < first ? first : last_page};
}

/* The next run of pages from `first` on that is not locked here. */
static struct pages unlocked_run(memmap_region *region, size_t first, size_t end) {
  struct pages run = {first, first};
  platform_lock_take(&region->lock);
  while (run.first < end && range_map_get(&region->locks, run.first, &run.end) != 0) {
    run.first = run.end;
  }
  platform_lock_drop(&region->lock);
  if (run.first > end) run.first = end;
  if (run.end > end) run.end = end;
  return run;
}

/* Takes pages out of the page table, as far as they are still there. Under the lock: the mapping
 * may be moving, and behind its end lies what belongs to others. */
static int unmap_run(memmap_region *region, struct pages *pages, enum memmap_advice advice) {
  platform_lock_take(&region->lock);
  size_t mapped = region->mapped / region->page;
  if (pages->end > mapped) pages->end = mapped;
  int result = pages->first < pages->end
                   ? platform_advise(page_address(region, pages->first),
                                     (pages->end - pages->first) * region->page, advice)
                   : 0;
  platform_lock_drop(&region->lock);
  return result;
}

static int put_run_out(memmap_region *region, struct pages pages) {
  if (!is_on_file(region)) return unmap_run(region, &pages, MEMMAP_PAGEOUT);
  uint64_t at = region->object_offset + (uint64_t)pages.first * region->page;
  uint64_t bytes = (uint64_t)(pages.end - pages.first) * region->page;
  /* The cache gives up only pages that are clean and in no page table. */
  int result = region->access == MEMMAP_WRITE ? platform_write_back(region->fd, at, bytes) : 0;
  if (result == 0) result = unmap_run(region, &pages, MEMMAP_DONTNEED);
  if (result == 0) result = platform_drop_cache(region->fd, at, bytes);
  return result;
}

/* Locked pages stay; EINVAL says that they are, by mlockall or by another mapping's lock. */
static int put_out(memmap_work *work, uint64_t offset, uint64_t length) {
  struct pages pages = pages_inside(work->region, offset, length);
  for (size_t page = pages.first; page < pages.end;) {
    struct pages run = unlocked_run(work->region, page, pages.end);
    page = run.end;
    if (run.first == run.end) break;
    int result = put_run_out(work->region, run);
    if (result && memmap_errno(result) != EINVAL) return result;
  }
  return 0;
}

static int evict(memmap_work *work) { return in_pieces(work, put_out); }

static void run(memmap_work *work) {
  switch (work->kind) {
    case MEMMAP_WORK_FLUSH: work->result = flush(work); break;
    case MEMMAP_WORK_PREFETCH: work->result = in_pieces(work, populate); break;
    default: work->result = evict(work);
  }
}

static memmap_work *await_work(struct pool *pool) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += IDLE_SECONDS;
  pthread_mutex_lock(&pool->lock);
  pool->idle++;
  while (!pool->queue && pthread_cond_timedwait(&pool->arrived, &pool->lock, &until) == 0) continue;
  pool->idle--;
  memmap_work *work = pool->queue;
  if (work) pool->queue = work->next;
  if (!pool->queue) pool->queue_end = NULL;
  if (!work) pool->threads--;
  pthread_mutex_unlock(&pool->lock);
  return work;
}

/* The places that the region has left can go when nobody may still be on the way to them. */
static void leave_region(memmap_region *region, bool is_reader) {
  platform_lock_take(&region->lock);
  region->readers -= is_reader;
  memmap_region *former = --region->works == 0 ? region->formers : NULL;
  if (former) region->formers = NULL;
  platform_lock_drop(&region->lock);
  for (memmap_region *next; former; former = next) {
    next = former->next_former;
    memmap_release_holder(former);
  }
}

static void finish(memmap_work *work) {
  memmap_region *region = work->region;
  leave_region(region, work->run != NULL);
  work->done(work);
  memmap_release_user(region, 0, 0);
}

static void *work_on(void *pool) {
  for (memmap_work *work; (work = await_work(pool));) {
    if (atomic_load(&work->cancelled)) {
      work->result = memmap_failure(MEMMAP_CALL_NONE, ECANCELED);
    } else if (work->run) {
      work->run(work);
    } else {
      run(work);
    }
    finish(work);
  }
  return NULL;
}

int memmap_start(memmap_work *work) {
  struct pool *pool = pool_of(work);
  int result = 0;
  work->next = NULL;
  memmap_retain_user(work->region);
  platform_lock_take(&work->region->lock);
  work->region->works++;
  work->region->readers += work->run != NULL;
  platform_lock_drop(&work->region->lock);
  pthread_mutex_lock(&pool->lock);
  unsigned waiting = 1;
  for (const memmap_work *each = pool->queue; each; each = each->next) waiting++;
  if (pool->idle < waiting && pool->threads < THREADS_MAX) {
    result = platform_thread_start(work_on, pool);
    if (result == 0) pool->threads++;
    else if (pool->threads > 0) result = 0; /* those there are will do */
  }
  if (result == 0) {
    if (pool->queue_end) pool->queue_end->next = work;
    else pool->queue = work;
    pool->queue_end = work;
    pthread_cond_signal(&pool->arrived);
  }
  pthread_mutex_unlock(&pool->lock);
  if (result) {
    leave_region(work->region, work->run != NULL);
    memmap_release_user(work->region, 0, 0);
  }
  return result;
}

/* False: a thread has it. */
static bool take_from_queue(memmap_work *work) {
  struct pool *pool = pool_of(work);
  pthread_mutex_lock(&pool->lock);
  memmap_work *before = NULL, *each = pool->queue;
  while (each && each != work) before = each, each = each->next;
  if (each) {
    if (before) before->next = work->next;
    else pool->queue = work->next;
    if (pool->queue_end == work) pool->queue_end = before;
  }
  pthread_mutex_unlock(&pool->lock);
  return each != NULL;
}

void memmap_cancel(memmap_work *work) {
  atomic_store(&work->cancelled, true);
  if (!take_from_queue(work)) return;
  work->result = memmap_failure(MEMMAP_CALL_NONE, ECANCELED);
  finish(work);
}
