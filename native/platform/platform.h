/*
 * platform.h - the seam between the engine and the system. One implementation per system; the
 * build file picks it. Functions return 0 (or what they describe) or a failure (memmap.h).
 *
 * Those marked [handler] are called from a signal handler and do only what signal-safety(7) and
 * the kernel allow there: system calls and atomics.
 */
#ifndef MEMMAP_PLATFORM_H
#define MEMMAP_PLATFORM_H

#include "memmap.h"

size_t platform_page_bytes(void);

/* -- memory ------------------------------------------------------------------------------------ */

enum {
  PLATFORM_SHARED = 1 << 0,
  PLATFORM_FIXED = 1 << 1,     /* over what is there; only ever over ranges of our own */
  PLATFORM_NOREPLACE = 1 << 2, /* exactly there, or EEXIST */
  PLATFORM_NORESERVE = 1 << 3,
};

/* fd -1: anonymous. *address: where it shall be (0: anywhere), then where it is. [handler] */
int platform_map(uintptr_t *address, size_t length, enum memmap_access protection, unsigned flags,
                 unsigned huge_shift, int fd, uint64_t offset);
int platform_unmap(uintptr_t address, size_t length);                                 /* [handler] */
int platform_protect(uintptr_t address, size_t length, enum memmap_access protection); /* [handler] */
/* Moves pages over the range at `target`; keep: the source stays mapped, without pages. [handler] */
int platform_move(uintptr_t source, size_t length, uintptr_t target, bool keep);
/* Writes to pages of this process that may be read-only. -1 where the system cannot, 1 where a
 * page cannot be had: what comes before it was written. */
int platform_poke(uintptr_t target, const void *source, size_t length);

int platform_sync(uintptr_t address, size_t length, enum memmap_sync mode, bool invalidate);
int platform_advise(uintptr_t address, size_t length, enum memmap_advice advice);
int platform_lock(uintptr_t address, size_t length, bool on_fault);
int platform_unlock(uintptr_t address, size_t length);
int platform_unlock_all(void);
/* Mappings that this process has, and how many it may have; 0: no limit is known. */
int64_t platform_mappings(void);
int64_t platform_mappings_max(void);
/* Where malloc's heap ends: the first page behind it. */
uintptr_t platform_heap_end(void);
int platform_resident(uintptr_t address, size_t length, unsigned char *pages);

/* -- files ------------------------------------------------------------------------------------- */

struct platform_look {
  uint64_t size_bytes;
  uint64_t page_bytes; /* of mappings of this object */
  int kind;            /* enum memmap_object_kind */
};

/* Opens without blocking and without following what would hang; *created tells whether the file
 * was made. Directories and sockets are opened as far as that is possible, for platform_look. */
int platform_open(const char *path, bool write, bool create, bool *created);
int platform_duplicate(int fd);
void platform_close(int fd);
void platform_unlink(const char *path);
int platform_look(int fd, struct platform_look *look);
/* Bytes that were read, from where the last read ended; 0 at the end. */
int64_t platform_read(int fd, void *target, size_t length);
/* The size in bytes, or a failure. [handler] */
int64_t platform_size(int fd);
/* What the system calls the object of a descriptor; false: nothing. */
bool platform_path(int fd, char *path, size_t path_bytes);
int platform_identify(int fd, struct memmap_identity *identity);
/* Allocates blocks without changing the size. Where the file system cannot, zeros are written,
 * which changes it: then 1. */
int platform_allocate(int fd, uint64_t offset, uint64_t length);
/* Makes the file at least `to` bytes long; never shorter. */
int platform_extend(int fd, uint64_t from, uint64_t to);
/* Sets the size, whatever it was. */
int platform_resize(int fd, uint64_t size);
int platform_punch(int fd, uint64_t offset, uint64_t length);
/* Starts and awaits the write-back of a range of the file's data. */
int platform_write_back(int fd, uint64_t offset, uint64_t length);
int platform_drop_cache(int fd, uint64_t offset, uint64_t length);
/* A memory object, close-on-exec, sealed against shrinking. */
int platform_memory_object(uint64_t size, unsigned huge_shift);
/* Whether the kernel tells this user which pages of the file are in memory. */
bool platform_may_see_cache(int fd);

/* -- inspection: as in memmap.h; ENOSYS where the system has no such thing --------------------- */

int platform_cache_state(int fd, uint64_t offset, uint64_t length,
                         struct memmap_cache_state *state);
/* check: EPERM unless the stores to the range are watched; reset: watch what matched anew. */
int platform_scan_pages(int fd, struct memmap_page_scan *scan, bool check, bool reset,
                        struct memmap_page_run *runs, size_t capacity);
/* A descriptor for scans of this process. */
int platform_open_page_table(void);
int64_t platform_page_out(int64_t process, uint64_t address, uint64_t length);
int platform_watch_writes(uintptr_t address, size_t length);

/* -- faults ------------------------------------------------------------------------------------ */

struct platform_fault {
  uintptr_t address;
  bool is_bus;       /* SIGBUS: the object could not give the page; else protection */
  bool is_mapped;    /* false: there is no mapping at the address */
  int access;        /* MEMMAP_READ, MEMMAP_WRITE, or MEMMAP_NONE: unknown */
  bool is_execute;
  int detail;        /* si_code */
};

/* Installs the handlers; `decide` is called in them and returns true when the faulting
 * instruction shall run again, false when the fault is not ours. */
int platform_install_handlers(bool (*decide)(const struct platform_fault *fault));
int platform_handlers_lost(void);

/* Copies until the end or the first fault of either side. */
struct platform_copied {
  size_t left;
  uintptr_t address; /* that faulted, when something is left */
  bool is_bus;
};
struct platform_copied platform_copy(void *target, const void *source, size_t length);

/* -- threads ----------------------------------------------------------------------------------- */

/* A lock that a signal handler may take when the thread it interrupted cannot hold it. [handler] */
struct platform_lock { _Atomic(uint32_t) word; };
void platform_lock_take(struct platform_lock *lock);
void platform_lock_drop(struct platform_lock *lock);
void platform_yield(void); /* [handler] */
void platform_sleep_ms(unsigned milliseconds);
int64_t platform_thread(void); /* [handler] */

/* A detached thread that takes no signals but those of its own faults. */
int platform_thread_start(void *(*run)(void *), void *argument);

/* A bell that a handler rings and one thread awaits. */
int platform_bell_make(void);
void platform_bell_ring(int bell); /* [handler] */
void platform_bell_await(int bell);

#endif
