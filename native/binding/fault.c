/*
 * fault.c - faults on their way to JavaScript.
 *
 * The engine tells on a thread of its own that something faulted; every environment that watches
 * is called on its own thread and looks through its open handles.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "binding/binding.h"

/* gcc 12 does not see that the lists of the environment hold what is allocated here. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

static pthread_mutex_t watchers_lock = PTHREAD_MUTEX_INITIALIZER;
static struct environment *watchers;

static void on_fault(void) {
  pthread_mutex_lock(&watchers_lock);
  for (struct environment *each = watchers; each; each = each->next) {
    pthread_mutex_lock(&each->lock);
    if (each->faults) napi_call_threadsafe_function(each->faults, NULL, napi_tsfn_nonblocking);
    pthread_mutex_unlock(&each->lock);
  }
  pthread_mutex_unlock(&watchers_lock);
}

/* Before the threadsafe function's own hook, as in work.c. */
static void on_environment_end(void *data) {
  struct environment *environment = data;
  pthread_mutex_lock(&watchers_lock);
  for (struct environment **each = &watchers; *each; each = &(*each)->next) {
    if (*each != environment) continue;
    *each = environment->next;
    break;
  }
  pthread_mutex_unlock(&watchers_lock);
  pthread_mutex_lock(&environment->lock);
  environment->faults = NULL;
  pthread_mutex_unlock(&environment->lock);
}

/* watch(callback): callback() is called on the event loop after faults; once an environment. */
napi_value binding_watch(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  struct environment *environment = call.environment;
  if (environment->faults) return NULL;
  napi_value name;
  napi_create_string_utf8(env, "memmap fault", NAPI_AUTO_LENGTH, &name);
  if (napi_create_threadsafe_function(env, call.arguments[0], NULL, name, 0, 1, NULL, NULL, NULL,
                                      NULL, &environment->faults) != napi_ok) {
    napi_throw_error(env, NULL, "Cannot watch for faults");
    return NULL;
  }
  napi_unref_threadsafe_function(env, environment->faults);
  napi_add_env_cleanup_hook(env, on_environment_end, environment);
  pthread_mutex_lock(&watchers_lock);
  environment->next = watchers;
  watchers = environment;
  pthread_mutex_unlock(&watchers_lock);
  memmap_on_fault(on_fault);
  return NULL;
}

/* guard(mapping, isBegin): what faults between the two is this mapping's to take */
napi_value binding_guard(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  struct handle *handle = take_handle(&call, 0);
  if (!handle) return NULL;
  if (take_boolean(&call, 1)) {
    handle->guards++;
    memmap_guard_begin(handle->region);
  } else if (handle->guards > 0) {
    handle->guards--;
    memmap_guard_end(handle->region);
  }
  return NULL;
}

/* hasFaults(mapping): of an open one */
napi_value binding_has_faults(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  struct handle *handle = take_handle(&call, 0);
  return handle ? give_boolean(env, memmap_has_faults(handle->region, handle->guards > 0)) : NULL;
}

/* A closed mapping, and one that has moved, can still be stored into through its old buffers. */
static memmap_region *next_faulted(struct handle *handle, bool is_all) {
  bool is_in_guard = is_all || handle->guards > 0;
  if (handle->is_open && memmap_has_faults(handle->region, is_in_guard)) return handle->region;
  for (struct view *view = handle->views; view; view = view->next) {
    if (memmap_has_faults(view->region, is_in_guard)) return view->region;
  }
  return NULL;
}

static napi_value give_fault(napi_env env, int kind, const struct memmap_fault *fault) {
  napi_value entry, address;
  const double values[] = {kind, (double)fault->count, (double)fault->order, 0,
                           (double)fault->offset_bytes, (double)fault->thread, fault->access,
                           fault->detail};
  napi_create_array_with_length(env, sizeof(values) / sizeof(*values), &entry);
  for (uint32_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
    napi_set_element(env, entry, i, give_number(env, values[i]));
  }
  napi_create_bigint_uint64(env, fault->address, &address);
  napi_set_element(env, entry, 3, address);
  return entry;
}

/* collect(mapping): [[kind, count, order, address, offset, thread, access, detail], ...]; also of
 * a closed mapping */
napi_value binding_collect(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  void *handle = NULL;
  napi_value result;
  uint32_t count = 0;
  napi_create_array(env, &result);
  if (napi_unwrap(env, call.arguments[0], &handle) != napi_ok) return result;
  struct memmap_fault faults[MEMMAP_FAULT_KINDS];
  for (memmap_region *region; (region = next_faulted(handle, true));) {
    memmap_collect(region, faults);
    for (int kind = 0; kind < MEMMAP_FAULT_KINDS; kind++) {
      if (faults[kind].count == 0) continue;
      napi_set_element(env, result, count++, give_fault(env, kind, &faults[kind]));
    }
  }
  views_sweep(handle);
  return result;
}

/* faulted(isAll): the Mapping objects of this environment that have faults waiting; those in the
 * guard of another thread only with isAll */
napi_value binding_faulted(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  napi_value result, object;
  uint32_t count = 0;
  bool is_all = take_boolean(&call, 0);
  napi_create_array(env, &result);
  for (struct handle *each = call.environment->handles; each; each = each->next) {
    if (!each->is_wrapped || !next_faulted(each, is_all)) continue;
    object = NULL;
    napi_get_reference_value(env, each->object, &object);
    if (object) napi_set_element(env, result, count++, object);
  }
  return result;
}

/* -- of mappings that were collected ---------------------------------------------------------------- */

static bool add_orphan(struct environment *environment, const struct memmap_fault *faults,
                       const char *path) {
  struct orphan *orphan = calloc(1, sizeof(*orphan));
  if (!orphan) return false;
  memcpy(orphan->faults, faults, sizeof(orphan->faults));
  orphan->path = path ? strdup(path) : NULL;
  orphan->next = environment->orphans;
  environment->orphans = orphan;
  return true;
}

void faults_orphan(struct handle *handle) {
  struct environment *environment = handle->environment;
  for (memmap_region *region; (region = next_faulted(handle, true));) {
    struct memmap_fault faults[MEMMAP_FAULT_KINDS];
    memmap_collect(region, faults);
    if (!add_orphan(environment, faults, handle->path)) return;
    pthread_mutex_lock(&environment->lock);
    if (environment->faults) {
      napi_call_threadsafe_function(environment->faults, NULL, napi_tsfn_nonblocking);
    }
    pthread_mutex_unlock(&environment->lock);
  }
}

static napi_value give_orphan(napi_env env, const struct orphan *orphan) {
  napi_value result, path, records;
  uint32_t count = 0;
  napi_create_array_with_length(env, 2, &result);
  napi_create_array(env, &records);
  for (int kind = 0; kind < MEMMAP_FAULT_KINDS; kind++) {
    if (orphan->faults[kind].count == 0) continue;
    napi_set_element(env, records, count++, give_fault(env, kind, &orphan->faults[kind]));
  }
  napi_get_null(env, &path);
  if (orphan->path) napi_create_string_utf8(env, orphan->path, NAPI_AUTO_LENGTH, &path);
  napi_set_element(env, result, 0, path);
  napi_set_element(env, result, 1, records);
  return result;
}

/* orphans(): [[path | null, records], ...] of mappings that were collected with faults untold; also
 * of those whose finalizer is still to come */
napi_value binding_orphans(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  struct environment *environment = call.environment;
  napi_value result, object;
  uint32_t count = 0;
  napi_create_array(env, &result);
  for (struct handle *each = environment->handles; each; each = each->next) {
    object = NULL;
    if (each->is_wrapped) napi_get_reference_value(env, each->object, &object);
    if (!object) faults_orphan(each);
  }
  while (environment->orphans) {
    struct orphan *orphan = environment->orphans;
    environment->orphans = orphan->next;
    napi_set_element(env, result, count++, give_orphan(env, orphan));
    free(orphan->path);
    free(orphan);
  }
  return result;
}

static void adopt(void *environment, const struct memmap_fault *faults, const char *path) {
  add_orphan(environment, faults, path);
}

/* adopt(): what other threads of the process have not told yet becomes orphans of this one. */
napi_value binding_adopt(napi_env env, napi_callback_info info) {
  memmap_collect_all(adopt, take_call(env, info).environment);
  return NULL;
}

/* -- at the end of an environment ------------------------------------------------------------------- */

/* No JavaScript runs any more, but it shall not be silent. The words are those of
 * src/mapping/fault.ts. */
void faults_print(struct handle *handle) {
  static const char *const codes[] = {"ERR_MEMMAP_TRUNCATED", "ERR_MEMMAP_READ_ONLY",
                                      "ERR_MEMMAP_NO_ACCESS", "ERR_MEMMAP_IO",
                                      "ERR_MEMMAP_CLOSED"};
  static const char *const verbs[] = {"access", "read", "write"};
  struct memmap_fault faults[MEMMAP_FAULT_KINDS];
  for (memmap_region *region; (region = next_faulted(handle, true));) {
    memmap_collect(region, faults);
    for (int kind = 0; kind < MEMMAP_FAULT_KINDS; kind++) {
      const struct memmap_fault *fault = &faults[kind];
      if (fault->count == 0) continue;
      fprintf(stderr, "memmap: undelivered fault: %s: Cannot %s byte %llu of %s\n", codes[kind],
              verbs[fault->access <= MEMMAP_WRITE ? fault->access : 0],
              (unsigned long long)fault->offset_bytes, handle->path ? handle->path : "memory");
    }
  }
}

napi_value binding_handlers_lost(napi_env env, napi_callback_info info) {
  (void)info;
  return give_boolean(env, memmap_handlers_lost());
}
