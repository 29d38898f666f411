/*
 * work.c - work off the event loop, and its way back to JavaScript.
 *
 * The engine's threads call `progress` and `done`; both hand the work to the environment's
 * threadsafe function. An environment may end while its work is running: then the last reference
 * frees it, and nobody is called.
 */
#include <errno.h>
#include <stdlib.h>

#include "binding/binding.h"

/* What JavaScript holds to cancel by. It outlives the task, which refers to its object until it is
 * answered, and is only touched on the environment's thread. */
struct ticket { struct task *task; };

struct message { struct task *task; bool is_done; };

void task_free(struct task *task) {
  if (task->drop) task->drop(task);
  free(task);
}

/* Hands a message over; false when the environment has ended. */
static bool send(struct task *task, bool is_done) {
  struct environment *environment = task->environment;
  struct message *message = malloc(sizeof(*message));
  bool is_sent = false;
  if (!message) return false;
  *message = (struct message){task, is_done};
  pthread_mutex_lock(&environment->lock);
  if (environment->answers) {
    is_sent = napi_call_threadsafe_function(environment->answers, message,
                                            napi_tsfn_nonblocking) == napi_ok;
  }
  pthread_mutex_unlock(&environment->lock);
  if (!is_sent) free(message);
  return is_sent;
}

static void on_progress(memmap_work *work) {
  struct task *task = (struct task *)work;
  /* At most one message in flight: a slow event loop sees fewer steps, not a longer queue. */
  if (!task->has_progress || atomic_exchange(&task->has_progress_waiting, true)) return;
  if (!send(task, false)) atomic_store(&task->has_progress_waiting, false);
}

static void on_done(memmap_work *work) {
  struct task *task = (struct task *)work;
  struct environment *environment = task->environment;
  /* Its references went with the environment, and so did its ticket. */
  if (!send(task, true)) task_free(task);
  environment_release(environment);
}

/* On the environment's thread: callback(error | undefined, doneBytes, isDone, answer). */
static void on_answer(napi_env env, napi_value unused, void *context, void *data) {
  (void)unused, (void)context;
  struct message message = *(struct message *)data;
  struct task *task = message.task;
  free(data);
  if (!env) { /* the queue is emptied because the environment ends */
    if (message.is_done) task_free(task);
    return;
  }
  napi_value callback, receiver, arguments[4];
  napi_get_undefined(env, &receiver);
  arguments[0] = arguments[3] = receiver;
  atomic_store(&task->has_progress_waiting, false);
  napi_get_reference_value(env, task->callback, &callback);
  if (message.is_done && task->work.result < 0) {
    arguments[0] = make_failure(env, task->work.result);
  } else if (message.is_done && task->answer) {
    arguments[3] = task->answer(env, task);
  }
  arguments[1] = give_number(env, (double)atomic_load(&task->work.done_bytes));
  arguments[2] = give_boolean(env, message.is_done);
  if (message.is_done) {
    struct environment *environment = task->environment;
    napi_delete_reference(env, task->callback);
    napi_delete_reference(env, task->mapping);
    napi_delete_reference(env, task->ticket_object);
    task->ticket->task = NULL;
    task_free(task);
    if (--environment->work_count == 0) {
      napi_unref_threadsafe_function(env, environment->answers);
    }
  }
  napi_call_function(env, receiver, callback, 4, arguments, NULL);
}

/* Hooks run in the reverse order of their making: before the threadsafe function's own, which is
 * therefore never called when it is gone. */
static void on_environment_end(void *data) {
  struct environment *environment = data;
  pthread_mutex_lock(&environment->lock);
  environment->answers = NULL;
  pthread_mutex_unlock(&environment->lock);
}

int work_environment_start(struct environment *environment) {
  napi_value name;
  napi_create_string_utf8(environment->env, "memmap work", NAPI_AUTO_LENGTH, &name);
  napi_status status = napi_create_threadsafe_function(environment->env, NULL, NULL, name, 0, 1,
                                                       NULL, NULL, NULL, on_answer,
                                                       &environment->answers);
  if (status != napi_ok) return memmap_failure(MEMMAP_CALL_MALLOC, ENOMEM);
  napi_unref_threadsafe_function(environment->env, environment->answers);
  napi_add_env_cleanup_hook(environment->env, on_environment_end, environment);
  return 0;
}

static void on_ticket_collected(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  free(data);
}

napi_value task_start(const struct call *call, struct task *task, napi_value callback,
                      int (*start)(struct task *task)) {
  napi_env env = call->env;
  struct environment *environment = call->environment;
  bool has_answers = environment->answers || work_environment_start(environment) == 0;
  task->ticket = has_answers ? calloc(1, sizeof(*task->ticket)) : NULL;
  if (!task->ticket) {
    task_free(task);
    return throw_failure(env, memmap_failure(MEMMAP_CALL_MALLOC, ENOMEM));
  }
  task->work.progress = on_progress;
  task->work.done = on_done;
  task->environment = environment;
  task->ticket->task = task;
  napi_value result;
  napi_create_reference(env, callback, 1, &task->callback);
  napi_create_reference(env, call->arguments[0], 1, &task->mapping);
  napi_create_external(env, task->ticket, on_ticket_collected, NULL, &result);
  napi_create_reference(env, result, 1, &task->ticket_object);
  environment_retain(environment);
  if (environment->work_count++ == 0) napi_ref_threadsafe_function(env, environment->answers);
  int failure = start(task);
  if (failure) {
    napi_delete_reference(env, task->callback);
    napi_delete_reference(env, task->mapping);
    napi_delete_reference(env, task->ticket_object);
    if (--environment->work_count == 0) {
      napi_unref_threadsafe_function(env, environment->answers);
    }
    task->ticket->task = NULL;
    task_free(task);
    environment_release(environment);
    return throw_failure(env, failure);
  }
  return result;
}

static int start_work(struct task *task) { return memmap_start(&task->work); }

/* start(mapping, kind, offset, length, invalidate, hasProgress, callback): a ticket to cancel by */
napi_value binding_start(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  struct handle *handle = take_handle(&call, 0);
  if (!handle) return NULL;
  struct task *task = calloc(1, sizeof(*task));
  if (!task) return throw_failure(env, memmap_failure(MEMMAP_CALL_MALLOC, ENOMEM));
  task->work.region = handle->region;
  task->work.kind = (int)take_number(&call, 1);
  task->work.offset_bytes = take_bytes(&call, 2);
  task->work.length_bytes = take_bytes(&call, 3);
  task->work.invalidate = take_boolean(&call, 4);
  task->has_progress = take_boolean(&call, 5);
  return task_start(&call, task, call.arguments[6], start_work);
}

/* cancel(ticket) */
napi_value binding_cancel(napi_env env, napi_callback_info info) {
  struct call call = take_call(env, info);
  void *ticket = NULL;
  napi_get_value_external(env, call.arguments[0], &ticket);
  struct task *task = ticket ? ((struct ticket *)ticket)->task : NULL;
  if (task) memmap_cancel(&task->work);
  return NULL;
}
