/*
 * module.c - what the addon exports, and what it keeps for each environment.
 */
#include <stdlib.h>

#include "binding/binding.h"

static const struct { const char *name; napi_callback function; } functions[] = {
  {"map", binding_map},
  {"resize", binding_resize},
  {"close", binding_close},
  {"objectBytes", binding_object_bytes},
  {"identify", binding_identify},
  {"share", binding_share},
  {"attach", binding_attach},
  {"refresh", binding_refresh},
  {"buffer", binding_buffer},
  {"sharedBuffer", binding_shared_buffer},
  {"moveOnto", binding_move_onto},
  {"hold", binding_hold},
  {"read", binding_read},
  {"write", binding_write},
  {"flush", binding_flush},
  {"advise", binding_advise},
  {"residency", binding_residency},
  {"lock", binding_lock},
  {"unlock", binding_unlock},
  {"lockAll", binding_lock_all},
  {"unlockAll", binding_unlock_all},
  {"room", binding_room},
  {"protect", binding_protect},
  {"protection", binding_protection},
  {"start", binding_start},
  {"cancel", binding_cancel},
  {"scan", binding_scan},
  {"scanStart", binding_scan_start},
  {"watch", binding_watch},
  {"guard", binding_guard},
  {"hasFaults", binding_has_faults},
  {"collect", binding_collect},
  {"faulted", binding_faulted},
  {"orphans", binding_orphans},
  {"adopt", binding_adopt},
  {"handlersLost", binding_handlers_lost},
  {"cacheState", binding_cache_state},
  {"dropCache", binding_drop_cache},
  {"scanPages", binding_scan_pages},
  {"pageOut", binding_page_out},
  {"watchWrites", binding_watch_writes},
  {"written", binding_written},
  {"parseMaps", binding_parse_maps},
  {"readMaps", binding_read_maps},
  {"readMapsLater", binding_read_maps_later},
};

void environment_retain(struct environment *environment) {
  pthread_mutex_lock(&environment->lock);
  environment->references++;
  pthread_mutex_unlock(&environment->lock);
}

void environment_release(struct environment *environment) {
  pthread_mutex_lock(&environment->lock);
  bool is_last = --environment->references == 0;
  pthread_mutex_unlock(&environment->lock);
  if (!is_last) return;
  pthread_mutex_destroy(&environment->lock);
  free(environment);
}

/* Runs last of the hooks, as it was added first. */
static void on_environment_end(void *data) {
  struct environment *environment = data;
  handles_end(environment);
  pthread_mutex_lock(&environment->lock);
  environment->is_ended = true;
  pthread_mutex_unlock(&environment->lock);
}

static void on_instance_data(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  environment_release(data);
}

static napi_value start(napi_env env, napi_value exports) {
  struct environment *environment = calloc(1, sizeof(*environment));
  if (!environment) return NULL;
  environment->env = env;
  environment->references = 1;
  environment->thread = pthread_self();
  pthread_mutex_init(&environment->lock, NULL);
  napi_set_instance_data(env, environment, on_instance_data, NULL);
  napi_add_env_cleanup_hook(env, on_environment_end, environment);
  napi_value buffer, facts;
  void *data;
  napi_create_arraybuffer(env, FACT_COUNT * sizeof(double), &data, &buffer);
  napi_create_typedarray(env, napi_float64_array, FACT_COUNT, buffer, 0, &facts);
  environment->facts = data;
  napi_create_reference(env, buffer, 1, &environment->facts_buffer);
  napi_set_named_property(env, exports, "facts", facts);
  napi_set_named_property(env, exports, "pageBytes",
                          give_number(env, (double)memmap_page_bytes()));
  napi_set_named_property(env, exports, "hasSharedBuffers",
                          give_boolean(env, has_shared_buffers()));
  for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++) {
    napi_value function;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].function,
                         environment, &function);
    napi_set_named_property(env, exports, functions[i].name, function);
  }
  return exports;
}

NAPI_MODULE(NODE_GYP_MODULE_NAME, start)
