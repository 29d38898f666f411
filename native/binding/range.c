/*
 * range.c - operations on ranges: (mapping, offset, length, ...).
 */
#include "binding/binding.h"

napi_value binding_flush(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  struct handle *handle = take_handle(&call, 0);
  if (!handle) return NULL;
  return give_result(env, memmap_flush(handle->region, take_bytes(&call, 1), take_bytes(&call, 2),
                                       (enum memmap_sync)take_number(&call, 3),
                                       take_boolean(&call, 4)));
}

napi_value binding_advise(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  struct handle *handle = take_handle(&call, 0);
  if (!handle) return NULL;
  return give_result(env, memmap_advise(handle->region, take_bytes(&call, 1),
                                        take_bytes(&call, 2),
                                        (enum memmap_advice)take_number(&call, 3)));
}

/* residency(mapping, offset, length, pages): 0, or 1 when the kernel would not tell the truth */
napi_value binding_residency(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  struct handle *handle = take_handle(&call, 0);
  if (!handle) return NULL;
  size_t count;
  unsigned char *pages = take_bytes_view(&call, 3, &count);
  return give_result(env, memmap_residency(handle->region, take_bytes(&call, 1),
                                           take_bytes(&call, 2), pages, count));
}

napi_value binding_lock(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  struct handle *handle = take_handle(&call, 0);
  if (!handle) return NULL;
  return give_result(env, memmap_lock(handle->region, take_bytes(&call, 1), take_bytes(&call, 2),
                                      take_boolean(&call, 3)));
}

napi_value binding_unlock(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  struct handle *handle = take_handle(&call, 0);
  if (!handle) return NULL;
  return give_result(env,
                     memmap_unlock(handle->region, take_bytes(&call, 1), take_bytes(&call, 2)));
}

/* lockAll(current, future, onFault) */
napi_value binding_lock_all(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  return give_result(env, memmap_lock_all(take_boolean(&call, 0), take_boolean(&call, 1),
                                          take_boolean(&call, 2)));
}

/* room(): [mappings, most, left] */
napi_value binding_room(napi_env env, napi_callback_info info) {
  (void)info;
  struct memmap_room room = memmap_room();
  const int64_t values[] = {room.mappings, room.most, room.left};
  napi_value result;
  napi_create_array_with_length(env, 3, &result);
  for (uint32_t i = 0; i < 3; i++) {
    napi_set_element(env, result, i, give_number(env, (double)values[i]));
  }
  return result;
}

napi_value binding_unlock_all(napi_env env, napi_callback_info info) {
  (void)info;
  return give_result(env, memmap_unlock_all());
}

napi_value binding_protect(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  struct handle *handle = take_handle(&call, 0);
  if (!handle) return NULL;
  return give_result(env, memmap_protect(handle->region, take_bytes(&call, 1),
                                         take_bytes(&call, 2),
                                         (enum memmap_access)take_number(&call, 3)));
}

/* protection(mapping, offset): of the page there; FACT_END is where its run ends */
napi_value binding_protection(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  struct handle *handle = take_handle(&call, 0);
  if (!handle) return NULL;
  uint64_t end;
  enum memmap_access protection = memmap_protection(handle->region, take_bytes(&call, 1), &end);
  call.environment->facts[FACT_END] = (double)end;
  return give_number(env, protection);
}
