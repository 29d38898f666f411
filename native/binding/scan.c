/*
 * scan.c - scans, here or on threads of the engine's.
 *
 * Both ways take (mapping, kind, offset, length, pattern, overlapping, threads, numberMax,
 * blockBytes) and answer with a Float64Array: the kind of fault that spoils it, the answer (-1:
 * nowhere), the object's size where it was cut, and the numbers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "binding/binding.h"

enum { ANSWER_FAULT, ANSWER_VALUE, ANSWER_OBJECT_BYTES, ANSWER_NUMBERS };

struct scan_task {
  struct task task; /* first */
  memmap_scan scan;
};

static void drop(struct task *task) {
  memmap_scan *scan = &((struct scan_task *)task)->scan;
  free((char *)scan->pattern);
  free(scan->numbers);
}

static napi_value answer(napi_env env, struct task *task) {
  const memmap_scan *scan = &((struct scan_task *)task)->scan;
  bool has_numbers = scan->numbers != NULL;
  size_t count = ANSWER_NUMBERS + (has_numbers ? (size_t)scan->number_count : 0);
  napi_value buffer = NULL, result = NULL;
  void *data = NULL;
  if (napi_create_arraybuffer(env, count * sizeof(double), &data, &buffer) != napi_ok) {
    return NULL;
  }
  double *values = data;
  values[ANSWER_FAULT] = scan->fault;
  values[ANSWER_VALUE] = scan->answer == UINT64_MAX ? -1 : (double)scan->answer;
  values[ANSWER_OBJECT_BYTES] = (double)scan->object_bytes;
  for (size_t i = ANSWER_NUMBERS; i < count; i++) {
    values[i] = (double)scan->numbers[i - ANSWER_NUMBERS];
  }
  napi_create_typedarray(env, napi_float64_array, count, buffer, 0, &result);
  return result;
}

/* Takes the arguments; NULL and an exception when the mapping is closed or memory is missing. */
static struct scan_task *take_scan(const struct call *call) {
  struct handle *handle = take_handle(call, 0);
  if (!handle) return NULL;
  struct scan_task *made = calloc(1, sizeof(*made));
  size_t length;
  const void *pattern = take_bytes_view(call, 4, &length);
  char *copy = malloc(length ? length : 1);
  uint64_t number_max = take_bytes(call, 7);
  bool has_numbers = number_max && (int)take_number(call, 1) != MEMMAP_SCAN_NTH;
  uint64_t *numbers = has_numbers ? malloc((size_t)number_max * sizeof(*numbers)) : NULL;
  if (!made || !copy || (has_numbers && !numbers)) {
    free(made);
    free(copy);
    free(numbers);
    throw_failure(call->env, memmap_failure(MEMMAP_CALL_MALLOC, ENOMEM));
    return NULL;
  }
  if (length) memcpy(copy, pattern, length);
  made->task.work.region = handle->region;
  made->task.work.offset_bytes = take_bytes(call, 2);
  made->task.work.length_bytes = take_bytes(call, 3);
  made->task.answer = answer;
  made->task.drop = drop;
  made->scan = (memmap_scan){
    .work = &made->task.work,
    .scan_kind = (int)take_number(call, 1),
    .pattern = copy,
    .pattern_bytes = length,
    .overlapping = take_boolean(call, 5),
    .threads = (unsigned)take_number(call, 6),
    .numbers = numbers,
    .number_max = number_max,
    .block_bytes = take_bytes(call, 8),
  };
  return made;
}

/* scan(mapping, kind, offset, length, pattern, overlapping, threads, numberMax, blockBytes) */
napi_value binding_scan(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  struct scan_task *made = take_scan(&call);
  if (!made) return NULL;
  memmap_scan_run(&made->scan);
  napi_value result = made->task.work.result < 0 ? throw_failure(env, made->task.work.result)
                                                 : answer(env, &made->task);
  task_free(&made->task);
  return result;
}

static int start_scan(struct task *task) {
  return memmap_scan_start(&((struct scan_task *)task)->scan);
}

/* scanStart(... as scan, hasProgress, callback): a task to cancel */
napi_value binding_scan_start(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  struct scan_task *made = take_scan(&call);
  if (!made) return NULL;
  made->task.has_progress = take_boolean(&call, 9);
  return task_start(&call, &made->task, call.arguments[10], start_scan);
}
