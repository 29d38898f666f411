/*
 * probe.c - what JavaScript cannot do by itself: errors that must kill, and memory that only system
 * calls give. Compiled by probe.ts; declares the few functions of Node-API it needs, so that no
 * headers are needed.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct env *napi_env;
typedef struct value *napi_value;
typedef struct info *napi_callback_info;
typedef napi_value (*napi_callback)(napi_env, napi_callback_info);
int napi_create_function(napi_env, const char *, size_t, napi_callback, void *, napi_value *);
int napi_set_named_property(napi_env, napi_value, const char *, napi_value);
int napi_get_cb_info(napi_env, napi_callback_info, size_t *, napi_value *, napi_value *, void **);
int napi_get_value_bigint_uint64(napi_env, napi_value, uint64_t *, bool *);
int napi_create_double(napi_env, double, napi_value *);

static napi_value give(napi_env env, double number) {
  napi_value result;
  napi_create_double(env, number, &result);
  return result;
}

/* The first two arguments: bigints. */
static void take(napi_env env, napi_callback_info info, uint64_t *values) {
  size_t count = 2;
  napi_value arguments[2];
  bool is_lossless;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  for (size_t i = 0; i < count; i++) {
    napi_get_value_bigint_uint64(env, arguments[i], &values[i], &is_lossless);
  }
}

static napi_value load(napi_env env, napi_callback_info info) {
  uint64_t values[2] = {0};
  take(env, info, values);
  return give(env, *(volatile uint8_t *)(uintptr_t)values[0]);
}

static napi_value store(napi_env env, napi_callback_info info) {
  uint64_t values[2] = {0};
  take(env, info, values);
  *(volatile uint8_t *)(uintptr_t)values[0] = (uint8_t)values[1];
  return give(env, 0);
}

static napi_value jump(napi_env env, napi_callback_info info) {
  uint64_t values[2] = {0};
  take(env, info, values);
  ((void (*)(void))(uintptr_t)values[0])();
  return give(env, 0);
}

static napi_value unmap(napi_env env, napi_callback_info info) {
  uint64_t values[2] = {0};
  take(env, info, values);
  return give(env, munmap((void *)(uintptr_t)values[0], values[1]));
}

/* A file of its own, mapped and cut: a SIGBUS that is not memmap's. */
static napi_value foreign(napi_env env, napi_callback_info info) {
  (void)info;
  int fd = memfd_create("foreign", MFD_CLOEXEC);
  if (ftruncate(fd, 4096) != 0) return NULL;
  volatile uint8_t *memory = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
  if (ftruncate(fd, 0) != 0) return NULL;
  return give(env, memory[0]);
}

static napi_value secret(napi_env env, napi_callback_info info) {
  uint64_t values[2] = {0};
  take(env, info, values);
  int fd = (int)syscall(447 /* memfd_secret, Linux 5.14 */, 0);
  if (fd >= 0 && ftruncate(fd, (off_t)values[0]) != 0) fd = -1;
  return give(env, fd);
}

static void exit_with_42(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)info, (void)context;
  _exit(42);
}

/* A handler for SIGSEGV and SIGBUS that ends the process with code 42. */
static napi_value handle(napi_env env, napi_callback_info info) {
  (void)info;
  struct sigaction action;
  memset(&action, 0, sizeof(action));
  action.sa_sigaction = exit_with_42;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGBUS, &action, NULL);
  return give(env, sigaction(SIGSEGV, &action, NULL));
}

napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  static const struct { const char *name; napi_callback function; } functions[] = {
    {"load", load},       {"store", store},   {"jump", jump},     {"unmap", unmap},
    {"foreign", foreign}, {"secret", secret}, {"handle", handle},
  };
  for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++) {
    napi_value function;
    napi_create_function(env, functions[i].name, SIZE_MAX, functions[i].function, NULL, &function);
    napi_set_named_property(env, exports, functions[i].name, function);
  }
  return exports;
}
