/*
 * work.test.c - flush, prefetch and evict on the engine's threads: pieces, progress, cancellation,
 * and who may go while they are in flight.
 */
#include <pthread.h>
#include <semaphore.h>
#include <sys/vfs.h>

#include "core/registry.h"
#include "mapping.h"

static const uint64_t piece = (uint64_t)16 << 20; /* as in core/work.c */
enum { MIB = 1 << 20 };

/* A piece of work, and what was heard of it. */
struct task {
  memmap_work work;
  sem_t is_done;
  atomic_int dones, progresses;
  uint64_t last_bytes, cancel_at;
};

static void on_progress(memmap_work *work) {
  struct task *task = (struct task *)work;
  uint64_t bytes = atomic_load(&work->done_bytes);
  CHECK(bytes > task->last_bytes && bytes <= work->length_bytes);
  task->last_bytes = bytes;
  atomic_fetch_add(&task->progresses, 1);
  if (task->cancel_at && bytes >= task->cancel_at) atomic_store(&work->cancelled, true);
}

static void on_done(memmap_work *work) {
  struct task *task = (struct task *)work;
  atomic_fetch_add(&task->dones, 1);
  sem_post(&task->is_done);
}

static void task_init(struct task *task, int kind, const struct mapping *mapping, uint64_t offset,
                      uint64_t length) {
  memset(task, 0, sizeof(*task));
  sem_init(&task->is_done, 0, 0);
  task->work.kind = kind;
  task->work.region = mapping->region;
  task->work.offset_bytes = offset;
  task->work.length_bytes = length;
  task->work.progress = on_progress;
  task->work.done = on_done;
}

static int finish(struct task *task) {
  sem_wait(&task->is_done);
  CHECK_EQUAL(atomic_load(&task->dones), 1);
  return memmap_errno(task->work.result);
}

static int run(int kind, const struct mapping *mapping, uint64_t offset, uint64_t length,
               int progresses) {
  struct task task;
  task_init(&task, kind, mapping, offset, length);
  CHECK_EQUAL(memmap_start(&task.work), 0);
  int error = finish(&task);
  CHECK_EQUAL(atomic_load(&task.progresses), progresses);
  if (progresses) CHECK_EQUAL(task.last_bytes, length);
  return error;
}

/* Pages of a mapping that are in memory. */
static size_t resident(const struct mapping *mapping) {
  size_t page_count = mapping->facts.length_bytes / pages(1), count = 0;
  unsigned char *bytes = calloc(1, page_count);
  CHECK(bytes != NULL);
  CHECK_EQUAL(memmap_residency(mapping->region, 0, pages(page_count), bytes, page_count), 0);
  for (size_t i = 0; i < page_count; i++) count += bytes[i];
  free(bytes);
  return count;
}

static void check_content(const struct mapping *mapping) {
  for (uint64_t at = 0; at < mapping->facts.length_bytes; at += 1234) {
    CHECK_EQUAL(load(mapping->at + at), content_at(at));
  }
}

static int make_disk_file(uint64_t bytes) {
  int fd = make_file(bytes);
  struct statfs system;
  CHECK_EQUAL(fstatfs(fd, &system), 0);
  if (system.f_type == 0x01021994 /* TMPFS_MAGIC */) check_skip("no disk under TMPDIR");
  return fd;
}

/* -- what it does ------------------------------------------------------------------------------ */

static void flush(void) {
  int fd = make_file(40 * MIB);
  struct mapping mapping = map_file(fd, MEMMAP_WRITE);
  for (uint64_t at = 0; at < 40 * MIB; at += pages(1)) store(mapping.at + at, content_at(at));
  CHECK_EQUAL(run(MEMMAP_WORK_FLUSH, &mapping, 0, 40 * MIB, 3), 0);
  CHECK_EQUAL(run(MEMMAP_WORK_FLUSH, &mapping, 5, 1, 1), 0);
  CHECK_EQUAL(run(MEMMAP_WORK_FLUSH, &mapping, 0, 0, 0), 0);
  check_content(&mapping);
  struct mapping memory = map_memory(pages(3), 0), object = map_memory(100, MEMMAP_SHARED_OBJECT);
  CHECK_EQUAL(run(MEMMAP_WORK_FLUSH, &memory, 0, pages(3), 0), 0);
  CHECK_EQUAL(run(MEMMAP_WORK_FLUSH, &object, 0, 100, 0), 0);
}

static void evict_and_prefetch(void) {
  int fd = make_disk_file(20 * MIB);
  struct mapping mapping = map_file(fd, MEMMAP_WRITE), reader = map_file(fd, MEMMAP_READ);
  store(mapping.at + 7, content_at(7));
  CHECK_EQUAL(resident(&mapping), 20 * MIB / pages(1));
  CHECK_EQUAL(run(MEMMAP_WORK_EVICT, &mapping, 0, 20 * MIB, 2), 0);
  CHECK(resident(&mapping) < 20);
  CHECK_EQUAL(run(MEMMAP_WORK_PREFETCH, &reader, 0, 20 * MIB, 2), 0);
  CHECK_EQUAL(resident(&reader), 20 * MIB / pages(1));
  check_content(&mapping);
}

/* Only whole pages inside the range. */
static void evict_inwards(void) {
  int fd = make_disk_file(pages(16));
  CHECK_EQUAL(fsync(fd), 0);
  struct mapping mapping = map_file(fd, MEMMAP_READ);
  CHECK_EQUAL(run(MEMMAP_WORK_EVICT, &mapping, 1, pages(2) - 2, 1), 0);
  CHECK_EQUAL(resident(&mapping), 16);
  CHECK_EQUAL(run(MEMMAP_WORK_EVICT, &mapping, 1, pages(16) - 1, 1), 0);
  CHECK(resident(&mapping) < 16 && resident(&mapping) > 0);
}

static void evict_never_destroys(void) {
  int fd = make_file(pages(16));
  struct mapping mappings[] = {map_file(fd, MEMMAP_COPY), map_memory(pages(16), 0),
                               map_memory(pages(16), MEMMAP_SHARED_OBJECT)};
  for (size_t i = 0; i < sizeof(mappings) / sizeof(*mappings); i++) {
    fill_memory(&mappings[i]);
    store(mappings[i].at + pages(3), 200);
    CHECK_EQUAL(run(MEMMAP_WORK_EVICT, &mappings[i], 0, pages(16), 1), 0);
    CHECK_EQUAL(load(mappings[i].at + pages(3)), 200);
    check_content(&mappings[i]);
  }
}

static void failures_are_told(void) {
  int fd = make_file(pages(16));
  struct mapping mapping = map_file(fd, MEMMAP_READ);
  cut(fd, pages(2));
  CHECK(run(MEMMAP_WORK_PREFETCH, &mapping, 0, pages(16), 0) != 0);
  CHECK_EQUAL(run(MEMMAP_WORK_PREFETCH, &mapping, 0, pages(2), 1), 0);
  collect_nothing(&mapping);
}

/* -- cancellation ------------------------------------------------------------------------------ */

static void cancelled_before_it_starts(void) {
  struct mapping mapping = map_memory(pages(4), 0);
  struct task task;
  task_init(&task, MEMMAP_WORK_PREFETCH, &mapping, 0, pages(4));
  atomic_store(&task.work.cancelled, true);
  CHECK_EQUAL(memmap_start(&task.work), 0);
  CHECK_EQUAL(finish(&task), ECANCELED);
  CHECK(atomic_load(&task.progresses) == 0 && resident(&mapping) == 0);
}

static void cancelled_between_pieces(void) {
  int fd = make_file(0);
  cut(fd, 10 * piece);
  struct mapping mapping = map_file(fd, MEMMAP_WRITE);
  for (int kind = MEMMAP_WORK_FLUSH; kind <= MEMMAP_WORK_EVICT; kind++) {
    struct task task;
    task_init(&task, kind, &mapping, 0, 10 * piece);
    task.cancel_at = 2 * piece;
    CHECK_EQUAL(memmap_start(&task.work), 0);
    CHECK_EQUAL(finish(&task), ECANCELED);
    CHECK_EQUAL(task.last_bytes, 2 * piece);
    CHECK_EQUAL(atomic_load(&task.work.done_bytes), 2 * piece);
  }
}

/* -- who may go meanwhile ---------------------------------------------------------------------- */

static sem_t has_begun, may_end;
static atomic_int running, most_running;

static void wait_for_permission(memmap_work *work) {
  int now = atomic_fetch_add(&running, 1) + 1, most = atomic_load(&most_running);
  while (now > most && !atomic_compare_exchange_weak(&most_running, &most, now)) continue;
  sem_post(&has_begun);
  sem_wait(&may_end);
  atomic_fetch_sub(&running, 1);
  work->result = memmap_failure(MEMMAP_CALL_NONE, 42);
}

static void last_user_goes(void) {
  int fd = make_file(pages(4));
  CHECK_EQUAL(memmap_initialize(), 0);
  size_t descriptors = count_descriptors();
  struct mapping mapping = map_file(fd, MEMMAP_WRITE);
  struct task task;
  sem_init(&has_begun, 0, 0), sem_init(&may_end, 0, 0);
  task_init(&task, 0, &mapping, 0, 0);
  task.work.run = wait_for_permission;
  memmap_retain_holder(mapping.region);
  CHECK_EQUAL(memmap_start(&task.work), 0);
  sem_wait(&has_begun);
  memmap_release_user(mapping.region, pages(1), pages(2));
  CHECK(!memmap_is_closed(mapping.region));
  check_content(&mapping); /* the work still has its pages */
  sem_post(&may_end);
  CHECK_EQUAL(finish(&task), 42);
  while (!memmap_is_closed(mapping.region)) usleep(1000);
  while (count_descriptors() > descriptors) usleep(1000); /* the file is closed last */
  CHECK_EQUAL(load(mapping.at + pages(1)), 0);
  store(mapping.at + pages(1), 1);
  collect(&mapping, MEMMAP_FAULT_CLOSED, 1);
  memmap_release_holder(mapping.region);
  while (registry_count() > 0) usleep(1000);
  for (size_t page = 0; page < 4; page++) {
    CHECK_EQUAL(file_byte(fd, pages(page)), content_of(page));
  }
}

/* The same with nothing but work in flight: the worker ends the region. */
static void last_user_goes_many_times(void) {
  enum { ROUNDS = 300 };
  int fd = make_file(pages(4));
  size_t descriptors = 0;
  for (int round = 0; round < ROUNDS; round++) {
    struct mapping mapping = map_file(fd, MEMMAP_WRITE);
    struct task tasks[3];
    store(mapping.at + 3, content_at(3));
    for (int kind = 0; kind < 3; kind++) {
      task_init(&tasks[kind], kind, &mapping, 0, pages(4));
      CHECK_EQUAL(memmap_start(&tasks[kind].work), 0);
    }
    unmap(&mapping);
    for (int kind = 0; kind < 3; kind++) CHECK_EQUAL(finish(&tasks[kind]), 0);
    if (round == 0) descriptors = count_descriptors();
  }
  while (count_descriptors() > descriptors) usleep(1000);
}

/* -- the threads ------------------------------------------------------------------------------- */

static void a_few_threads_for_much_work(void) {
  enum { MANY = 100 };
  static struct task tasks[MANY];
  struct mapping mapping = map_memory(pages(4), 0);
  sem_init(&has_begun, 0, 0), sem_init(&may_end, 0, 0);
  for (int i = 0; i < MANY; i++) {
    task_init(&tasks[i], 0, &mapping, 0, 0);
    tasks[i].work.run = wait_for_permission;
    CHECK_EQUAL(memmap_start(&tasks[i].work), 0);
  }
  for (int i = 0; i < 4; i++) sem_wait(&has_begun); /* four at once, */
  usleep(20000);
  CHECK_EQUAL(atomic_load(&running), 4); /* and no more */
  for (int i = 0; i < MANY; i++) sem_post(&may_end);
  for (int i = 0; i < MANY; i++) CHECK_EQUAL(finish(&tasks[i]), 42);
  CHECK_EQUAL(atomic_load(&most_running), 4);
}

static struct mapping shared_mapping;

static void *start_many(void *seed) {
  for (int i = 0; i < 200; i++) {
    struct task task;
    uint64_t first = random_from(seed) % 64, count = 1 + random_from(seed) % (64 - first);
    task_init(&task, (int)(random_from(seed) % 3), &shared_mapping, pages(first), pages(count));
    bool is_cancelled = random_from(seed) >> 62 == 0;
    CHECK_EQUAL(memmap_start(&task.work), 0);
    if (is_cancelled) atomic_store(&task.work.cancelled, true);
    int error = finish(&task);
    CHECK(error == 0 || (is_cancelled && error == ECANCELED));
  }
  return NULL;
}

static void from_many_threads(void) {
  enum { STARTERS = 6 };
  pthread_t threads[STARTERS];
  uint64_t seeds[STARTERS];
  int fd = make_file(pages(64));
  shared_mapping = map_file(fd, MEMMAP_WRITE);
  for (int i = 0; i < STARTERS; i++) {
    seeds[i] = random_seed();
    CHECK_EQUAL(pthread_create(&threads[i], NULL, start_many, &seeds[i]), 0);
  }
  for (int i = 0; i < STARTERS; i++) pthread_join(threads[i], NULL);
  check_content(&shared_mapping);
  unmap(&shared_mapping);
}

/* Threads that have nothing to do end, and others come when there is work again. */
static void threads_end_and_come_again(void) {
  struct mapping mapping = map_memory(pages(4), 0);
  size_t before = status_bytes("Threads");
  for (int i = 0; i < 2; i++) {
    CHECK_EQUAL(run(MEMMAP_WORK_PREFETCH, &mapping, 0, pages(4), 1), 0);
    CHECK(status_bytes("Threads") > before);
    while (i == 0 && status_bytes("Threads") > before) usleep(20000);
  }
}

static void no_thread_to_be_had(void) {
  struct mapping mapping = map_memory(pages(4), 0);
  struct task task;
  if (getuid() == 0) CHECK_EQUAL(setuid(65534), 0);
  CHECK_EQUAL(setrlimit(RLIMIT_NPROC, &(struct rlimit){0, 0}), 0);
  task_init(&task, MEMMAP_WORK_PREFETCH, &mapping, 0, pages(4));
  CHECK_EQUAL(memmap_errno(memmap_start(&task.work)), EAGAIN);
  CHECK_EQUAL(atomic_load(&task.dones), 0);
  unmap(&mapping); /* was the last user */
  CHECK(is_gone(mapping.at, pages(4)));
  _exit(0); /* no ptrace, no search for leaks */
}

static const struct check_case cases[] = {
  {"flush", flush},
  {"evict and prefetch", evict_and_prefetch},
  {"evict inwards", evict_inwards},
  {"evict never destroys", evict_never_destroys},
  {"failures are told", failures_are_told},
  {"cancelled before it starts", cancelled_before_it_starts},
  {"cancelled between pieces", cancelled_between_pieces},
  {"the last user goes", last_user_goes},
  {"the last user goes, many times", last_user_goes_many_times},
  {"a few threads for much work", a_few_threads_for_much_work},
  {"from many threads", from_many_threads},
  {"threads end and come again", threads_end_and_come_again},
  {"no thread to be had", no_thread_to_be_had},
};
CHECK_MAIN(cases)
