/*
 * region.test.c - how a mapping comes and goes: what is mapped, what is refused, what is left.
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "mapping.h"

static void check_content(const struct mapping *mapping, uint64_t object_offset) {
  uint64_t length = mapping->facts.length_bytes;
  uint8_t *copy = malloc(length + 1);
  CHECK_EQUAL(memmap_read(mapping->region, 0, copy, length).bytes, length);
  for (uint64_t at = 0; at < length; at++) {
    CHECK_EQUAL(copy[at], content_at(object_offset + at));
  }
  free(copy);
  if (!length) return;
  CHECK_EQUAL(load(mapping->at), content_at(object_offset));
  CHECK_EQUAL(load(mapping->at + length - 1), content_at(object_offset + length - 1));
}

/* -- coming ------------------------------------------------------------------------------------ */

static void any_offset_and_length(void) {
  for (int round = 0; round < 300; round++) {
    uint64_t size = random_below(pages(5)), offset = random_below(size + 1);
    uint64_t length = random_below(size - offset + 1), capacity = random_below(pages(8));
    if (random_below(3) == 0) offset = offset / pages(1) * pages(1), length = 1;
    if (offset + length > size) length = size - offset;
    bool is_rest = random_below(4) == 0;
    if (is_rest) length = size - offset;
    if (capacity < length || random_below(2)) capacity = 0;
    int fd = make_file(size);
    struct mapping mapping = map((struct memmap_request){
      .fd = fd, .access = (enum memmap_access)(1 + random_below(3)), .offset_bytes = offset,
      .length_bytes = is_rest ? -1 : (int64_t)length, .capacity_bytes = capacity,
    });
    CHECK_EQUAL(mapping.facts.length_bytes, length);
    CHECK_EQUAL(mapping.facts.object_bytes, size);
    CHECK_EQUAL(mapping.facts.object_kind, MEMMAP_OBJECT_FILE);
    CHECK_EQUAL(memmap_object_bytes(mapping.region), size);
    struct memmap_identity identity;
    CHECK(memmap_identify(mapping.region, &identity) == 0 && identity.size_bytes == size);
    CHECK(capacity ? mapping.facts.capacity_bytes >= capacity : mapping.facts.capacity_bytes == 0);
    CHECK(mapping.facts.fd != fd && fcntl(mapping.facts.fd, F_GETFD) == FD_CLOEXEC);
    if (length) CHECK_EQUAL(mapping.at % pages(1), offset % pages(1));
    check_content(&mapping, offset);
    unmap(&mapping);
    close(fd);
  }
}

static void where_stores_go(void) {
  int fd = make_file(pages(2));
  struct mapping shared = map_file(fd, MEMMAP_WRITE), copy = map_file(fd, MEMMAP_COPY);
  struct mapping reader = map_file(fd, MEMMAP_READ);
  store(shared.at, 200);
  CHECK(file_byte(fd, 0) == 200 && load(copy.at) == 200 && load(reader.at) == 200);
  store(copy.at, 201);
  CHECK(file_byte(fd, 0) == 200 && load(copy.at) == 201 && load(reader.at) == 200);
  store(shared.at, 202);
  CHECK(load(copy.at) == 201 && load(reader.at) == 202);
  unmap(&copy), unmap(&reader), unmap(&shared);
  CHECK_EQUAL(file_byte(fd, 0), 202);
}

static void memory(void) {
  const uint32_t flags[] = {0, MEMMAP_SHARED_OBJECT, MEMMAP_POPULATE, MEMMAP_NORESERVE,
                            MEMMAP_SHARED_OBJECT | MEMMAP_POPULATE, MEMMAP_HUGE_TRANSPARENT};
  for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
    struct mapping mapping = map_memory(pages(3) + 100, flags[i]);
    bool is_object = flags[i] & MEMMAP_SHARED_OBJECT;
    CHECK_EQUAL(mapping.facts.fd >= 0, is_object);
    CHECK_EQUAL(mapping.facts.object_kind, MEMMAP_OBJECT_NONE);
    for (uint64_t at = 0; at < pages(4); at += 999) CHECK_EQUAL(load(mapping.at + at), 0);
    fill_memory(&mapping);
    check_content(&mapping, 0);
    if (is_object) {
      CHECK_EQUAL(file_byte(mapping.facts.fd, 5), content_at(5));
      CHECK(ftruncate(mapping.facts.fd, 0) != 0 && errno == EPERM);
    }
    if (flags[i] == MEMMAP_HUGE_TRANSPARENT) CHECK_EQUAL(mapping.at % (2 << 20), 0);
    unmap(&mapping);
  }
}

static void a_reservation_without_access(void) {
  struct mapping mapping = map((struct memmap_request){
    .fd = -1, .access = MEMMAP_NONE, .length_bytes = (int64_t)1 << 40, .flags = MEMMAP_NORESERVE,
  });
  CHECK_EQUAL(rights_at(&mapping, 1 << 30), MEMMAP_NONE);
  CHECK_EQUAL(memmap_protect(mapping.region, pages(7), pages(2), MEMMAP_WRITE), 0);
  store(mapping.at + pages(7), 9);
  CHECK_EQUAL(rights_at(&mapping, pages(8)), MEMMAP_WRITE);
  CHECK_EQUAL(rights_at(&mapping, pages(9)), MEMMAP_NONE);
  collect_nothing(&mapping);
  unmap(&mapping);
}

static void a_wanted_address(void) {
  struct mapping first = map_memory(pages(4), 0);
  unmap(&first); /* so this place is free */
  struct memmap_request request = {
    .fd = -1, .access = MEMMAP_WRITE, .length_bytes = (int64_t)pages(2), .address = first.at,
  };
  struct mapping there = map(request);
  CHECK(there.at == first.at);
  struct mapping second;
  CHECK_EQUAL(memmap_errno(try_map(request, &second)), EEXIST);
  request.capacity_bytes = pages(4);
  CHECK_EQUAL(memmap_errno(try_map(request, &second)), EEXIST);
  fill_memory(&there);
  check_content(&there, 0);
  unmap(&there);
  there = map(request);
  CHECK(there.at == first.at);
  CHECK_EQUAL(resize(&there, pages(4)), 0);
  unmap(&there);
  request.address++;
  CHECK_EQUAL(memmap_errno(try_map(request, &second)), EINVAL);
}

/* -- refusals ---------------------------------------------------------------------------------- */

static void refused(struct memmap_request request, int answer, int error) {
  enum { TIMES = 20 }; /* above the few mappings that libraries and sanitizers make */
  size_t maps = 0, descriptors = 0;
  for (int i = 0; i < TIMES; i++) {
    struct mapping mapping;
    int result = try_map(request, &mapping);
    CHECK_EQUAL(result > 0 ? result : 0, answer);
    CHECK_EQUAL(result < 0 ? memmap_errno(result) : 0, error);
    if (i == 0) maps = count_all_maps(), descriptors = count_descriptors();
  }
  CHECK_EQUAL(count_descriptors(), descriptors);
  CHECK(count_all_maps() < maps + TIMES);
}

/* The same with a new name in a directory: nothing may be left there. */
static void refused_and_not_created(struct memmap_request request, int answer, int error) {
  char path[4096];
  snprintf(path, sizeof(path), "%s/memmap-test-%d", temporary_directory(), getpid());
  request.path = path;
  request.flags |= MEMMAP_CREATE;
  refused(request, answer, error);
  CHECK(access(path, F_OK) != 0);
}

static void refusals(void) {
  int fd = make_file(pages(2) + 10), pipes[2];
  const struct memmap_request all = {.fd = fd, .access = MEMMAP_READ, .length_bytes = -1};
  struct memmap_request request = all;
  CHECK_EQUAL(pipe(pipes), 0);
  refused((request.fd = pipes[0], request), MEMMAP_NOT_MAPPABLE, 0);
  refused((request.fd = 9999, request), 0, EBADF);
  request = all;
  refused((request.path = "/", request), MEMMAP_NOT_MAPPABLE, 0);
  refused((request.access = MEMMAP_WRITE, request), MEMMAP_NOT_MAPPABLE, 0);
  refused((request.path = "/nothing/here", request), 0, ENOENT);
  request = all;
  refused((request.path = "/proc/self/status", request), 0, ENODEV);
  refused((request.path = "/dev/zero", request), MEMMAP_LENGTH_NEEDED, 0);
  request = all;
  refused((request.offset_bytes = pages(2) + 11, request), MEMMAP_OFFSET_BEHIND_END, 0);
  request.offset_bytes = pages(2);
  refused((request.length_bytes = 11, request), MEMMAP_LENGTH_BEHIND_END, 0);
  request = all;
  refused((request.huge_shift = 21, request), MEMMAP_NOT_HUGE, 0);
  request = all;
  refused((request.capacity_bytes = pages(2), request), MEMMAP_OVER_CAPACITY, 0);
  refused((request.capacity_bytes = UINT64_MAX, request), 0, ENOMEM);
  refused((request.capacity_bytes = (uint64_t)1 << 50, request), 0, ENOMEM);
  request = (struct memmap_request){.fd = -1, .access = MEMMAP_WRITE, .length_bytes = INT64_MAX};
  refused(request, 0, ENOMEM);
  request = (struct memmap_request){.access = MEMMAP_WRITE, .length_bytes = 1};
  refused_and_not_created(request, MEMMAP_LENGTH_BEHIND_END, 0);
  refused_and_not_created((request.length_bytes = -1, request.offset_bytes = 1, request),
                          MEMMAP_OFFSET_BEHIND_END, 0);
  request = (struct memmap_request){.access = MEMMAP_WRITE, .length_bytes = (int64_t)1 << 50,
                                    .flags = MEMMAP_EXTEND};
  refused_and_not_created(request, 0, EFBIG);
}

static void names_that_would_hang(void) {
  char path[100];
  snprintf(path, sizeof(path), "/tmp/memmap-test-%d", getpid());
  struct memmap_request request = {.path = path, .access = MEMMAP_WRITE, .length_bytes = -1};
  CHECK_EQUAL(mkfifo(path, 0600), 0);
  refused(request, MEMMAP_NOT_MAPPABLE, 0);
  refused((request.access = MEMMAP_READ, request), MEMMAP_NOT_MAPPABLE, 0);
  unlink(path);
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  memcpy(name.sun_path, path, strlen(path) + 1);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  CHECK_EQUAL(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
  refused(request, MEMMAP_NOT_MAPPABLE, 0);
  unlink(path);
}

/* -- creating and extending -------------------------------------------------------------------- */

static void create_and_extend(void) {
  char path[4096];
  snprintf(path, sizeof(path), "%s/memmap-test-%d", temporary_directory(), getpid());
  struct memmap_request request = {
    .path = path, .access = MEMMAP_WRITE, .length_bytes = (int64_t)pages(3),
    .offset_bytes = 100, .flags = MEMMAP_CREATE | MEMMAP_EXTEND,
  };
  umask(027);
  struct mapping mapping = map(request);
  struct stat status = look_at(mapping.facts.fd);
  CHECK_EQUAL(status.st_size, 100 + pages(3));
  CHECK_EQUAL(status.st_mode & 0777, 0640);
  CHECK((uint64_t)status.st_blocks * 512 >= 100 + pages(3));
  fill_memory(&mapping);
  unmap(&mapping);
  mapping = map(request); /* what is there already stays */
  check_content(&mapping, 0);
  unmap(&mapping);
  request.length_bytes = 10;
  mapping = map(request);
  CHECK_EQUAL(look_at(mapping.facts.fd).st_size, 100 + pages(3));
  unmap(&mapping);
  unlink(path);
}

static void extend_on_a_full_disk(void) {
  int directory = make_small_tmpfs("size=1m");
  char path[64];
  snprintf(path, sizeof(path), "/proc/self/fd/%d/file", directory);
  struct memmap_request request = {
    .path = path, .access = MEMMAP_WRITE, .length_bytes = 2 << 20,
    .flags = MEMMAP_CREATE | MEMMAP_EXTEND,
  };
  refused(request, 0, ENOSPC);
  CHECK(access(path, F_OK) != 0);
  int fd = open(path, O_RDWR | O_CREAT, 0600);
  fill(fd, 0, 12345);
  struct stat before = look_at(fd);
  refused(request, 0, ENOSPC);
  CHECK_EQUAL(look_at(fd).st_size, 12345);
  CHECK_EQUAL(look_at(fd).st_blocks, before.st_blocks);
  request.length_bytes = 1 << 19; /* and the disk is not full of what was given back */
  struct mapping mapping = map(request);
  for (uint64_t at = 0; at < 12345; at++) CHECK_EQUAL(load(mapping.at + at), content_at(at));
  store(mapping.at + (1 << 19) - 1, 1);
  collect_nothing(&mapping);
  unmap(&mapping);
}

/* -- going ------------------------------------------------------------------------------------- */

/* The last user goes; a holder keeps pages [first, end) of eight. */
static void check_kept(size_t first, size_t end, uint32_t flags) {
  struct mapping mapping = map_memory(pages(8), flags);
  fill_memory(&mapping);
  memmap_retain_holder(mapping.region);
  memmap_release_user(mapping.region, pages(first) + 5, pages(end) - 5);
  CHECK(memmap_is_closed(mapping.region));
  CHECK(is_gone(mapping.at, pages(first)));
  CHECK(is_gone(mapping.at + pages(end), pages(8 - end)));
  for (size_t page = first; page < end; page++) CHECK_EQUAL(load(mapping.at + pages(page)), 0);
  CHECK(!memmap_has_faults(mapping.region, false));
  store(mapping.at + pages(first), 1);
  store(mapping.at + pages(end) - 1, 1);
  struct memmap_fault fault = collect(&mapping, MEMMAP_FAULT_CLOSED, end - first > 1 ? 2 : 1);
  CHECK(fault.address == mapping.at + pages(first) && fault.access == MEMMAP_WRITE);
  CHECK_EQUAL(load(mapping.at + pages(first)), 0);
  memmap_release_holder(mapping.region);
  CHECK(is_gone(mapping.at, pages(8)));
}

static void what_holders_keep(void) {
  for (size_t first = 0; first < 8; first++) {
    for (size_t end = first + 1; end <= 8; end++) {
      check_kept(first, end, 0);
      check_kept(first, end, MEMMAP_SHARED_OBJECT);
    }
  }
}

static void two_users_keep_the_hull(void) {
  struct mapping mapping = map_memory(pages(8), 0);
  memmap_retain_user(mapping.region);
  memmap_retain_holder(mapping.region);
  memmap_release_user(mapping.region, pages(5), pages(6));
  CHECK(!memmap_is_closed(mapping.region));
  store(mapping.at, 7); /* still open for the other */
  memmap_release_user(mapping.region, pages(2), pages(3));
  CHECK(memmap_is_closed(mapping.region));
  CHECK(is_gone(mapping.at, pages(2)));
  CHECK_EQUAL(load(mapping.at + pages(2)) + load(mapping.at + pages(5)), 0);
  CHECK(is_gone(mapping.at + pages(6), pages(2)));
  memmap_release_holder(mapping.region);
  CHECK(is_gone(mapping.at, pages(8)));
}

/* "Pages and object are given back when the last user goes", also when nobody asked to keep. */
static void nothing_kept_but_held(void) {
  int fd = make_file(pages(2));
  struct mapping mapping = map_file(fd, MEMMAP_WRITE);
  memmap_retain_holder(mapping.region);
  memmap_release_user(mapping.region, 0, 0);
  if (count_maps(mapping.at, pages(2)) > 0) {
    CHECK_EQUAL(load(mapping.at), 0);
    store(mapping.at, 99);
    CHECK_EQUAL(file_byte(fd, 0), content_at(0));
  }
  memmap_release_holder(mapping.region);
  CHECK(is_gone(mapping.at, pages(2)));
}

static void memory_of_somebody_else(void) {
  size_t length = pages(6);
  uint8_t *theirs = mmap(NULL, pages(8), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                         -1, 0);
  memset(theirs, 77, pages(8));
  for (int has_capacity = 0; has_capacity < 2; has_capacity++) {
    int fd = make_file(pages(3));
    struct mapping mapping = map((struct memmap_request){
      .fd = fd, .access = MEMMAP_WRITE, .length_bytes = -1,
      .capacity_bytes = has_capacity ? length : 0,
    });
    uintptr_t former = mapping.at;
    CHECK_EQUAL(memmap_move_onto(mapping.region, theirs + pages(1)), 0);
    memmap_describe(mapping.region, &mapping.facts);
    mapping.at = (uintptr_t)mapping.facts.address;
    CHECK(mapping.at == address_of(theirs) + pages(1));
    CHECK(is_gone(former, has_capacity ? length : pages(3)));
    check_content(&mapping, 0);
    store(mapping.at + 5, 200);
    CHECK_EQUAL(file_byte(fd, 5), 200);
    if (has_capacity) {
      CHECK_EQUAL(resize(&mapping, length), 0);
      CHECK_EQUAL(load(mapping.at + length - 1), 0);
      CHECK_EQUAL(look_at(fd).st_size, length);
    } else {
      CHECK_EQUAL(resize(&mapping, length), MEMMAP_NOT_RESIZABLE);
    }
    uint64_t held = mapping.facts.length_bytes;
    memmap_retain_holder(mapping.region);
    unmap(&mapping);
    store(mapping.at, 1);
    collect(&mapping, MEMMAP_FAULT_CLOSED, 1);
    memmap_release_holder(mapping.region);
    for (size_t at = 0; at < held; at++) {
      CHECK_EQUAL(load(mapping.at + at), 0);
      store(mapping.at + at, 77);
    }
    CHECK(theirs[0] == 77 && theirs[pages(8) - 1] == 77);
    close(fd);
  }
  munmap(theirs, pages(8));
}

static void shared_by_number(void) {
  struct mapping mapping = map_memory(pages(2), MEMMAP_SHARED_OBJECT), other = map_memory(1, 0);
  uint64_t number = memmap_share(mapping.region);
  CHECK(number != 0 && memmap_share(mapping.region) == number);
  CHECK(memmap_share(other.region) != number);
  CHECK(memmap_attach(number) == mapping.region);
  unmap(&mapping);
  CHECK(!memmap_is_closed(mapping.region));
  memmap_retain_holder(mapping.region);
  memmap_release_user(mapping.region, 0, pages(2));
  CHECK(memmap_is_closed(mapping.region) && memmap_attach(number) == NULL);
  memmap_release_holder(mapping.region);
  CHECK(memmap_attach(number) == NULL && memmap_attach(0) == NULL);
  unmap(&other);
}

/* A user that is left to a buffer goes with it; without a buffer at once. */
static void users_left_to_a_buffer(void) {
  struct mapping mapping = map_memory(pages(2), 0);
  memmap_buffer_begin(mapping.region);
  memmap_retain_user(mapping.region);
  memmap_leave_to_buffer(mapping.region);
  memmap_leave_to_buffer(mapping.region);
  CHECK(!memmap_is_closed(mapping.region));
  store(mapping.at, 1);
  collect_nothing(&mapping);
  memmap_buffer_end(mapping.region);
  CHECK(is_gone(mapping.at, mapping.facts.length_bytes));
  mapping = map_memory(pages(2), 0);
  memmap_buffer_begin(mapping.region);
  memmap_buffer_end(mapping.region);
  store(mapping.at, 1);
  memmap_leave_to_buffer(mapping.region);
  CHECK(is_gone(mapping.at, mapping.facts.length_bytes));
}

/* One life of a mapping of some kind, with faults. */
static void live_once(int kind, int fd) {
  struct memmap_request request = {
    .fd = kind < 6 ? fd : -1, .length_bytes = (int64_t)pages(4) - kind,
    .access = kind < 6 ? (enum memmap_access)(1 + kind % 3) : MEMMAP_WRITE,
    .capacity_bytes = kind % 2 ? pages(9) : 0, .offset_bytes = kind < 6 ? (uint64_t)kind * 99 : 0,
    .flags = kind >= 8 ? MEMMAP_SHARED_OBJECT : 0,
  };
  struct mapping mapping = map(request);
  uint64_t aligned = (pages(2) - mapping.at % pages(1)) % pages(2);
  CHECK_EQUAL(memmap_protect(mapping.region, aligned, pages(1), MEMMAP_READ), 0);
  store(mapping.at + aligned, 1);
  CHECK_EQUAL(memmap_protect(mapping.region, aligned, pages(1), MEMMAP_NONE), 0);
  store(mapping.at + aligned, 1);
  int result = resize(&mapping, kind % 4 ? pages(2) : pages(3));
  CHECK(result == 0 || result == MEMMAP_NOT_RESIZABLE);
  memmap_retain_holder(mapping.region);
  memmap_release_user(mapping.region, pages(1), pages(2));
  store(mapping.at - mapping.at % pages(1) + pages(1), 1);
  memmap_release_holder(mapping.region);
}

static void nothing_is_left(void) {
  int fd = make_file(pages(6));
  for (int kind = 0; kind < 10; kind++) live_once(kind, fd);
  size_t maps = count_all_maps(), descriptors = count_descriptors();
  for (int round = 0; round < 4000; round++) live_once(round % 10, fd);
  CHECK_EQUAL(count_descriptors(), descriptors);
  size_t now = count_all_maps(); /* some for what the C library and the sanitizers allocate */
  CHECK(now < maps + 20);
}

static const struct check_case cases[] = {
  {"any offset and length", any_offset_and_length},
  {"where stores go", where_stores_go},
  {"memory without a file", memory},
  {"a reservation without access", a_reservation_without_access},
  {"a wanted address", a_wanted_address},
  {"refusals leave nothing", refusals},
  {"names that would hang", names_that_would_hang},
  {"create and extend", create_and_extend},
  {"extend on a full disk", extend_on_a_full_disk},
  {"what holders keep", what_holders_keep},
  {"two users keep the hull", two_users_keep_the_hull},
  {"nothing kept, but held", nothing_kept_but_held},
  {"memory of somebody else", memory_of_somebody_else},
  {"shared by number", shared_by_number},
  {"users left to a buffer", users_left_to_a_buffer},
  {"nothing is left of 4000 mappings", nothing_is_left},
};
CHECK_MAIN(cases)
