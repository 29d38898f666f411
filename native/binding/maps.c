/*
 * maps.c - the mappings of a process, here or read on one of the runtime's threads.
 *
 * All ways answer with [entries, values, fields, texts]: an ArrayBuffer of struct
 * memmap_maps_entry, one with a row of doubles for each, the names of their columns, and the texts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "binding/binding.h"

static bool copy_buffer(napi_env env, const void *source, size_t bytes, napi_value *buffer) {
  void *data = NULL;
  if (napi_create_arraybuffer(env, bytes, &data, buffer) != napi_ok) return false;
  if (data && bytes) memcpy(data, source, bytes);
  return true;
}

static napi_value give_text(napi_env env, const memmap_maps *maps, size_t number) {
  napi_value text = NULL;
  const struct memmap_maps_text *slice = &maps->texts[number];
  napi_create_string_utf8(env, maps->bytes + slice->offset, slice->length, &text);
  return text;
}

static napi_value give_texts(napi_env env, const memmap_maps *maps, const uint32_t *numbers,
                             size_t count) {
  napi_value list = NULL;
  napi_create_array_with_length(env, count, &list);
  for (uint32_t i = 0; i < count; i++) {
    napi_set_element(env, list, i, give_text(env, maps, numbers ? numbers[i] : i));
  }
  return list;
}

/* NULL when memory is missing. */
static napi_value give_maps(napi_env env, const memmap_maps *maps) {
  napi_value parts[4] = {0}, answer = NULL;
  size_t row = maps->field_count * sizeof(*maps->values);
  if (!copy_buffer(env, maps->entries, maps->count * sizeof(*maps->entries), &parts[0]) ||
      !copy_buffer(env, maps->values, maps->count * row, &parts[1])) {
    return NULL;
  }
  parts[2] = give_texts(env, maps, maps->fields, maps->field_count);
  parts[3] = give_texts(env, maps, NULL, maps->text_count);
  napi_create_array_with_length(env, 4, &answer);
  for (uint32_t i = 0; i < 4; i++) napi_set_element(env, answer, i, parts[i]);
  return answer;
}

static napi_value answer(napi_env env, int result, memmap_maps *maps) {
  if (result < 0) return throw_failure(env, result);
  napi_value given = give_maps(env, maps);
  memmap_free_maps(maps);
  return given ? given : throw_failure(env, memmap_failure(MEMMAP_CALL_MALLOC, ENOMEM));
}

/* parseMaps(bytes) */
napi_value binding_parse_maps(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  size_t length;
  const char *text = take_bytes_view(&call, 0, &length);
  memmap_maps maps;
  int result = memmap_parse_maps(text, length, &maps);
  return answer(env, result, &maps);
}

/* Paths of /proc are short. */
enum { PATH_BYTES = 64 };

static void take_path(const struct call *call, char path[PATH_BYTES]) {
  size_t length = 0;
  napi_get_value_string_utf8(call->env, call->arguments[0], path, PATH_BYTES, &length);
  path[length] = 0;
}

/* readMaps(path) */
napi_value binding_read_maps(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  char path[PATH_BYTES];
  take_path(&call, path);
  memmap_maps maps;
  int result = memmap_read_maps(path, &maps);
  return answer(env, result, &maps);
}

struct reading {
  napi_async_work work;
  napi_deferred deferred;
  char path[PATH_BYTES];
  int result;
  memmap_maps maps;
};

static void read_on_thread(napi_env env, void *data) {
  (void)env;
  struct reading *reading = data;
  reading->result = memmap_read_maps(reading->path, &reading->maps);
}

static void settle(napi_env env, napi_status status, void *data) {
  struct reading *reading = data;
  napi_value value = NULL;
  if (status == napi_cancelled) reading->result = memmap_failure(MEMMAP_CALL_NONE, ECANCELED);
  bool is_read = reading->result == 0;
  if (is_read) value = give_maps(env, &reading->maps);
  if (is_read && !value) reading->result = memmap_failure(MEMMAP_CALL_MALLOC, ENOMEM);
  if (value) {
    napi_resolve_deferred(env, reading->deferred, value);
  } else {
    napi_value thrown;
    napi_get_and_clear_last_exception(env, &thrown);
    napi_reject_deferred(env, reading->deferred, make_failure(env, reading->result));
  }
  napi_delete_async_work(env, reading->work);
  memmap_free_maps(&reading->maps);
  free(reading);
}

/* readMapsLater(path): a promise */
napi_value binding_read_maps_later(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  struct reading *reading = calloc(1, sizeof(*reading));
  if (!reading) return throw_failure(env, memmap_failure(MEMMAP_CALL_MALLOC, ENOMEM));
  take_path(&call, reading->path);
  napi_value promise = NULL, name = NULL;
  napi_create_string_utf8(env, "memmap.readMaps", NAPI_AUTO_LENGTH, &name);
  /* Nothing of this succeeds on a thread that is being ended. */
  bool is_ready = napi_create_promise(env, &reading->deferred, &promise) == napi_ok &&
                  napi_create_async_work(env, NULL, name, read_on_thread, settle, reading,
                                         &reading->work) == napi_ok;
  if (is_ready && napi_queue_async_work(env, reading->work) == napi_ok) return promise;
  if (reading->work) napi_delete_async_work(env, reading->work);
  free(reading);
  return NULL;
}
