/*
 * binding.h - the glue between JavaScript and the engine: arguments in, results out, a failure to
 * an Error with errno and syscall. No system call and no decision about a mapping is made here.
 *
 * Arguments were checked in TypeScript; here they are only taken. What is kept per environment
 * (the main thread and each worker has one):
 *
 *   handle   one Mapping object: a user of a region, wrapped in the object. It is freed when the
 *            object is closed or collected and none of its views is left.
 *   view     one ArrayBuffer over a region: a holder of it, until both the object is collected and
 *            its memory is released. Either may come first: native code keeps the object while it
 *            uses the memory, ArrayBuffer.transfer() keeps the memory and drops the object.
 *
 * All of it belongs to the environment's thread, but that memory is released may be said on any
 * thread (Deno: on V8's sweepers), inside of a detachment (Bun), and after the environment has
 * ended. So the release only puts the view on a stack, from which it is taken where lists may be
 * changed. When an environment ends, what finalizers would do is done by a hook, because Deno runs
 * no finalizers for the environment of a worker; those that still run find it done.
 */
#ifndef MEMMAP_BINDING_H
#define MEMMAP_BINDING_H

#include <node_api.h>
#include <pthread.h>

#include "memmap.h"

struct handle;

struct environment {
  napi_env env;
  napi_ref facts_buffer;
  double *facts;              /* shared with TypeScript; see enum fact */
  struct handle *handles;
  size_t work_count;          /* not yet answered */
  pthread_t thread;
  bool is_detaching;
  struct orphan *orphans;     /* faults of mappings that were collected before they were told */
  _Atomic(struct view *) released;
  /* Guarded by `lock`, because other threads call in: */
  pthread_mutex_t lock;
  napi_threadsafe_function answers, faults; /* NULL when the environment has ended */
  bool is_ended;
  size_t references;          /* the environment itself, each handle, each piece of work */
  struct environment *next;   /* in the list of fault.c */
};

/* The order is part of the contract with src/binding/native.ts. */
enum fact {
  FACT_LENGTH, FACT_CAPACITY, FACT_PAGE, FACT_OBJECT_BYTES, FACT_OBJECT_KIND, FACT_FD, FACT_KIND,
  FACT_END, FACT_ADDRESS, FACT_ACCESS, FACT_OFFSET, FACT_COUNT,
};

struct view {
  struct handle *handle;
  memmap_region *region;
  uint64_t first, end; /* bytes from the region's first page */
  uint64_t offset, length; /* bytes of the mapping */
  napi_ref object;     /* weak */
  bool is_collected, is_released;
  bool is_dropped;     /* by the end of the environment: only its finalizer is still to come */
  struct view *next, *previous, *next_released;
};

struct orphan {
  char *path;          /* or NULL */
  struct memmap_fault faults[MEMMAP_FAULT_KINDS];
  struct orphan *next;
};

struct handle {
  struct environment *environment;
  memmap_region *region;
  napi_ref object;     /* weak: the Mapping */
  napi_ref pin;        /* strong: the SharedArrayBuffer whose memory is the region's; or NULL */
  napi_ref get_buffer; /* strong: tells where the memory of the pin is now; NULL: it never moves */
  struct view *views;
  bool is_open, is_wrapped, is_whole_shared;
  size_t guards;       /* open now, of this mapping */
  char *path;          /* for the faults of a mapping that nobody has any more; or NULL */
  struct handle *next, *previous;
};

/* arguments.c */
enum { ARGUMENTS_MAX = 12 };
struct call {
  napi_env env;
  struct environment *environment;
  napi_value arguments[ARGUMENTS_MAX];
};
struct call take_call(napi_env env, napi_callback_info info);
double take_number(const struct call *call, int index);
uint64_t take_bytes(const struct call *call, int index);
bool take_boolean(const struct call *call, int index);
/* NULL and length 0 where it is not a typed array. */
void *take_bytes_view(const struct call *call, int index, size_t *length);
/* The handle of the Mapping; NULL and an exception when it is closed. */
struct handle *take_handle(const struct call *call, int index);
napi_value give_number(napi_env env, double value);
napi_value give_boolean(napi_env env, bool value);
/* A failure becomes an Error with errno (negative, as in Node) and syscall; thrown. */
napi_value make_failure(napi_env env, int failure);
napi_value throw_failure(napi_env env, int failure);
/* NULL and an exception for a failure, else the number. */
napi_value give_result(napi_env env, int result);

/* handle.c */
napi_value binding_map(napi_env env, napi_callback_info info);
napi_value binding_resize(napi_env env, napi_callback_info info);
napi_value binding_close(napi_env env, napi_callback_info info);
napi_value binding_share(napi_env env, napi_callback_info info);
napi_value binding_attach(napi_env env, napi_callback_info info);
napi_value binding_refresh(napi_env env, napi_callback_info info);
napi_value binding_object_bytes(napi_env env, napi_callback_info info);
napi_value binding_identify(napi_env env, napi_callback_info info);
void handle_free_if_done(struct handle *handle);
/* Closes what is open, for environments whose finalizers do not run. */
void handles_end(struct environment *environment);
void give_facts(struct environment *environment, const struct memmap_facts *facts);

/* buffer.c */
napi_value binding_buffer(napi_env env, napi_callback_info info);
napi_value binding_shared_buffer(napi_env env, napi_callback_info info);
napi_value binding_move_onto(napi_env env, napi_callback_info info);
napi_value binding_hold(napi_env env, napi_callback_info info);
napi_value binding_detach(napi_env env, napi_callback_info info);
napi_value binding_read(napi_env env, napi_callback_info info);
napi_value binding_write(napi_env env, napi_callback_info info);
/* Detaches every view that reaches behind `length` bytes of the mapping. */
/* Whether the runtime makes SharedArrayBuffers over memory that is not its own. */
bool has_shared_buffers(void);
void detach_views(struct handle *handle, uint64_t length);
/* What of the region live views may still point into. */
void views_hull(const struct handle *handle, uint64_t *first, uint64_t *end);
/* Takes the views whose memory was released since the last time. */
void views_settle(struct environment *environment);
/* Frees those that were only kept for the faults that are told by now. */
void views_sweep(struct handle *handle);
/* At the end of the environment: lets the views go that nobody will tell about any more. */
void views_drop(struct handle *handle);
/* Makes the views of the handle holders of another region, which has their addresses now. */
void move_views(struct handle *handle, memmap_region *to);

/* range.c */
napi_value binding_flush(napi_env env, napi_callback_info info);
napi_value binding_advise(napi_env env, napi_callback_info info);
napi_value binding_residency(napi_env env, napi_callback_info info);
napi_value binding_lock(napi_env env, napi_callback_info info);
napi_value binding_unlock(napi_env env, napi_callback_info info);
napi_value binding_lock_all(napi_env env, napi_callback_info info);
napi_value binding_unlock_all(napi_env env, napi_callback_info info);
napi_value binding_room(napi_env env, napi_callback_info info);
napi_value binding_protect(napi_env env, napi_callback_info info);
napi_value binding_protection(napi_env env, napi_callback_info info);

/* work.c */
/* A piece of work and its way back; `work` first, and the task first in whatever embeds it. Made
 * by malloc. */
struct task {
  memmap_work work;
  struct environment *environment;
  napi_ref callback; /* used on the environment's thread only */
  napi_ref mapping;  /* strong: what is worked on is not collected */
  struct ticket *ticket; /* what binding_cancel takes */
  napi_ref ticket_object;
  _Atomic(bool) has_progress_waiting;
  bool has_progress;
  napi_value (*answer)(napi_env env, struct task *task); /* NULL: there is none */
  void (*drop)(struct task *task);                       /* frees what the task owns; or NULL */
};
void task_free(struct task *task);
/* Starts the work by `start`; gives what binding_cancel takes. On failure the task is freed. */
napi_value task_start(const struct call *call, struct task *task, napi_value callback,
                      int (*start)(struct task *task));
napi_value binding_start(napi_env env, napi_callback_info info);
napi_value binding_cancel(napi_env env, napi_callback_info info);
int work_environment_start(struct environment *environment);

/* scan.c */
napi_value binding_scan(napi_env env, napi_callback_info info);
napi_value binding_scan_start(napi_env env, napi_callback_info info);

/* fault.c */
napi_value binding_watch(napi_env env, napi_callback_info info);
napi_value binding_guard(napi_env env, napi_callback_info info);
napi_value binding_has_faults(napi_env env, napi_callback_info info);
napi_value binding_collect(napi_env env, napi_callback_info info);
napi_value binding_faulted(napi_env env, napi_callback_info info);
napi_value binding_orphans(napi_env env, napi_callback_info info);
napi_value binding_adopt(napi_env env, napi_callback_info info);
/* Writes the faults of a mapping to stderr, when no JavaScript can be told any more. */
void faults_print(struct handle *handle);
/* Keeps the faults of a mapping that was collected, and has them told. */
void faults_orphan(struct handle *handle);
napi_value binding_handlers_lost(napi_env env, napi_callback_info info);

/* inspect.c */
napi_value binding_cache_state(napi_env env, napi_callback_info info);
napi_value binding_drop_cache(napi_env env, napi_callback_info info);
napi_value binding_scan_pages(napi_env env, napi_callback_info info);
napi_value binding_page_out(napi_env env, napi_callback_info info);
napi_value binding_watch_writes(napi_env env, napi_callback_info info);
napi_value binding_written(napi_env env, napi_callback_info info);

/* maps.c */
napi_value binding_parse_maps(napi_env env, napi_callback_info info);
napi_value binding_read_maps(napi_env env, napi_callback_info info);
napi_value binding_read_maps_later(napi_env env, napi_callback_info info);

/* module.c */
void environment_retain(struct environment *environment);
void environment_release(struct environment *environment);

#endif
