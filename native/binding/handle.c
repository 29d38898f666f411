/*
 * handle.c - the life of a Mapping object.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "binding/binding.h"

/* gcc 12 does not see that the lists of the environment hold what is allocated here. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

void give_facts(struct environment *environment, const struct memmap_facts *facts) {
  double *to = environment->facts;
  to[FACT_LENGTH] = (double)facts->length_bytes;
  to[FACT_CAPACITY] = (double)facts->capacity_bytes;
  to[FACT_PAGE] = (double)facts->page_bytes;
  to[FACT_OBJECT_BYTES] = (double)facts->object_bytes;
  to[FACT_OBJECT_KIND] = facts->object_kind;
  to[FACT_FD] = facts->fd;
  to[FACT_ADDRESS] = (double)facts->address; /* exact: below 2^53 */
  to[FACT_ACCESS] = facts->access;
  to[FACT_OFFSET] = (double)facts->offset_bytes;
}

static void link_handle(struct handle *handle) {
  struct environment *environment = handle->environment;
  handle->next = environment->handles;
  handle->previous = NULL;
  if (handle->next) handle->next->previous = handle;
  environment->handles = handle;
}

static void unlink_handle(struct handle *handle) {
  if (handle->previous) handle->previous->next = handle->next;
  else handle->environment->handles = handle->next;
  if (handle->next) handle->next->previous = handle->previous;
}

void handle_free_if_done(struct handle *handle) {
  if (handle->is_open || handle->is_wrapped || handle->views) return;
  unlink_handle(handle);
  if (handle->pin) napi_delete_reference(handle->environment->env, handle->pin);
  if (handle->get_buffer) napi_delete_reference(handle->environment->env, handle->get_buffer);
  environment_release(handle->environment);
  free(handle->path);
  free(handle);
}

/* A WebAssembly.Memory that could not grow where it was has a buffer somewhere else now. Shared
 * ones never move, and there nothing can be asked on every version. */
static bool has_host_moved(struct handle *handle) {
  napi_env env = handle->environment->env;
  napi_handle_scope scope;
  napi_value host, get_buffer, buffer;
  bool is_plain = false;
  void *memory = NULL;
  size_t length = 0;
  if (!handle->get_buffer) return false;
  napi_open_handle_scope(env, &scope);
  napi_get_reference_value(env, handle->pin, &host);
  napi_get_reference_value(env, handle->get_buffer, &get_buffer);
  if (napi_call_function(env, host, get_buffer, 0, NULL, &buffer) == napi_ok &&
      napi_is_arraybuffer(env, buffer, &is_plain) == napi_ok && is_plain) {
    napi_get_arraybuffer_info(env, buffer, &memory, &length);
  }
  napi_close_handle_scope(env, scope);
  struct memmap_facts facts;
  memmap_describe(handle->region, &facts);
  uintptr_t start = (uintptr_t)memory;
  return memory && (facts.address < start || facts.address >= start + length);
}

static void handle_end(struct handle *handle) {
  handle->is_open = false;
  for (; handle->guards > 0; handle->guards--) memmap_guard_end(handle->region);
}

static void handle_close(struct handle *handle) {
  uint64_t first = 0, end = 0;
  memmap_region *region = handle->region;
  handle_end(handle);
  detach_views(handle, 0);
  views_hull(handle, &first, &end);
  if (has_host_moved(handle)) memmap_abandon(region);
  if (handle->is_whole_shared) first = 0, end = UINT64_MAX >> 1;
  memmap_release_user(region, first, end);
}

/* Forgotten instead of closed. Other threads may still use a buffer that is the runtime's own. */
static void handle_forget(struct handle *handle) {
  faults_orphan(handle);
  if (handle->is_whole_shared && !handle->pin) {
    handle_end(handle);
    memmap_leave_to_buffer(handle->region);
  } else {
    handle_close(handle);
  }
}

void handles_end(struct environment *environment) {
  views_settle(environment);
  for (struct handle *each = environment->handles; each; each = each->next) {
    uint64_t first = 0, end = 0;
    bool is_open = each->is_open;
    if (!each->is_whole_shared) faults_print(each); /* of shared ones others may still tell */
    if (is_open) handle_end(each);
    views_hull(each, &first, &end);
    if (each->is_whole_shared) first = 0, end = UINT64_MAX >> 1;
    if (is_open && each->is_whole_shared && !each->pin) memmap_leave_to_buffer(each->region);
    else if (is_open) memmap_release_user(each->region, first, end);
    views_drop(each);
  }
}

/* The Mapping was collected, or its environment ends. */
static void on_mapping_collected(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  struct handle *handle = data;
  views_settle(handle->environment);
  if (handle->is_open) handle_forget(handle);
  handle->is_wrapped = false;
  /* The last of the views frees the handle. */
  if (handle->views) views_sweep(handle);
  else handle_free_if_done(handle);
}

static struct handle *handle_make(const struct call *call, napi_value object,
                                  memmap_region *region) {
  struct handle *handle = calloc(1, sizeof(*handle));
  if (!handle) return NULL;
  handle->environment = call->environment;
  handle->region = region;
  if (napi_wrap(call->env, object, handle, on_mapping_collected, NULL, &handle->object) !=
      napi_ok) {
    free(handle);
    return NULL;
  }
  environment_retain(handle->environment);
  handle->is_open = handle->is_wrapped = true;
  link_handle(handle);
  return handle;
}

/* map(mapping, path | fd | undefined, access, offset, length, capacity, flags, hugeShift,
 *     address, advice): 0 or a refusal; the facts are set either way. */
napi_value binding_map(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  struct memmap_request request = {
    .fd = -1,
    .access = (enum memmap_access)take_number(&call, 2),
    .offset_bytes = take_bytes(&call, 3),
    .length_bytes = (int64_t)take_number(&call, 4),
    .capacity_bytes = take_bytes(&call, 5),
    .flags = (uint32_t)take_number(&call, 6),
    .huge_shift = (unsigned)take_number(&call, 7),
    .advice = (int)take_number(&call, 9),
  };
  bool lossless;
  napi_get_value_bigint_uint64(env, call.arguments[8], &request.address, &lossless);
  char stack_path[512], *path = NULL;
  size_t length = 0;
  napi_valuetype type;
  napi_typeof(env, call.arguments[1], &type);
  if (type == napi_number) {
    request.fd = (int)take_number(&call, 1);
  } else if (type == napi_string) {
    napi_get_value_string_utf8(env, call.arguments[1], stack_path, sizeof(stack_path), &length);
    request.path = stack_path;
    if (length + 1 >= sizeof(stack_path)) {
      napi_get_value_string_utf8(env, call.arguments[1], NULL, 0, &length);
      path = malloc(length + 1);
      if (!path) return throw_failure(env, memmap_failure(MEMMAP_CALL_MALLOC, ENOMEM));
      napi_get_value_string_utf8(env, call.arguments[1], path, length + 1, &length);
      request.path = path;
    }
  }
  memmap_region *region = NULL;
  struct memmap_facts facts = {.fd = -1};
  int result = memmap_map(&request, &region, &facts);
  give_facts(call.environment, &facts);
  if (result == 0) {
    struct handle *handle = handle_make(&call, call.arguments[0], region);
    if (handle && request.path) handle->path = strdup(request.path);
    if (!handle) {
      memmap_release_user(region, 0, 0);
      result = memmap_failure(MEMMAP_CALL_MALLOC, ENOMEM);
    }
  }
  free(path);
  return give_result(env, result);
}

/* resize(mapping, length): 0 or a refusal. Views that lose their memory are detached. */
napi_value binding_resize(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  struct handle *handle = take_handle(&call, 0);
  if (!handle) return NULL;
  memmap_region *former = NULL;
  struct memmap_facts facts = {.fd = -1};
  uint64_t length = take_bytes(&call, 1);
  int result = memmap_resize(handle->region, length, &former, &facts);
  if (result == 0) {
    detach_views(handle, facts.capacity_bytes ? length : 0);
    if (former) {
      move_views(handle, former);
      memmap_release_holder(former);
    }
  }
  give_facts(call.environment, &facts);
  return give_result(env, result);
}

/* close(mapping) */
napi_value binding_close(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  struct handle *handle = take_handle(&call, 0);
  if (!handle) return NULL;
  handle_close(handle);
  return NULL;
}

/* share(mapping): the number to attach by */
napi_value binding_share(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  struct handle *handle = take_handle(&call, 0);
  return handle ? give_number(env, (double)memmap_share(handle->region)) : NULL;
}

/* attach(mapping, number, view, pin): whether the mapping is open and `view`, a Uint8Array over the
 * shared buffer that came with the number, begins where it does. The pin is held as by moveOnto. */
napi_value binding_attach(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  memmap_region *region = memmap_attach(take_bytes(&call, 1));
  if (!region) return give_boolean(env, false);
  struct memmap_facts facts;
  size_t length;
  memmap_describe(region, &facts);
  const void *memory = take_bytes_view(&call, 2, &length);
  bool is_same = (uintptr_t)memory == (uintptr_t)facts.address || facts.address == 0;
  struct handle *handle = is_same ? handle_make(&call, call.arguments[0], region) : NULL;
  if (!handle) {
    memmap_release_user(region, 0, 0);
    return give_boolean(env, false);
  }
  napi_valuetype type;
  napi_typeof(env, call.arguments[3], &type);
  if (type == napi_object) napi_create_reference(env, call.arguments[3], 1, &handle->pin);
  give_facts(call.environment, &facts);
  return give_boolean(env, true);
}

/* refresh(mapping): sets the facts to what they are now; other threads may have resized it */
napi_value binding_refresh(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  struct handle *handle = take_handle(&call, 0);
  if (!handle) return NULL;
  struct memmap_facts facts = {0};
  memmap_describe(handle->region, &facts);
  give_facts(call.environment, &facts);
  return NULL;
}

/* objectBytes(mapping): the size of what is mapped, looked at now */
napi_value binding_object_bytes(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  struct handle *handle = take_handle(&call, 0);
  if (!handle) return NULL;
  int64_t size = memmap_object_bytes(handle->region);
  return size < 0 ? throw_failure(env, (int)size) : give_number(env, (double)size);
}

/* identify(mapping, answer: BigInt64Array): see struct memmap_identity */
napi_value binding_identify(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  struct handle *handle = take_handle(&call, 0);
  if (!handle) return NULL;
  size_t length;
  return give_result(env, memmap_identify(handle->region, take_bytes_view(&call, 1, &length)));
}
