/*
 * buffer.c - ArrayBuffers over mappings, and copies into and out of them.
 */
#include <errno.h>
#include <stdlib.h>

#include "binding/binding.h"

/* From Node 22.23, 24.16 and 26.1 on, and Bun; found when the addon is loaded (weak: NULL where it
 * is not exported). Its finalizer has no environment and may run on any thread. */
typedef void (*noenv_finalize)(void *data, void *hint);
extern napi_status node_api_create_external_sharedarraybuffer(napi_env env, void *data,
                                                              size_t length,
                                                              noenv_finalize finalize, void *hint,
                                                              napi_value *result)
    __attribute__((weak));

static void unlink_view(struct view *view) {
  if (view->previous) view->previous->next = view->next;
  else view->handle->views = view->next;
  if (view->next) view->next->previous = view->previous;
}

static void link_view(struct handle *handle, struct view *view) {
  view->handle = handle;
  view->next = handle->views;
  view->previous = NULL;
  if (view->next) view->next->previous = view;
  handle->views = view;
}

static void view_free_if_done(struct view *view) {
  if (!view->is_collected || !view->is_released) return;
  struct handle *handle = view->handle;
  if (memmap_has_faults(view->region, true)) {
    /* Only through it the faults of a closed region are found: it stays until they are told. */
    if (handle->is_wrapped) return;
    faults_orphan(handle);
  }
  unlink_view(view);
  memmap_release_holder(view->region);
  free(view);
  handle_free_if_done(handle);
}

void views_sweep(struct handle *handle) {
  for (struct view *view = handle->views, *next; view; view = next) {
    next = view->next;
    view_free_if_done(view);
  }
}

void views_settle(struct environment *environment) {
  if (!atomic_load_explicit(&environment->released, memory_order_relaxed)) return;
  struct view *view = atomic_exchange(&environment->released, NULL);
  for (struct view *next; view; view = next) {
    next = view->next_released;
    view->is_released = true;
    view_free_if_done(view);
  }
}

/* The memory of the ArrayBuffer is no longer used by the engine. On any thread, at any time. */
static void on_memory_released(napi_env env, void *data, void *hint) {
  (void)env, (void)data;
  struct view *view = hint;
  struct environment *environment = view->handle->environment;
  pthread_t thread = environment->thread;
  environment_retain(environment); /* the settling may free everything */
  view->next_released = atomic_load(&environment->released);
  while (!atomic_compare_exchange_weak(&environment->released, &view->next_released, view)) continue;
  if (pthread_equal(thread, pthread_self())) {
    if (!environment->is_detaching) views_settle(environment);
  } else {
    pthread_mutex_lock(&environment->lock);
    if (environment->is_ended) {
      /* There is no thread of its own any more; this lock keeps others out. */
      struct view *rest = atomic_exchange(&environment->released, NULL);
      pthread_mutex_unlock(&environment->lock);
      for (struct view *next; rest; rest = next) {
        next = rest->next_released;
        memmap_release_holder(rest->region);
      }
    } else {
      /* Any call into the environment settles it. */
      if (environment->faults) {
        napi_call_threadsafe_function(environment->faults, NULL, napi_tsfn_nonblocking);
      }
      pthread_mutex_unlock(&environment->lock);
    }
  }
  environment_release(environment);
}

/* The ArrayBuffer object is gone. */
static void on_object_collected(napi_env env, void *data, void *hint) {
  (void)hint;
  struct view *view = data;
  if (view->object) napi_delete_reference(env, view->object);
  if (view->is_dropped) {
    free(view);
    return;
  }
  views_settle(view->handle->environment);
  view->object = NULL;
  view->is_collected = true;
  view_free_if_done(view);
}

void views_drop(struct handle *handle) {
  for (struct view *view = handle->views, *next; view; view = next) {
    next = view->next;
    /* Of the others the memory is still to be released, which is told on every runtime. */
    if (!view->is_released) continue;
    unlink_view(view);
    memmap_release_holder(view->region);
    if (view->is_collected) free(view); /* it was kept for its faults */
    else view->is_dropped = true;
  }
}

static struct view *view_make(struct handle *handle, uint64_t offset, uint64_t length) {
  struct view *view = calloc(1, sizeof(*view));
  if (!view) return NULL;
  struct memmap_facts facts;
  memmap_describe(handle->region, &facts);
  uint64_t delta = facts.address % facts.page_bytes;
  view->region = handle->region;
  view->offset = offset;
  view->length = length;
  view->first = delta + offset;
  view->end = view->first + length;
  memmap_retain_holder(view->region);
  link_view(handle, view);
  return view;
}

static void *address_of(const struct handle *handle, uint64_t offset) {
  struct memmap_facts facts;
  memmap_describe(handle->region, &facts);
  return (void *)(uintptr_t)(facts.address + offset);
}

/* buffer(mapping, offset, length): a Buffer over an ArrayBuffer of exactly this range.
 * pre: length > 0 */
napi_value binding_buffer(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  struct handle *handle = take_handle(&call, 0);
  if (!handle) return NULL;
  uint64_t offset = take_bytes(&call, 1), length = take_bytes(&call, 2);
  struct view *view = view_make(handle, offset, length);
  if (!view) return throw_failure(env, memmap_failure(MEMMAP_CALL_MALLOC, ENOMEM));
  napi_value result = NULL, buffer = NULL;
  napi_status status = napi_create_external_buffer(env, (size_t)length, address_of(handle, offset),
                                                   on_memory_released, view, &result);
  if (status != napi_ok) {
    view->is_collected = view->is_released = true;
    view_free_if_done(view);
    bool is_pending = false;
    napi_is_exception_pending(env, &is_pending);
    if (!is_pending) {
      napi_throw_error(env, "ERR_MEMMAP_UNSUPPORTED", "The runtime refuses external buffers");
    }
    return NULL;
  }
  napi_get_typedarray_info(env, result, NULL, NULL, NULL, &buffer, NULL);
  napi_add_finalizer(env, buffer, view, on_object_collected, NULL, &view->object);
  return result;
}

bool has_shared_buffers(void) { return node_api_create_external_sharedarraybuffer != NULL; }

static void on_shared_released(void *data, void *hint) {
  (void)data;
  memmap_buffer_end(hint);
}

/* sharedBuffer(mapping, length): a SharedArrayBuffer over the mapping, or undefined where the
 * runtime cannot make one. */
napi_value binding_shared_buffer(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  struct handle *handle = take_handle(&call, 0);
  if (!handle || !has_shared_buffers()) return NULL;
  napi_value result = NULL;
  memmap_buffer_begin(handle->region);
  if (node_api_create_external_sharedarraybuffer(env, address_of(handle, 0),
                                                 (size_t)take_bytes(&call, 1), on_shared_released,
                                                 handle->region, &result) != napi_ok) {
    memmap_buffer_end(handle->region);
    return NULL;
  }
  return result;
}

/* moveOnto(mapping, view, pin, getBuffer): puts the mapping under the memory of a buffer of the
 * runtime's own. `view` is a Uint8Array over it; `pin` another object over the same memory, or one
 * that has it, held strongly until the mapping is gone from there. Where the memory may be moved
 * meanwhile, `getBuffer` is the function that, called on the pin, gives the buffer it has. */
napi_value binding_move_onto(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  struct handle *handle = take_handle(&call, 0);
  if (!handle) return NULL;
  size_t length;
  void *memory = take_bytes_view(&call, 1, &length);
  napi_valuetype type;
  napi_typeof(env, call.arguments[3], &type);
  napi_create_reference(env, call.arguments[2], 1, &handle->pin);
  int result = memmap_move_onto(handle->region, memory);
  if (result == 0 && type == napi_function) {
    napi_create_reference(env, call.arguments[3], 1, &handle->get_buffer);
  }
  return give_result(env, result);
}

/* hold(mapping, buffer): the region keeps its addresses at least as long as this object lives. */
napi_value binding_hold(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  struct handle *handle = take_handle(&call, 0);
  if (!handle) return NULL;
  struct view *view = view_make(handle, 0, 0);
  if (!view) return throw_failure(env, memmap_failure(MEMMAP_CALL_MALLOC, ENOMEM));
  view->is_released = true; /* its memory is not ours to be told about */
  handle->is_whole_shared = true;
  napi_add_finalizer(env, call.arguments[1], view, on_object_collected, NULL, &view->object);
  return NULL;
}

void detach_views(struct handle *handle, uint64_t length) {
  napi_env env = handle->environment->env;
  napi_handle_scope scope;
  if (!handle->views) return;
  napi_open_handle_scope(env, &scope);
  handle->environment->is_detaching = true; /* it may say at once that memory is released */
  for (struct view *view = handle->views; view; view = view->next) {
    if (view->offset + view->length <= length || view->region != handle->region) continue;
    napi_value buffer = NULL;
    if (!view->object || view->length == 0) continue;
    napi_get_reference_value(env, view->object, &buffer);
    if (buffer) napi_detach_arraybuffer(env, buffer);
  }
  handle->environment->is_detaching = false;
  napi_close_handle_scope(env, scope);
}

void views_hull(const struct handle *handle, uint64_t *first, uint64_t *end) {
  *first = *end = 0;
  for (const struct view *view = handle->views; view; view = view->next) {
    if (view->region != handle->region || view->length == 0) continue;
    if (*end == 0 || view->first < *first) *first = view->first;
    if (view->end > *end) *end = view->end;
  }
}

void move_views(struct handle *handle, memmap_region *to) {
  for (struct view *view = handle->views; view; view = view->next) {
    if (view->region != handle->region) continue;
    memmap_retain_holder(to);
    view->region = to;
    memmap_release_holder(handle->region);
  }
}

static napi_value give_copied(const struct call *call, struct memmap_copied copied) {
  call->environment->facts[FACT_KIND] = copied.fault;
  return give_number(call->env, (double)copied.bytes);
}

/* read(mapping, offset, target): bytes copied; FACT_KIND says what ended it early. */
napi_value binding_read(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  struct handle *handle = take_handle(&call, 0);
  if (!handle) return NULL;
  size_t length;
  void *target = take_bytes_view(&call, 2, &length);
  return give_copied(&call, memmap_read(handle->region, take_bytes(&call, 1), target, length));
}

/* write(mapping, offset, source): like read. */
napi_value binding_write(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  struct handle *handle = take_handle(&call, 0);
  if (!handle) return NULL;
  size_t length;
  const void *source = take_bytes_view(&call, 2, &length);
  return give_copied(&call, memmap_write(handle->region, take_bytes(&call, 1), source, length));
}
