/*
 * failure.test.c - every call that may fail, fails once.
 *
 * The linker sends the engine's system calls and allocations here (scripts/test-native.mjs has the
 * names). A scenario is run again and again, and each time the next call in it fails, until it was
 * run without a failure. Whatever fails, what the contract promises must hold: nothing has changed
 * (all or nothing), nothing is lost, nothing dies.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "core/registry.h"
#include "mapping.h"

/* -- the calls --------------------------------------------------------------------------------- */

static struct {
  int at, count; /* the number of the call that fails; calls so far */
  bool is_armed;
  bool is_old; /* a kernel before 6.17: mremap moves only within one mapping */
  void (*before_advice)(int advice);
} failing;

static bool fails(const char *name) {
  if (!failing.is_armed) return false;
  if (++failing.count != failing.at) return false;
  snprintf(check_note, sizeof(check_note), " (after call %d, %s, has failed)", failing.count, name);
  return true;
}

#define WRAP(type, name, parameters, arguments, error, failed) \
  type __real_##name parameters; \
  type __wrap_##name parameters; \
  type __wrap_##name parameters { \
    if (!fails(#name)) return __real_##name arguments; \
    errno = error; \
    return failed; \
  }

WRAP(void *, malloc, (size_t size), (size), ENOMEM, NULL)
WRAP(void *, calloc, (size_t count, size_t size), (count, size), ENOMEM, NULL)
WRAP(void *, realloc, (void *old, size_t size), (old, size), ENOMEM, NULL)
WRAP(void *, mmap, (void *wanted, size_t length, int rights, int flags, int fd, off_t offset),
     (wanted, length, rights, flags, fd, offset), ENOMEM, MAP_FAILED)
WRAP(int, mprotect, (void *start, size_t length, int rights), (start, length, rights), ENOMEM, -1)
WRAP(int, mlock2, (const void *start, size_t length, unsigned flags), (start, length, flags),
     ENOMEM, -1)
WRAP(int, memfd_create, (const char *name, unsigned flags), (name, flags), ENOMEM, -1)
WRAP(int, fallocate, (int fd, int mode, off_t offset, off_t length), (fd, mode, offset, length),
     ENOSPC, -1)
WRAP(int, ftruncate, (int fd, off_t length), (fd, length), EIO, -1)
WRAP(int, open, (const char *path, int flags, ...), (path, flags, 0666), EMFILE, -1)

int __wrap_madvise(void *start, size_t length, int advice);
int __wrap_madvise(void *start, size_t length, int advice) {
  if (failing.before_advice) failing.before_advice(advice);
  if (!fails("madvise")) return (int)syscall(SYS_madvise, start, length, advice);
  errno = EAGAIN;
  return -1;
}

void *__wrap_mremap(void *old, size_t length, size_t new_length, int flags, ...);
void *__wrap_mremap(void *old, size_t length, size_t new_length, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  void *target = va_arg(rest, void *);
  va_end(rest);
  bool is_armed = failing.is_armed;
  failing.is_armed = false; /* counting opens a file */
  bool is_refused = failing.is_old && count_maps(address_of(old), length) > 1;
  failing.is_armed = is_armed;
  if (!fails("mremap") && !is_refused) {
    return (void *)syscall(SYS_mremap, old, length, new_length, flags, target);
  }
  errno = is_refused ? EFAULT : ENOMEM;
  return MAP_FAILED;
}

static void arm(int at) {
  check_note[0] = '\0';
  failing.at = at, failing.count = 0, failing.is_armed = true;
}

/* Calls since arm. */
static int disarm(void) {
  failing.is_armed = false;
  return failing.count;
}

/* Runs a scenario with the first call failing, the second, ... The scenario disarms, and returns
 * false when no call has failed. */
static void with_each_failure(bool (*scenario)(int at)) {
  int at = 1;
  while (scenario(at)) at++;
  CHECK(at > 1);
}

/* -- mapping ----------------------------------------------------------------------------------- */

static struct memmap_request map_requests[] = {
  {.fd = 0, .access = MEMMAP_WRITE, .length_bytes = 30000, .flags = MEMMAP_EXTEND},
  {.fd = 0, .access = MEMMAP_READ, .length_bytes = -1, .flags = MEMMAP_POPULATE | MEMMAP_LOCKED},
  {.fd = 0, .access = MEMMAP_COPY, .length_bytes = -1, .capacity_bytes = 100000},
  {.fd = -1, .access = MEMMAP_WRITE, .length_bytes = 20000, .capacity_bytes = 100000,
   .flags = MEMMAP_SHARED_OBJECT | MEMMAP_LOCKED},
  {.fd = -1, .access = MEMMAP_WRITE, .length_bytes = 20000,
   .flags = MEMMAP_HUGE_TRANSPARENT | MEMMAP_POPULATE | MEMMAP_LOCKED},
};
static struct memmap_request map_request;

static bool map_once(int at) {
  static struct stat before;
  int fd = map_request.fd;
  struct mapping mapping;
  if (fd >= 0) before = look_at(fd);
  size_t maps = count_maps_that(0, SIZE_MAX, true);
  size_t descriptors = count_descriptors(), regions = registry_count();
  arm(at);
  int result = try_map(map_request, &mapping);
  bool has_failed = disarm() >= at;
  if (!result) {
    unmap(&mapping);
    if (fd >= 0) cut(fd, (uint64_t)before.st_size);
    return has_failed;
  }
  CHECK(has_failed);
  CHECK_EQUAL(count_descriptors(), descriptors);
  CHECK(count_maps_that(0, SIZE_MAX, true) <= maps);
  CHECK(registry_count() == regions && registry_is_sound());
  if (fd < 0) return true;
  CHECK_EQUAL(look_at(fd).st_size, before.st_size);
  CHECK_EQUAL(look_at(fd).st_blocks, before.st_blocks);
  return true;
}

static void mapping_fails(void) {
  int fd = make_file(10000);
  struct mapping first = map_memory(1, 0); /* what is made once in a process, is made */
  for (size_t i = 0; i < sizeof(map_requests) / sizeof(*map_requests); i++) {
    map_request = map_requests[i];
    if (map_request.fd >= 0) map_request.fd = fd;
    with_each_failure(map_once);
  }
  unmap(&first);
}

static char created_path[4096];

static bool create_once(int at) {
  struct memmap_request request = {
    .path = created_path, .access = MEMMAP_WRITE, .length_bytes = 100,
    .flags = MEMMAP_CREATE | MEMMAP_EXTEND,
  };
  struct mapping mapping;
  arm(at);
  int result = try_map(request, &mapping);
  bool has_failed = disarm() >= at;
  if (result == 0) unmap(&mapping), unlink(created_path);
  CHECK(access(created_path, F_OK) != 0);
  return has_failed;
}

static void creating_fails(void) {
  snprintf(created_path, sizeof(created_path), "%s/memmap-test-%d", temporary_directory(),
           getpid());
  with_each_failure(create_once);
}

/* -- ranges and lengths ------------------------------------------------------------------------ */

enum { PAGES = 8, JUNK = 0xee };
static struct memmap_request region_request;
static int region_fd;
static uint64_t new_length;

static enum memmap_access right_of(size_t page) {
  return page < 2 ? MEMMAP_WRITE : page < 4 ? MEMMAP_READ : page < 6 ? MEMMAP_NONE : MEMMAP_WRITE;
}

/* Eight pages of content, with protections, advice and locks that cut them into several runs. */
static struct mapping map_pieces(void) {
  if (region_fd >= 0) cut(region_fd, 0), fill(region_fd, 0, pages(PAGES));
  struct mapping mapping = map(region_request);
  fill_memory(&mapping);
  CHECK_EQUAL(memmap_protect(mapping.region, pages(2), pages(2), MEMMAP_READ), 0);
  CHECK_EQUAL(memmap_protect(mapping.region, pages(4), pages(2), MEMMAP_NONE), 0);
  CHECK_EQUAL(memmap_advise(mapping.region, pages(1), pages(4), MEMMAP_DONTDUMP), 0);
  CHECK_EQUAL(memmap_lock(mapping.region, pages(3), pages(4), true), 0);
  return mapping;
}

/* Content and rights of the first pages; they are made readable for it, so this is the end.
 * keeps_stores: what was stored to the first byte of a page may be there. */
static bool keeps_stores;
static void check_pieces(const struct mapping *mapping, size_t count) {
  struct memmap_fault faults[MEMMAP_FAULT_KINDS];
  memmap_collect(mapping->region, faults);
  for (size_t page = 0; page < count; page++) {
    uint64_t end;
    CHECK_EQUAL(rights_at(mapping, pages(page)), right_of(page));
    CHECK_EQUAL(memmap_protection(mapping->region, pages(page), &end), right_of(page));
  }
  CHECK_EQUAL(memmap_protect(mapping->region, 0, pages(count), MEMMAP_READ), 0);
  for (uint64_t at = 0; at < pages(count); at++) {
    uint8_t byte = load(mapping->at + at);
    if (keeps_stores && at % pages(1) == 0 && byte == JUNK) continue;
    CHECK_EQUAL(byte, content_at(at));
  }
  CHECK(!memmap_has_faults(mapping->region, false));
}

static bool resize_once(int at) {
  struct mapping mapping = map_pieces();
  struct stat before = {0};
  if (region_fd >= 0) before = look_at(region_fd);
  arm(at);
  int result = resize(&mapping, new_length);
  bool has_failed = disarm() >= at;
  if (result) {
    CHECK(has_failed);
    CHECK_EQUAL(mapping.facts.length_bytes, pages(PAGES));
    if (region_fd >= 0) CHECK_EQUAL(look_at(region_fd).st_size, before.st_size);
    if (region_fd >= 0) CHECK_EQUAL(look_at(region_fd).st_blocks, before.st_blocks);
    check_pieces(&mapping, PAGES);
    CHECK_EQUAL(resize(&mapping, new_length), 0); /* and nothing is in the way of another try */
  } else {
    check_pieces(&mapping, new_length / pages(1) < PAGES ? new_length / pages(1) : PAGES);
  }
  CHECK(registry_is_sound());
  unmap(&mapping);
  return has_failed;
}

static void for_each_kind(void (*run)(void)) {
  int fd = make_file(pages(PAGES));
  for (int kind = 0; kind < 5; kind++) {
    region_fd = kind < 2 ? fd : -1;
    region_request = (struct memmap_request){
      .fd = region_fd, .access = MEMMAP_WRITE, .length_bytes = (int64_t)pages(PAGES),
      .capacity_bytes = kind % 2 || kind == 4 ? pages(3 * PAGES) : 0,
      .flags = kind == 4 ? MEMMAP_SHARED_OBJECT : 0,
    };
    run();
  }
}

static void resize_with_failures(void) {
  const size_t lengths[] = {2 * PAGES, 3, 0};
  for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
    new_length = pages(lengths[i]);
    with_each_failure(resize_once);
  }
}
static void resizing_fails(void) { for_each_kind(resize_with_failures); }

static void resize_on_old_kernels(void) {
  failing.is_old = true;
  for_each_kind(resize_with_failures);
}

/* One range for the engine, but several mappings for the kernel: pages that were touched apart
 * have different anon_vmas, and are not merged when their rights become the same. */
static void resize_pieces_on_old_kernels(void) {
  failing.is_old = true;
  struct mapping mapping = map_memory(pages(PAGES), 0);
  CHECK_EQUAL(memmap_protect(mapping.region, pages(3), pages(2), MEMMAP_NONE), 0);
  for (size_t page = 0; page < PAGES; page++) {
    if (page < 3 || page >= 5) store(page_at(&mapping, page), content_of(page));
  }
  CHECK_EQUAL(memmap_protect(mapping.region, pages(3), pages(2), MEMMAP_WRITE), 0);
  for (size_t page = 3; page < 5; page++) store(page_at(&mapping, page), content_of(page));
  if (count_maps_of(&mapping) == 1) check_skip("this kernel has merged them");
  CHECK_EQUAL(resize(&mapping, pages(2 * PAGES)), 0);
  for (size_t page = 0; page < PAGES; page++) {
    CHECK_EQUAL(load(page_at(&mapping, page)), content_of(page));
  }
  CHECK_EQUAL(load(page_at(&mapping, PAGES)), 0);
}

static bool protect_once(int at) {
  struct mapping mapping = map_pieces();
  arm(at);
  int result = memmap_protect(mapping.region, 0, pages(PAGES), MEMMAP_READ);
  bool has_failed = disarm() >= at;
  CHECK(has_failed || result == 0); /* another way may have been found */
  if (result) check_pieces(&mapping, PAGES);
  unmap(&mapping);
  return has_failed;
}
static void protect_with_failures(void) { with_each_failure(protect_once); }
static void protecting_fails(void) { for_each_kind(protect_with_failures); }

static bool lock_once(int at) {
  struct mapping mapping = map_pieces();
  size_t before = status_bytes("VmLck");
  arm(at);
  int result = memmap_lock(mapping.region, 0, pages(PAGES) - 1, true);
  bool has_failed = disarm() >= at;
  if (result) {
    CHECK(has_failed);
    CHECK_EQUAL(status_bytes("VmLck"), before);
  }
  unmap(&mapping);
  return has_failed;
}
static void lock_with_failures(void) { with_each_failure(lock_once); }
static void locking_fails(void) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  check_skip("the sanitizers make munlock do nothing");
#endif
  for_each_kind(lock_with_failures);
}

/* -- faults ------------------------------------------------------------------------------------ */

/* Faults of all kinds that the pieces have. */
static void touch_pieces(const struct mapping *mapping) {
  for (int round = 0; round < 2; round++) {
    for (size_t page = 2; page < 6; page++) {
      if (page >= 4) load(mapping->at + pages(page));
      store(mapping->at + pages(page), JUNK);
    }
  }
}

/* A call of the handler fails. At worst private pages are writable for a while. */
static bool fault_once(int at) {
  struct mapping mapping = map_pieces();
  arm(at);
  touch_pieces(&mapping);
  bool has_failed = disarm() >= at;
  keeps_stores = has_failed && mapping.facts.fd < 0;
  CHECK(memmap_has_faults(mapping.region, false));
  check_pieces(&mapping, PAGES);
  for (size_t page = 0; page < PAGES && region_fd >= 0; page++) {
    CHECK_EQUAL(file_byte(region_fd, pages(page)), content_at(pages(page)));
  }
  unmap(&mapping);
  return has_failed;
}
static void fault_with_failures(void) { with_each_failure(fault_once); }
static void handling_fails(void) { for_each_kind(fault_with_failures); }

/* A call of the put-back fails: faults go on as before, and the next look has to finish it. */
static bool collect_once(int at) {
  struct mapping mapping = map_pieces();
  struct memmap_fault faults[MEMMAP_FAULT_KINDS];
  touch_pieces(&mapping);
  arm(at);
  CHECK(memmap_collect(mapping.region, faults) > 0);
  bool has_failed = disarm() >= at;
  touch_pieces(&mapping);
  check_pieces(&mapping, PAGES);
  unmap(&mapping);
  return has_failed;
}
static void collect_with_failures(void) { with_each_failure(collect_once); }
static void putting_back_fails(void) { for_each_kind(collect_with_failures); }

/* The same with one patch, behind the end of the file, over pages of all protections. */
static bool collect_cut_once(int at) {
  struct mapping mapping = map_pieces();
  struct memmap_fault faults[MEMMAP_FAULT_KINDS];
  cut(region_fd, 0);
  load(mapping.at);
  fill(region_fd, 0, pages(PAGES));
  arm(at);
  CHECK(memmap_collect(mapping.region, faults) > 0);
  bool has_failed = disarm() >= at;
  touch_pieces(&mapping);
  for (size_t page = 0; page < PAGES; page++) load(mapping.at + pages(page));
  check_pieces(&mapping, PAGES);
  unmap(&mapping);
  return has_failed;
}

static void putting_back_a_cut_file_fails(void) {
  region_fd = make_file(pages(PAGES));
  region_request = (struct memmap_request){
    .fd = region_fd, .access = MEMMAP_WRITE, .length_bytes = (int64_t)pages(PAGES),
  };
  with_each_failure(collect_cut_once);
  region_request.access = MEMMAP_COPY;
  with_each_failure(collect_cut_once);
}

/* -- the end ----------------------------------------------------------------------------------- */

static bool close_once(int at) {
  struct mapping mapping = map_pieces();
  touch_pieces(&mapping);
  memmap_retain_holder(mapping.region);
  arm(at);
  memmap_release_user(mapping.region, pages(3), pages(5));
  bool has_failed = disarm() >= at;
  CHECK(memmap_is_closed(mapping.region));
  for (size_t page = 3; page < 5; page++) {
    CHECK_EQUAL(load(mapping.at + pages(page)), 0);
    store(mapping.at + pages(page), JUNK);
  }
  for (size_t page = 0; page < PAGES && region_fd >= 0; page++) {
    CHECK_EQUAL(file_byte(region_fd, pages(page)), content_at(pages(page)));
  }
  memmap_release_holder(mapping.region);
  /* Meanwhile libc may have taken the addresses for its own. */
  CHECK(is_gone(mapping.at, mapping.facts.length_bytes));
  return has_failed;
}
static void close_with_failures(void) { with_each_failure(close_once); }
static void closing_fails(void) { for_each_kind(close_with_failures); }

/* -- who moves meanwhile ----------------------------------------------------------------------- */

static struct mapping moving;
static uintptr_t foreign;
static atomic_bool has_moved;

/* The mapping goes elsewhere, and another takes its addresses, where they were given back. */
static void *move_away(void *unused) {
  (void)unused;
  uintptr_t before = moving.at;
  CHECK_EQUAL(resize(&moving, 3 * pages(PAGES)), 0);
  void *taken = mmap((void *)before, pages(PAGES), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (address_of(taken) == before) foreign = before;
  for (size_t page = 0; foreign && page < PAGES; page++) store(foreign + pages(page), JUNK);
  atomic_store(&has_moved, true);
  return NULL;
}

static void move_before_advice(int advice) {
  static pthread_t thread;
  if (advice != MADV_DONTNEED || thread) return;
  CHECK_EQUAL(pthread_create(&thread, NULL, move_away, NULL), 0);
  /* It may also have to wait until the advice was given: that is as well. */
  for (int i = 0; i < 200 && !atomic_load(&has_moved); i++) usleep(1000);
}

static sem_t is_done;
static void on_done(memmap_work *work) { (void)work, sem_post(&is_done); }

static void check_moving_while(bool is_work) {
  int fd = make_file(pages(PAGES));
  moving = map_file(fd, MEMMAP_WRITE);
  memmap_work work = {.kind = MEMMAP_WORK_EVICT, .region = moving.region, .done = on_done,
                      .length_bytes = pages(PAGES)};
  sem_init(&is_done, 0, 0);
  failing.before_advice = move_before_advice;
  if (is_work) {
    CHECK_EQUAL(memmap_start(&work), 0);
    sem_wait(&is_done);
  } else {
    memmap_advise(moving.region, 0, pages(PAGES), MEMMAP_DONTNEED);
  }
  while (!atomic_load(&has_moved)) usleep(1000);
  failing.before_advice = NULL;
  for (size_t page = 0; foreign && page < PAGES; page++) {
    CHECK_EQUAL(load(foreign + pages(page)), JUNK);
  }
}

/* Pages that are put out are never those of somebody else. */
static void evicting_while_it_moves(void) { check_moving_while(true); }
static void discarding_while_it_moves(void) { check_moving_while(false); }

/* -- reading what another process maps --------------------------------------------------------- */

static bool read_maps_once(int at) {
  memmap_maps maps;
  size_t descriptors = count_descriptors();
  arm(at);
  int result = memmap_read_maps("/proc/self/smaps", &maps);
  bool has_failed = disarm() >= at;
  CHECK_EQUAL(result < 0, has_failed);
  CHECK_EQUAL(count_descriptors(), descriptors);
  if (result == 0) memmap_free_maps(&maps);
  else CHECK(memmap_errno(result) == ENOMEM || memmap_errno(result) == EMFILE);
  return has_failed;
}

static void reading_maps_fails(void) {
  for (int i = 0; i < 600; i++) { /* more than one allocation has room for */
    CHECK(mmap(NULL, 4096, i % 2 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
          MAP_FAILED);
  }
  with_each_failure(read_maps_once);
}

static const struct check_case cases[] = {
  {"mapping fails", mapping_fails},
  {"creating fails", creating_fails},
  {"resizing fails", resizing_fails},
  {"resizing on kernels before 6.17", resize_on_old_kernels},
  {"resizing pieces on kernels before 6.17", resize_pieces_on_old_kernels},
  {"protecting fails", protecting_fails},
  {"locking fails", locking_fails},
  {"handling a fault fails", handling_fails},
  {"putting back fails", putting_back_fails},
  {"putting back a cut file fails", putting_back_a_cut_file_fails},
  {"closing fails", closing_fails},
  {"reading maps fails", reading_maps_fails},
  {"evicting while it moves", evicting_while_it_moves},
  {"discarding while it moves", discarding_while_it_moves},
};
CHECK_MAIN(cases)
