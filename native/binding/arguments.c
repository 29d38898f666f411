#include <string.h>

#include "binding/binding.h"

struct call take_call(napi_env env, napi_callback_info info) {
  struct call call = {.env = env};
  size_t count = ARGUMENTS_MAX;
  void *data = NULL;
  napi_get_cb_info(env, info, &count, call.arguments, NULL, &data);
  call.environment = data;
  views_settle(call.environment);
  return call;
}

double take_number(const struct call *call, int index) {
  double value = 0;
  napi_get_value_double(call->env, call->arguments[index], &value);
  return value;
}

uint64_t take_bytes(const struct call *call, int index) {
  return (uint64_t)take_number(call, index);
}

bool take_boolean(const struct call *call, int index) {
  bool value = false;
  napi_get_value_bool(call->env, call->arguments[index], &value);
  return value;
}

void *take_bytes_view(const struct call *call, int index, size_t *length) {
  void *data = NULL;
  *length = 0;
  bool is_view = false;
  napi_is_typedarray(call->env, call->arguments[index], &is_view);
  if (!is_view) return NULL;
  napi_get_typedarray_info(call->env, call->arguments[index], NULL, length, &data, NULL, NULL);
  return data;
}

struct handle *take_handle(const struct call *call, int index) {
  void *handle = NULL;
  if (napi_unwrap(call->env, call->arguments[index], &handle) != napi_ok ||
      !((struct handle *)handle)->is_open) {
    napi_throw_error(call->env, "ERR_MEMMAP_CLOSED", "The mapping is closed");
    return NULL;
  }
  return handle;
}

napi_value give_number(napi_env env, double value) {
  napi_value result = NULL;
  napi_create_double(env, value, &result);
  return result;
}

napi_value give_boolean(napi_env env, bool value) {
  napi_value result = NULL;
  napi_get_boolean(env, value, &result);
  return result;
}

napi_value make_failure(napi_env env, int failure) {
  napi_value error, message, name, number;
  const char *call = memmap_call(failure);
  napi_create_string_utf8(env, call, NAPI_AUTO_LENGTH, &name);
  napi_create_string_utf8(env, "The system refused", NAPI_AUTO_LENGTH, &message);
  napi_create_error(env, NULL, message, &error);
  napi_create_int32(env, -memmap_errno(failure), &number);
  napi_set_named_property(env, error, "errno", number);
  napi_set_named_property(env, error, "syscall", name);
  return error;
}

napi_value throw_failure(napi_env env, int failure) {
  napi_throw(env, make_failure(env, failure));
  return NULL;
}

napi_value give_result(napi_env env, int result) {
  return result < 0 ? throw_failure(env, result) : give_number(env, result);
}
