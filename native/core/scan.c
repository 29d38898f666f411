/*
 * scan.c - searching and counting in mappings of any size, on one thread or several.
 *
 * The range is cut into pieces, which threads take one after the other: upwards, or downwards for
 * the last occurrence. A piece [start, end) owns the occurrences that begin in it; to see them
 * whole it is read up to pattern_bytes - 1 behind its end, so that each occurrence is found exactly
 * once, whatever border it lies across. Between pieces a thread looks whether it was cancelled,
 * whether the answer is known, and whether the region met a fault.
 *
 * Counting occurrences that do not overlap is what cannot be cut: which ones count depends on
 * where the one before ended. But an occurrence p counts in any case when none begins in
 * (p - pattern_bytes, p). So a piece looks for its first such p, the anchor, counts from there on,
 * and says where its last one ended. What lies between the piece's first occurrence and its anchor
 * is counted at last, piece after piece, when the end of the one before is known; in nearly all
 * texts that is nothing. A pattern without a border (no proper prefix is a suffix) never overlaps
 * itself, and needs none of this.
 *
 * Nothing here can crash: what the object cannot give becomes zeros and is counted as a fault of
 * the region (fault.c). Such an answer is spoilt, and said to be; so is one over an object that
 * was cut inside its last page, which faults nowhere.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/region.h"
#include "core/search.h"

/* Small enough that a cancellation is answered at once, also from a disk. */
#define PIECE_BYTES ((uint64_t)16 << 20)
#define NOWHERE UINT64_MAX
/* Occurrences that are looked at to find an anchor. Text that repeats itself has none; there the
 * search for it must not cost more than the count. */
enum { ANCHOR_TRIES = 64, THREADS_MAX = 256, PIECES_AHEAD = 4 };

/* What a piece knows of a count without overlaps; offsets of the mapping. */
struct piece_count {
  uint64_t first;  /* the first occurrence, or NOWHERE */
  uint64_t anchor; /* or the end of the piece */
  uint64_t count;  /* from the anchor on */
  uint64_t end;    /* of the last that was counted */
};

struct job {
  memmap_scan *scan;
  const char *bytes; /* of offset 0 of the mapping */
  uint64_t start, end;
  uint64_t piece_bytes, piece_count;
  uint64_t fault_count; /* of the region, before */
  struct piece_count *counts;
  _Atomic(uint64_t) next, best, total;
  _Atomic(bool) is_spoilt;
  pthread_mutex_t lock;
  pthread_cond_t left;
  unsigned helpers;
};

struct piece { uint64_t start, end; };

static bool is_faulted(const struct job *job) {
  return atomic_load(&job->scan->work->region->fault_count) != job->fault_count;
}

/* -- occurrences ------------------------------------------------------------------------------- */

/* How many bytes hold every occurrence that begins in [start, end). */
static size_t reach(const struct job *job, uint64_t start, uint64_t end) {
  uint64_t rest = job->scan->pattern_bytes - 1;
  return (size_t)((job->end - end > rest ? end + rest : job->end) - start);
}

static uint64_t next_from(const struct job *job, uint64_t start, uint64_t end) {
  const memmap_scan *scan = job->scan;
  if (start >= end) return NOWHERE;
  const char *text = job->bytes + start;
  const char *found = search_first(text, reach(job, start, end), scan->pattern,
                                   (size_t)scan->pattern_bytes);
  return found ? start + (uint64_t)(found - text) : NOWHERE;
}

static uint64_t last_in(const struct job *job, struct piece piece) {
  const memmap_scan *scan = job->scan;
  const char *text = job->bytes + piece.start;
  const char *found = search_last(text, reach(job, piece.start, piece.end), scan->pattern,
                                  (size_t)scan->pattern_bytes);
  return found ? piece.start + (uint64_t)(found - text) : NOWHERE;
}

/* Whether a proper prefix is a suffix too: linear, by the failure function of Knuth, Morris and
 * Pratt. Without memory for it the answer is yes, which is slower and never wrong. */
static bool overlaps_itself(const char *pattern, size_t length) {
  if (length < 2) return false;
  size_t *border = malloc(length * sizeof(*border));
  if (!border) return true;
  border[0] = 0;
  for (size_t i = 1, matched = 0; i < length; i++) {
    while (matched > 0 && pattern[i] != pattern[matched]) matched = border[matched - 1];
    if (pattern[i] == pattern[matched]) matched++;
    border[i] = matched;
  }
  bool has_border = border[length - 1] > 0;
  free(border);
  return has_border;
}

/* -- counting ---------------------------------------------------------------------------------- */

/* Counts from `at` on occurrences that begin before `end`; *at becomes where the last one ended. */
static uint64_t count_greedily(const struct job *job, uint64_t *at, uint64_t end, uint64_t step) {
  uint64_t count = 0;
  for (uint64_t found; (found = next_from(job, *at, end)) != NOWHERE; count++) *at = found + step;
  return count;
}

static uint64_t count_in(const struct job *job, struct piece piece) {
  const memmap_scan *scan = job->scan;
  uint64_t at = piece.start;
  if (scan->pattern_bytes == 1) {
    return search_count(job->bytes + at, (size_t)(piece.end - at), scan->pattern[0]);
  }
  return count_greedily(job, &at, piece.end, scan->overlapping ? 1 : scan->pattern_bytes);
}

static struct piece_count count_from_anchor(const struct job *job, struct piece piece) {
  uint64_t length = job->scan->pattern_bytes, before = NOWHERE;
  struct piece_count result = {NOWHERE, piece.end, 0, 0};
  uint64_t at = piece.start - job->start < length - 1 ? job->start : piece.start - (length - 1);
  for (int tries = 0;; tries++, at = before + 1) {
    uint64_t found = next_from(job, at, piece.end);
    if (found == NOWHERE) return result;
    if (found >= piece.start) {
      if (result.first == NOWHERE) result.first = found;
      if (before == NOWHERE || found - before >= length) {
        result.anchor = found;
        break;
      }
    }
    if (tries == ANCHOR_TRIES) {
      /* Those before the piece are not its first; `first` may be too early, never too late. */
      if (result.first == NOWHERE) result.first = piece.start;
      return result;
    }
    before = found;
  }
  result.end = result.anchor;
  result.count = count_greedily(job, &result.end, piece.end, length);
  return result;
}

/* Joins the pieces of a count without overlaps. */
static void join_counts(struct job *job) {
  memmap_scan *scan = job->scan;
  uint64_t at = job->start, total = 0;
  for (uint64_t i = 0; i < job->piece_count; i++) {
    const struct piece_count *piece = &job->counts[i];
    if (atomic_load(&scan->work->cancelled) || is_faulted(job)) break;
    if (piece->first == NOWHERE) continue;
    if (at < piece->first) at = piece->first;
    total += count_greedily(job, &at, piece->anchor, scan->pattern_bytes);
    if (piece->count == 0) continue;
    total += piece->count;
    at = piece->end;
  }
  atomic_store(&job->total, total);
}

/* -- pieces ------------------------------------------------------------------------------------ */

static struct piece piece_at(const struct job *job, uint64_t number) {
  if (job->scan->scan_kind == MEMMAP_SCAN_LAST) number = job->piece_count - 1 - number;
  uint64_t start = job->start + number * job->piece_bytes;
  return (struct piece){start, job->end - start < job->piece_bytes ? job->end
                                                                    : start + job->piece_bytes};
}

static void keep_first(struct job *job, uint64_t found) {
  uint64_t best = atomic_load(&job->best);
  while (found < best && !atomic_compare_exchange_weak(&job->best, &best, found)) continue;
}

static void keep_last(struct job *job, uint64_t found) {
  uint64_t best = atomic_load(&job->best);
  while ((best == NOWHERE || found > best) &&
         !atomic_compare_exchange_weak(&job->best, &best, found)) continue;
}

static void count_blocks(struct job *job, struct piece piece) {
  memmap_scan *scan = job->scan;
  for (uint64_t at = piece.start; at < piece.end; at += scan->block_bytes) {
    uint64_t length = piece.end - at < scan->block_bytes ? piece.end - at : scan->block_bytes;
    scan->numbers[(at - job->start) / scan->block_bytes] =
        search_count(job->bytes + at, (size_t)length, '\n');
  }
}

/* From here on all occurrences of the piece count, overlapping or not. */
static void collect(struct job *job, struct piece piece) {
  memmap_scan *scan = job->scan;
  for (uint64_t at = piece.start, found;; at = found + 1) {
    found = next_from(job, at, piece.end);
    if (found == NOWHERE) break;
    scan->numbers[scan->number_count++] = found;
    if (scan->number_count < scan->number_max) continue;
    atomic_store(&job->best, found + 1);
    break;
  }
}

static void pass_to_nth(struct job *job, struct piece piece) {
  memmap_scan *scan = job->scan;
  for (uint64_t at = piece.start, found;; at = found + 1) {
    found = next_from(job, at, piece.end);
    if (found == NOWHERE) break;
    if (++scan->number_count < scan->number_max) continue;
    atomic_store(&job->best, found);
    break;
  }
}

static void do_piece(struct job *job, uint64_t number) {
  struct piece piece = piece_at(job, number);
  uint64_t found;
  switch (job->scan->scan_kind) {
    case MEMMAP_SCAN_FIRST:
      found = next_from(job, piece.start, piece.end);
      if (found != NOWHERE) keep_first(job, found);
      break;
    case MEMMAP_SCAN_LAST:
      found = last_in(job, piece);
      if (found != NOWHERE) keep_last(job, found);
      break;
    case MEMMAP_SCAN_COUNT:
      if (job->counts) job->counts[number] = count_from_anchor(job, piece);
      else atomic_fetch_add(&job->total, count_in(job, piece));
      break;
    case MEMMAP_SCAN_LINES:
      atomic_fetch_add(&job->total, search_count(job->bytes + piece.start,
                                                 (size_t)(piece.end - piece.start), '\n'));
      break;
    case MEMMAP_SCAN_COLLECT: collect(job, piece); break;
    case MEMMAP_SCAN_NTH: pass_to_nth(job, piece); break;
    default: count_blocks(job, piece);
  }
}

/* Tells the kernel of the piece that comes next, so that the disk works while this thread does.
 * Asking whether its pages are there is far cheaper than telling when they are. */
static void read_ahead(const struct job *job, uint64_t number) {
  enum { SAMPLES = 8 };
  memmap_region *region = job->scan->work->region;
  if (region->fd < 0 || number >= job->piece_count) return;
  struct piece piece = piece_at(job, number);
  uint64_t length = piece.end - piece.start;
  if (length < PIECE_BYTES) return;
  for (uint64_t i = 0; i < SAMPLES; i++) {
    unsigned char resident = 1;
    uint64_t at = region->delta + piece.start + length / SAMPLES * i;
    uintptr_t page = page_address(region, (size_t)(at / region->page));
    if (platform_resident(page, platform_page_bytes(), &resident) != 0) return;
    if (resident & 1) continue;
    memmap_advise(region, piece.start, length, MEMMAP_WILLNEED);
    return;
  }
}

static void take_pieces(struct job *job) {
  memmap_scan *scan = job->scan;
  while (atomic_load(&job->best) == NOWHERE && !atomic_load(&job->is_spoilt) &&
         !atomic_load(&scan->work->cancelled)) {
    uint64_t number = atomic_fetch_add(&job->next, 1);
    if (number >= job->piece_count) break;
    for (unsigned i = 0; number == 0 && i < PIECES_AHEAD; i++) read_ahead(job, i);
    read_ahead(job, number + PIECES_AHEAD);
    do_piece(job, number);
    if (is_faulted(job)) atomic_store(&job->is_spoilt, true);
    struct piece piece = piece_at(job, number);
    atomic_fetch_add(&scan->work->done_bytes, piece.end - piece.start);
    if (scan->work->progress) scan->work->progress(scan->work);
  }
}

/* -- threads ----------------------------------------------------------------------------------- */

static void *help(void *argument) {
  struct job *job = argument;
  take_pieces(job);
  pthread_mutex_lock(&job->lock);
  if (--job->helpers == 0) pthread_cond_signal(&job->left);
  pthread_mutex_unlock(&job->lock);
  return NULL;
}

/* This thread and as many helpers as were asked for and the system allows. */
static void work_together(struct job *job) {
  uint64_t wanted = job->scan->threads < job->piece_count ? job->scan->threads : job->piece_count;
  pthread_mutex_init(&job->lock, NULL);
  pthread_cond_init(&job->left, NULL);
  pthread_mutex_lock(&job->lock);
  for (uint64_t i = 1; i < wanted; i++) {
    if (platform_thread_start(help, job) != 0) break;
    job->helpers++;
  }
  pthread_mutex_unlock(&job->lock);
  take_pieces(job);
  pthread_mutex_lock(&job->lock);
  while (job->helpers > 0) pthread_cond_wait(&job->left, &job->lock);
  pthread_mutex_unlock(&job->lock);
  pthread_cond_destroy(&job->left);
  pthread_mutex_destroy(&job->lock);
}

/* -- the whole --------------------------------------------------------------------------------- */

/* Pieces of blocks are whole blocks; threads get something each, also of little. */
static void cut(struct job *job) {
  const memmap_scan *scan = job->scan;
  uint64_t length = job->end - job->start;
  uint64_t share = length / scan->threads + 1;
  job->piece_bytes = share < PIECE_BYTES ? share : PIECE_BYTES;
  if (scan->scan_kind == MEMMAP_SCAN_BLOCKS) {
    job->piece_bytes += scan->block_bytes - 1;
    job->piece_bytes -= job->piece_bytes % scan->block_bytes;
  }
  job->piece_count = (length + job->piece_bytes - 1) / job->piece_bytes;
}

static void take_answer(struct job *job) {
  memmap_scan *scan = job->scan;
  uint64_t best = atomic_load(&job->best);
  switch (scan->scan_kind) {
    case MEMMAP_SCAN_COUNT: scan->answer = atomic_load(&job->total); break;
    case MEMMAP_SCAN_LINES:
      scan->answer = atomic_load(&job->total) +
                     (job->end > job->start && job->bytes[job->end - 1] != '\n');
      break;
    case MEMMAP_SCAN_COLLECT: scan->answer = best == NOWHERE ? job->end : best; break;
    case MEMMAP_SCAN_BLOCKS: scan->number_count = scan->number_max; break;
    default: scan->answer = best;
  }
}

/* Up to where the answer depends on the object. */
static uint64_t depends_until(const struct job *job) {
  const memmap_scan *scan = job->scan;
  uint64_t best = atomic_load(&job->best);
  switch (scan->scan_kind) {
    case MEMMAP_SCAN_FIRST:
    case MEMMAP_SCAN_NTH: return best == NOWHERE ? job->end : best + scan->pattern_bytes;
    case MEMMAP_SCAN_COLLECT: return best == NOWHERE ? job->end : best - 1 + scan->pattern_bytes;
    default: return job->end;
  }
}

static void look_for_faults(struct job *job) {
  memmap_scan *scan = job->scan;
  const memmap_region *region = scan->work->region;
  if (is_faulted(job)) {
    scan->fault = MEMMAP_SCAN_FAULTED;
    return;
  }
  if (region->object_kind != MEMMAP_OBJECT_FILE || region->fd < 0) return;
  int64_t size = platform_size(region->fd);
  if (size < 0) return;
  scan->object_bytes = (uint64_t)size;
  uint64_t until = region->object_offset + region->delta + depends_until(job);
  if ((uint64_t)size < until) scan->fault = MEMMAP_SCAN_CUT;
}

/* The caller has checked its arguments, but code of the user may have run since. */
static int check(const memmap_scan *scan) {
  struct memmap_facts facts;
  memmap_describe(scan->work->region, &facts);
  uint64_t offset = scan->work->offset_bytes, length = scan->work->length_bytes;
  bool is_inside = offset <= facts.length_bytes && length <= facts.length_bytes - offset;
  if (!is_inside) return memmap_failure(MEMMAP_CALL_NONE, ERANGE);
  bool is_possible = scan->threads > 0;
  switch (scan->scan_kind) {
    case MEMMAP_SCAN_LINES: break;
    case MEMMAP_SCAN_BLOCKS:
      is_possible &= scan->block_bytes > 0 &&
                     (length == 0 || (length - 1) / scan->block_bytes < scan->number_max);
      break;
    case MEMMAP_SCAN_COLLECT:
    case MEMMAP_SCAN_NTH: is_possible &= scan->number_max > 0; /* fallthrough */
    default: is_possible &= scan->pattern_bytes > 0;
  }
  return is_possible ? 0 : memmap_failure(MEMMAP_CALL_NONE, EINVAL);
}

static void run_checked(memmap_scan *scan) {
  memmap_region *region = scan->work->region;
  /* What was put under a fault before is not the object's; if it cannot be served now, it faults
   * again. */
  platform_lock_take(&region->lock);
  region_put_back(region);
  platform_lock_drop(&region->lock);
  struct job job = {
    .scan = scan,
    .bytes = (const char *)(region->start + region->delta),
    .start = scan->work->offset_bytes,
    .end = scan->work->offset_bytes + scan->work->length_bytes,
    .fault_count = atomic_load(&region->fault_count),
    .best = NOWHERE,
  };
  if (scan->threads > THREADS_MAX) scan->threads = THREADS_MAX;
  if (scan->scan_kind == MEMMAP_SCAN_COLLECT || scan->scan_kind == MEMMAP_SCAN_NTH) {
    scan->threads = 1; /* in order */
  }
  cut(&job);
  bool one_by_one = scan->scan_kind == MEMMAP_SCAN_COUNT && !scan->overlapping &&
                    overlaps_itself(scan->pattern, (size_t)scan->pattern_bytes);
  if (one_by_one && job.piece_count > 0) {
    job.counts = calloc((size_t)job.piece_count, sizeof(*job.counts));
    if (!job.counts) {
      scan->work->result = memmap_failure(MEMMAP_CALL_MALLOC, ENOMEM);
      return;
    }
  }
  work_together(&job);
  if (job.counts) join_counts(&job);
  free(job.counts);
  if (atomic_load(&scan->work->cancelled)) {
    scan->work->result = memmap_failure(MEMMAP_CALL_NONE, ECANCELED);
    return;
  }
  take_answer(&job);
  look_for_faults(&job);
}


void memmap_scan_run(memmap_scan *scan) {
  scan->work->result = check(scan);
  if (scan->work->result == 0) run_checked(scan);
}

static void run(memmap_work *work) { run_checked(work->context); }

int memmap_scan_start(memmap_scan *scan) {
  int result = check(scan);
  if (result) return result;
  scan->work->run = run;
  scan->work->context = scan;
  return memmap_start(scan->work);
}
