/*
 * memmap.h - the engine: what can be done with a mapping, without a word of JavaScript.
 *
 * Glossary
 *   page        the unit of protection and faults of a mapping: the system's page, or the huge
 *               page of a hugetlbfs file. Never a number in the code.
 *   object      what is mapped: a file, a memfd, a device, or nothing (anonymous memory).
 *   region      one mapping: a range of addresses, the object under it, and how to get back to
 *               it after a fault. Counted twice: `users` keep its pages, `holders` its addresses.
 *   user        a Mapping object or a piece of work in flight. When the last one goes, the pages
 *               and the object are given back and the range becomes a closed reservation.
 *   holder      whoever may still hold a pointer into the range: the users and every buffer that
 *               was made over it. When the last one goes, the addresses are given back.
 *   reservation a range that is ours and has no object: loads give zeros, stores are faults.
 *   patch       a run of pages that the fault handler has replaced, until it is put back.
 *   fault       what would have been a SIGBUS or SIGSEGV; counted by kind in its region.
 *
 * Common conditions
 *   - Functions return 0, or a positive answer they describe, or a failure: a negative number of
 *     which memmap_errno() and memmap_call() tell the errno and the system call that refused.
 *   - `offset_bytes` and `length_bytes` of a range count from the first byte of the mapping and
 *     lie inside it: pre: offset_bytes + length_bytes <= memmap_facts.length_bytes.
 *   - Every function may be called by any thread that is a user of the region.
 *   - No function touches the mapped memory itself, but memmap_read, memmap_write and scans.
 */
#ifndef MEMMAP_H
#define MEMMAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct memmap_region memmap_region;

/* The order is part of the contract with src/binding/native.ts. */
enum memmap_access { MEMMAP_NONE = 0, MEMMAP_READ = 1, MEMMAP_WRITE = 2, MEMMAP_COPY = 3 };

enum memmap_flags {
  MEMMAP_CREATE = 1 << 0,     /* create the file where there is none, mode 0666 & ~umask */
  MEMMAP_EXTEND = 1 << 1,     /* grow the file to hold the range, blocks allocated */
  MEMMAP_NORESERVE = 1 << 2,  /* MAP_NORESERVE */
  MEMMAP_POPULATE = 1 << 3,   /* all pages present before it returns */
  MEMMAP_LOCKED = 1 << 4,     /* all pages locked, also those that resize adds */
  MEMMAP_HUGE_TRANSPARENT = 1 << 5,
  MEMMAP_SHARED_OBJECT = 1 << 6, /* anonymous memory on a memfd, sealed against shrinking */
  MEMMAP_PRIVATE = 1 << 7, /* MAP_PRIVATE whatever the access: the range may become writable */
  MEMMAP_LOCKED_ON_FAULT = 1 << 8, /* pages are locked as they come in; the engine's own */
};

/* Why a request cannot be met although no system call failed; positive answers of memmap_map
 * and memmap_resize. memmap_facts.object_bytes then holds the size that was found. */
enum memmap_refusal {
  MEMMAP_OFFSET_BEHIND_END = 1,
  MEMMAP_LENGTH_BEHIND_END = 2,
  MEMMAP_LENGTH_NEEDED = 3,     /* a character device has no size */
  MEMMAP_NOT_MAPPABLE = 4,      /* memmap_facts.object_kind says what it is */
  MEMMAP_NOT_HUGE = 5,          /* huge pages asked of a file that is not on a hugetlbfs */
  MEMMAP_NOT_RESIZABLE = 6,     /* a private copy, a device, or shared without capacity */
  MEMMAP_OVER_CAPACITY = 7,
};

enum memmap_object_kind {
  MEMMAP_OBJECT_NONE = 0, /* anonymous */
  MEMMAP_OBJECT_FILE = 1,
  MEMMAP_OBJECT_CHARACTER_DEVICE = 2,
  MEMMAP_OBJECT_BLOCK_DEVICE = 3,
  MEMMAP_OBJECT_DIRECTORY = 4,
  MEMMAP_OBJECT_PIPE = 5,
  MEMMAP_OBJECT_SOCKET = 6,
  MEMMAP_OBJECT_OTHER = 7,
};

struct memmap_request {
  const char *path;        /* NULL: use fd */
  int fd;                  /* duplicated; -1 with no path: anonymous memory */
  enum memmap_access access;
  uint32_t flags;          /* enum memmap_flags */
  uint64_t offset_bytes;   /* in the object; any byte */
  int64_t length_bytes;    /* -1: to the end of the object */
  uint64_t capacity_bytes; /* 0: none */
  uint64_t address;        /* 0: anywhere; else exactly there or EEXIST */
  unsigned huge_shift;     /* 0, or log2 of the huge page's size */
  int advice;              /* the first enum memmap_advice; -1: none */
};

struct memmap_facts {
  uint64_t address;      /* of the first byte; 0 for an empty mapping */
  uint64_t length_bytes;
  uint64_t capacity_bytes; /* bytes that resize can reach without moving; 0: none */
  uint64_t page_bytes;
  uint64_t object_bytes; /* the size of the object when it was last looked at */
  int object_kind;
  int fd;                /* the region's own, close-on-exec; -1: none */
  enum memmap_access access;
  uint64_t offset_bytes; /* of the first byte in the object */
};

/* Prepares the process: page size, signal handlers, fault reporter. Idempotent. */
int memmap_initialize(void);
size_t memmap_page_bytes(void);

/* Failures carry the call as well as the errno, because most functions make several calls, and
 * because thread-local state may not be touched in a signal handler. */
enum memmap_call_name {
  MEMMAP_CALL_NONE, MEMMAP_CALL_CLOSE, MEMMAP_CALL_EVENTFD, MEMMAP_CALL_FALLOCATE,
  MEMMAP_CALL_FCNTL, MEMMAP_CALL_FSTAT, MEMMAP_CALL_FTRUNCATE, MEMMAP_CALL_IOCTL,
  MEMMAP_CALL_MADVISE, MEMMAP_CALL_MALLOC, MEMMAP_CALL_MEMFD_CREATE, MEMMAP_CALL_MINCORE,
  MEMMAP_CALL_MLOCK, MEMMAP_CALL_MMAP, MEMMAP_CALL_MPROTECT,
  MEMMAP_CALL_MREMAP, MEMMAP_CALL_MSYNC, MEMMAP_CALL_MUNLOCK, MEMMAP_CALL_MUNLOCKALL,
  MEMMAP_CALL_MUNMAP, MEMMAP_CALL_OPEN, MEMMAP_CALL_POSIX_FADVISE, MEMMAP_CALL_PTHREAD_CREATE,
  MEMMAP_CALL_PWRITE, MEMMAP_CALL_SIGACTION, MEMMAP_CALL_SYNC_FILE_RANGE,
  MEMMAP_CALL_CACHESTAT, MEMMAP_CALL_PIDFD_OPEN, MEMMAP_CALL_PROCESS_MADVISE,
  MEMMAP_CALL_USERFAULTFD, MEMMAP_CALL_READ,
};
static inline int memmap_failure(enum memmap_call_name call, int error) {
  return -(error | (int)call << 12);
}
static inline int memmap_errno(int failure) { return -failure & 0xfff; }
const char *memmap_call(int failure);

/* -- life ------------------------------------------------------------------------------------ */

/* Makes a region with one user. post: on any failure the file is as it was before. */
int memmap_map(const struct memmap_request *request, memmap_region **region,
               struct memmap_facts *facts);
void memmap_describe(const memmap_region *region, struct memmap_facts *facts);
/* Looks at the object again and returns its size in bytes, or a failure. */
int64_t memmap_object_bytes(const memmap_region *region);

/* Four words, as src/binding/native.ts reads them. What changes when the object does, as far as the
 * file system tells; times are of the last change of the content and of the inode. */
struct memmap_identity {
  uint64_t inode;
  uint64_t size_bytes;
  int64_t modified_ns;
  int64_t changed_ns;
};
/* pre: the region has an object. */
int memmap_identify(const memmap_region *region, struct memmap_identity *identity);

/* Moves a fresh region onto memory that somebody else owns and will free, page-aligned and at
 * least as long as the region's reservation. When the region ends, ordinary zeroed memory is left
 * there. pre: no views, no patches, `over` is not used by anyone. */
int memmap_move_onto(memmap_region *region, void *over);

/* The memory that the region was moved onto is no longer there: its owner has moved it and given
 * the old addresses back. The region then ends without touching them. */
void memmap_abandon(memmap_region *region);

/* Grows or shrinks mapping and object, all or nothing. When the pages had to move to other
 * addresses, *former receives the old range as a closed region with one holder, else NULL. */
int memmap_resize(memmap_region *region, uint64_t length_bytes, memmap_region **former,
                  struct memmap_facts *facts);

void memmap_retain_user(memmap_region *region);
/* When the last user goes, pages and object are given back; of the addresses, those that any user
 * asked to keep (bytes from the first page; end 0: none) stay reserved until the last holder
 * goes. */
void memmap_release_user(memmap_region *region, uint64_t keep_first_bytes,
                         uint64_t keep_end_bytes);
/* A buffer over the region lives in several threads, each of which can lose its mapping without
 * closing it: the pages then stay as long as the buffer does. Between the first two calls,
 * memmap_leave_to_buffer makes the caller's user the buffer's; otherwise it releases it. */
void memmap_buffer_begin(memmap_region *region);
void memmap_buffer_end(memmap_region *region);
void memmap_leave_to_buffer(memmap_region *region);
void memmap_retain_holder(memmap_region *region);
void memmap_release_holder(memmap_region *region);
bool memmap_is_closed(const memmap_region *region);

/* A number by which other threads of this process find the region; never given twice. */
uint64_t memmap_share(memmap_region *region);
/* The region of that number with one user more; NULL when its last user has gone. */
memmap_region *memmap_attach(uint64_t number);

/* -- copies that never fault ------------------------------------------------------------------- */

struct memmap_copied {
  uint64_t bytes;
  int fault; /* enum memmap_fault_kind of what ended it early; MEMMAP_FAULT_KINDS: nothing did;
              * one more: it was the other side */
};
/* What lies behind the end of the mapping, or of its file, is not copied. */
struct memmap_copied memmap_read(memmap_region *region, uint64_t offset_bytes, void *target,
                                 size_t length_bytes);
struct memmap_copied memmap_write(memmap_region *region, uint64_t offset_bytes,
                                  const void *source, size_t length_bytes);

/* -- operations on ranges; rounded outwards to pages, but where it is said -------------------- */

enum memmap_sync { MEMMAP_SYNC = 0, MEMMAP_ASYNC = 1, MEMMAP_SYNC_NOTHING = 2 };
int memmap_flush(memmap_region *region, uint64_t offset_bytes, uint64_t length_bytes,
                 enum memmap_sync mode, bool invalidate);

/* The order is part of the contract with src/mapping/advice.ts. */
enum memmap_advice {
  MEMMAP_NORMAL, MEMMAP_RANDOM, MEMMAP_SEQUENTIAL, MEMMAP_WILLNEED, MEMMAP_HUGEPAGE,
  MEMMAP_NOHUGEPAGE, MEMMAP_COLD, MEMMAP_PAGEOUT, MEMMAP_DONTFORK, MEMMAP_DOFORK,
  MEMMAP_DONTDUMP, MEMMAP_DODUMP, MEMMAP_MERGEABLE, MEMMAP_UNMERGEABLE,
  /* what destroys data; on whole pages only */
  MEMMAP_DONTNEED, MEMMAP_FREE, MEMMAP_REMOVE,
  /* the engine's own */
  MEMMAP_POPULATE_READ, MEMMAP_POPULATE_WRITE,
};
int memmap_advise(memmap_region *region, uint64_t offset_bytes, uint64_t length_bytes,
                  enum memmap_advice advice);

/* 1 a page in memory, 0 not, one byte a page from the page that holds offset_bytes on.
 * Returns 1 where the kernel would not tell the truth to this user: `pages` is then unset. */
int memmap_residency(memmap_region *region, uint64_t offset_bytes, uint64_t length_bytes,
                     unsigned char *pages, size_t page_count);

/* Rounded outwards. post: on failure exactly the pages that were locked before are locked. */
int memmap_lock(memmap_region *region, uint64_t offset_bytes, uint64_t length_bytes,
                bool on_fault);
int memmap_unlock(memmap_region *region, uint64_t offset_bytes, uint64_t length_bytes);
/* All of the process that nobody gives back by madvise: files, malloc's heap, regions; future:
 * regions only. post: on failure exactly what was locked before is locked. */
int memmap_lock_all(bool current, bool future, bool on_fault);
int memmap_unlock_all(void);

/* How many mappings the process has, and may have (0: no limit is known); how many more this library
 * makes before it leaves the others to the rest of the process. */
struct memmap_room { int64_t mappings, most, left; };
struct memmap_room memmap_room(void);

/* pre: offset_bytes and the end are page-aligned, or the end of the mapping.
 * post: on failure every page has the protection it had. */
int memmap_protect(memmap_region *region, uint64_t offset_bytes, uint64_t length_bytes,
                   enum memmap_access protection);
/* The protection of the page that holds offset_bytes; *end_bytes is where it ends. */
enum memmap_access memmap_protection(memmap_region *region, uint64_t offset_bytes,
                                     uint64_t *end_bytes);

/* -- work off the calling thread ----------------------------------------------------------------- */

enum memmap_work_kind { MEMMAP_WORK_FLUSH = 0, MEMMAP_WORK_PREFETCH = 1, MEMMAP_WORK_EVICT = 2 };

typedef struct memmap_work memmap_work;
struct memmap_work {
  /* set by the caller before memmap_start */
  int kind;
  memmap_region *region;
  uint64_t offset_bytes, length_bytes;
  bool invalidate;
  void (*run)(memmap_work *work);      /* NULL: what `kind` says */
  void *context;                       /* of `run` */
  void (*progress)(memmap_work *work); /* on the worker's thread; may be NULL */
  void (*done)(memmap_work *work);     /* last, on the worker's thread or in memmap_cancel; owns
                                          `work` again */
  /* the engine's */
  _Atomic(uint64_t) done_bytes;
  _Atomic(bool) cancelled;
  int result; /* 0 or a failure */
  memmap_work *next;
};
/* Runs `work` on a thread of the engine's own, in pieces between which it looks at `cancelled`
 * (post: the errno of result is ECANCELED). The region gains a user until `done` was called. */
int memmap_start(memmap_work *work);
/* Asks for the end of work that has been started and is not done. What no thread has begun is done
 * at once, here: `done` is called on this thread. */
void memmap_cancel(memmap_work *work);

/* -- scans -------------------------------------------------------------------------------------- */

/* The order is part of the contract with src/binding/native.ts. */
enum memmap_scan_kind {
  MEMMAP_SCAN_FIRST,   /* answer: where the first occurrence begins; UINT64_MAX: nowhere */
  MEMMAP_SCAN_LAST,    /* answer: where the last occurrence begins; UINT64_MAX: nowhere */
  MEMMAP_SCAN_COUNT,   /* answer: occurrences, with `overlapping` also those inside others */
  MEMMAP_SCAN_LINES,   /* answer: newlines, and one for a last line that has none */
  MEMMAP_SCAN_COLLECT, /* numbers: where occurrences begin, also inside others, until it is full;
                        * answer: where to go on, or the end */
  MEMMAP_SCAN_NTH,     /* answer: where the occurrence with number number_max begins, from 1 on,
                        * also inside others; UINT64_MAX: nowhere */
  MEMMAP_SCAN_BLOCKS,  /* numbers: newlines in each block of block_bytes, from offset_bytes on */
};

/* What spoils an answer: bytes that were not those of the object. */
enum memmap_scan_fault {
  MEMMAP_SCAN_SOUND,
  MEMMAP_SCAN_FAULTED, /* the region met a fault meanwhile; it waits to be collected, or was */
  MEMMAP_SCAN_CUT,     /* the object ends before what was scanned, without a fault: the rest of its
                        * last page is zeros */
};

typedef struct memmap_scan memmap_scan;
struct memmap_scan {
  memmap_work *work; /* has the region, the range, and the way to cancel */
  int scan_kind;
  const char *pattern; /* LINES and BLOCKS: not used */
  uint64_t pattern_bytes;
  bool overlapping;
  unsigned threads;    /* at least 1; FIRST, LAST, COUNT, LINES and BLOCKS use them */
  uint64_t *numbers;
  uint64_t number_max; /* BLOCKS: one for each block */
  uint64_t block_bytes;
  /* the answer */
  uint64_t answer, number_count;
  int fault;             /* enum memmap_scan_fault */
  uint64_t object_bytes; /* the object's size afterwards, where fault is MEMMAP_SCAN_CUT */
};
/* Scans here and now; work->result is 0 or a failure: ERANGE when the range is not inside the region
 * now, EINVAL for a request that cannot be. Answers are offsets of the mapping.
 * Until it has returned, memmap_resize does not move the region (EBUSY). */
void memmap_scan_run(memmap_scan *scan);
/* The same as work on a thread of the engine's; see memmap_start. */
int memmap_scan_start(memmap_scan *scan);

/* -- inspection: what the system tells of its caches and page tables -------------------------- */

/* Pages of a range of a file. A page is dirty when any byte of its folio was stored to. */
struct memmap_cache_state { uint64_t cached, dirty, writeback, evicted, recently_evicted; };
/* ENOSYS: the kernel cannot; EPERM: this user may not know; EOPNOTSUPP: not for this file. */
int memmap_cache_state(int fd, uint64_t offset_bytes, uint64_t length_bytes,
                       struct memmap_cache_state *state);
/* Asks the system to drop clean pages of the file from its cache; it need not. */
int memmap_drop_cache(int fd, uint64_t offset_bytes, uint64_t length_bytes);

/* What a page table says of a page; the numbers are the kernel's (platform/linux/inspect.c). */
enum memmap_page_category {
  MEMMAP_PAGE_WATCHED = 1 << 0, MEMMAP_PAGE_WRITTEN = 1 << 1, MEMMAP_PAGE_FILE = 1 << 2,
  MEMMAP_PAGE_PRESENT = 1 << 3, MEMMAP_PAGE_SWAPPED = 1 << 4, MEMMAP_PAGE_ZERO = 1 << 5,
  MEMMAP_PAGE_HUGE = 1 << 6, MEMMAP_PAGE_SOFT_DIRTY = 1 << 7, MEMMAP_PAGE_GUARD = 1 << 8,
};
struct memmap_page_run { uint64_t start, end, categories; };
/* A page matches when it has all of `required` and, where that is not 0, one of `any_of`, after
 * the bits of `inverted` were turned over. The layout is the contract with src/binding. */
struct memmap_page_scan {
  uint64_t start, end; /* page-aligned addresses */
  uint64_t inverted, required, any_of, wanted;
  uint64_t scanned_end; /* the answer: where the next scan goes on */
};
/* fd: of a /proc/PID/pagemap. Returns how many runs of pages alike were found. */
int memmap_scan_pages(int fd, struct memmap_page_scan *scan, struct memmap_page_run *runs,
                      size_t capacity);
/* Asks for pages of another process to leave memory. Returns the bytes that were looked at. */
int64_t memmap_page_out(int64_t process, uint64_t address, uint64_t length_bytes);

/* The mappings of a process, from the text of its maps or smaps. Texts are kept once, and are
 * numbers elsewhere; 0 is the empty one. The layout of an entry is the contract with src/binding. */
enum { MEMMAP_MAPS_FIELDS = 128 }; /* kept of a mapping; kernels have 27 */
struct memmap_maps_entry {
  uint64_t start, end, offset_bytes, inode;
  uint32_t major, minor;
  uint32_t permissions, name; /* texts */
};
struct memmap_maps_text { size_t offset, length; };
typedef struct {
  size_t count, field_count, text_count, byte_count;
  struct memmap_maps_entry *entries;
  double *values; /* a row of field_count for each: bytes; -1 - text; NaN where it has no such */
  uint32_t fields[MEMMAP_MAPS_FIELDS]; /* their names: texts */
  struct memmap_maps_text *texts;      /* in bytes */
  char *bytes;
} memmap_maps;
/* Lines that are no mapping are passed over. The caller frees what is in `maps` afterwards; a failure
 * leaves it alone. */
int memmap_parse_maps(const char *text, size_t length, memmap_maps *maps);
/* The same for a file of /proc, while it is read. */
int memmap_read_maps(const char *path, memmap_maps *maps);
void memmap_free_maps(memmap_maps *maps);

enum memmap_written_mode {
  MEMMAP_WRITTEN_COPIES = 0, /* pages of private memory that are no longer the object's */
  MEMMAP_WRITTEN_WATCHED = 1, /* pages stored to since memmap_watch_writes or the last reset */
  MEMMAP_WRITTEN_RESET = 2,   /* the same, and counting begins anew, without a gap */
};
/* Notes from now on which pages are stored to through this mapping (never those that write(2)
 * or another mapping changes). ENOSYS, EINVAL: the kernel cannot; EPERM: the user may not. */
int memmap_watch_writes(memmap_region *region);
/* Runs in bytes of the mapping, cut to it; *next_bytes is where the next call goes on. EPERM: the
 * range is not watched (any more): a fault in it was put back, or it was moved. */
int memmap_written(memmap_region *region, uint64_t offset_bytes, uint64_t length_bytes,
                   enum memmap_written_mode mode, struct memmap_page_run *runs, size_t capacity,
                   uint64_t *next_bytes);

/* -- faults ------------------------------------------------------------------------------------ */

/* The order is part of the contract with src/mapping/fault.ts. */
enum memmap_fault_kind {
  MEMMAP_FAULT_TRUNCATED, MEMMAP_FAULT_READ_ONLY, MEMMAP_FAULT_NO_ACCESS, MEMMAP_FAULT_IO,
  MEMMAP_FAULT_CLOSED, MEMMAP_FAULT_KINDS,
};

struct memmap_fault {
  uint64_t count;    /* faults since the last look; 0: none of this kind */
  uint64_t order;    /* of the first, in the process */
  uint64_t address;  /* of the first */
  uint64_t offset_bytes; /* of the first, in the object */
  int64_t thread;    /* the system's number of the thread of the first */
  int access;        /* enum memmap_access: MEMMAP_READ, MEMMAP_WRITE, MEMMAP_NONE unknown */
  int detail;        /* the signal's si_code */
};

/* Faults that happen between the two calls belong to whoever made them: to others they do not
 * show. The calls may nest, also from several threads; then the first to end takes them. */
void memmap_guard_begin(memmap_region *region);
void memmap_guard_end(memmap_region *region);
/* True when faults wait to be collected; outside of a guard only while nobody is in one. */
bool memmap_has_faults(const memmap_region *region, bool is_in_guard);
/* Puts every patch back and then moves the records into faults[MEMMAP_FAULT_KINDS].
 * Returns how many kinds have a count. */
int memmap_collect(memmap_region *region, struct memmap_fault *faults);
/* For the end of the process, when other threads may be at anything: moves the records of every
 * region that nobody has in a guard, and leaves the patches where they are. `tell` may allocate, but
 * not call the engine; `path` is what the system calls the object, or NULL. */
void memmap_collect_all(void (*tell)(void *context, const struct memmap_fault *faults,
                                     const char *path),
                        void *context);
/* Called on a thread of the engine's own after faults have happened somewhere. */
void memmap_on_fault(void (*listener)(void));
/* 1 when a handler that was installed after ours has taken SIGBUS or SIGSEGV away. */
int memmap_handlers_lost(void);

#endif
