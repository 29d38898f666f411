/*
 * inspect.c - caches and page tables. Structures are passed as typed arrays of their members.
 */
#include "binding/binding.h"

/* cacheState(fd, offset, length, answer): five numbers of pages */
napi_value binding_cache_state(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  size_t count;
  double *answer = take_bytes_view(&call, 3, &count);
  struct memmap_cache_state state;
  int result = memmap_cache_state((int)take_number(&call, 0), take_bytes(&call, 1),
                                  take_bytes(&call, 2), &state);
  if (result < 0) return throw_failure(env, result);
  if (answer && count >= 5) {
    answer[0] = (double)state.cached;
    answer[1] = (double)state.dirty;
    answer[2] = (double)state.writeback;
    answer[3] = (double)state.evicted;
    answer[4] = (double)state.recently_evicted;
  }
  return give_number(env, 0);
}

napi_value binding_drop_cache(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  return give_result(env, memmap_drop_cache((int)take_number(&call, 0), take_bytes(&call, 1),
                                            take_bytes(&call, 2)));
}

static const size_t run_words = sizeof(struct memmap_page_run) / sizeof(uint64_t);

/* scanPages(fd, scan, runs): how many runs were found */
napi_value binding_scan_pages(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  size_t scan_count, count;
  struct memmap_page_scan *scan = take_bytes_view(&call, 1, &scan_count);
  struct memmap_page_run *runs = take_bytes_view(&call, 2, &count);
  if (!scan || scan_count * sizeof(uint64_t) < sizeof(*scan)) return give_number(env, 0);
  return give_result(
      env, memmap_scan_pages((int)take_number(&call, 0), scan, runs, count / run_words));
}

/* pageOut(process, address, length): the bytes that were looked at */
napi_value binding_page_out(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  uint64_t address = 0;
  bool is_lossless;
  napi_get_value_bigint_uint64(env, call.arguments[1], &address, &is_lossless);
  int64_t result = memmap_page_out((int64_t)take_number(&call, 0), address, take_bytes(&call, 2));
  return result < 0 ? throw_failure(env, (int)result) : give_number(env, (double)result);
}

napi_value binding_watch_writes(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  struct handle *handle = take_handle(&call, 0);
  if (!handle) return NULL;
  return give_result(env, memmap_watch_writes(handle->region));
}

/* written(mapping, offset, length, mode, runs): how many runs; FACT_END is where to go on */
napi_value binding_written(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  struct handle *handle = take_handle(&call, 0);
  if (!handle) return NULL;
  size_t count;
  struct memmap_page_run *runs = take_bytes_view(&call, 4, &count);
  uint64_t next = 0;
  int found = memmap_written(handle->region, take_bytes(&call, 1), take_bytes(&call, 2),
                             (enum memmap_written_mode)take_number(&call, 3), runs,
                             count / run_words, &next);
  call.environment->facts[FACT_END] = (double)next;
  return give_result(env, found);
}
