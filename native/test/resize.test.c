/*
 * resize.test.c - mapping and object change together: random lengths against a model in memory.
 */
#include "mapping.h"

enum { PAGES = 8 };

/* What the file and the mapping have to be. The file is as long as `bytes` say. */
struct model {
  struct mapping mapping;
  int fd; /* -1: memory, whose bytes count from the mapping's first */
  uint64_t offset, size, length, capacity, granule;
  uint8_t *bytes;
};

static void check_same(const struct model *model) {
  const struct mapping *mapping = &model->mapping;
  uint8_t *copy = malloc(model->size + model->length + 1);
  CHECK(copy != NULL);
  CHECK_EQUAL(mapping->facts.length_bytes, model->length);
  CHECK_EQUAL(memmap_read(mapping->region, 0, copy, model->length).bytes, model->length);
  CHECK(memcmp(copy, model->bytes + model->offset, model->length) == 0);
  if (model->fd >= 0) {
    CHECK_EQUAL(look_at(model->fd).st_size, model->size);
    CHECK_EQUAL(pread(model->fd, copy, model->size, 0), model->size);
    CHECK(memcmp(copy, model->bytes, model->size) == 0);
  }
  free(copy);
  CHECK(!memmap_has_faults(mapping->region, false));
}

static void store_somewhere(struct model *model) {
  for (int i = 0; i < 20 && model->length; i++) {
    uint64_t at = random_below(model->length);
    uint8_t value = (uint8_t)(1 + random_below(255));
    store(model->mapping.at + at, value);
    model->bytes[model->offset + at] = value;
  }
}

/* The rule of memmap_resize: the file follows where it ended with the mapping. */
static void resize_model(struct model *model, uint64_t length) {
  uint64_t end = model->offset + length, old_end = model->offset + model->length;
  uint64_t size = model->size;
  if (end > size || (length < model->length && old_end >= size)) size = end;
  if (size < model->size) memset(model->bytes + size, 0, model->size - size);
  model->size = size;
  model->length = length;
}

static void resize_at_random(struct model *model, int steps) {
  CHECK(model->bytes != NULL);
  check_same(model);
  for (int step = 0; step < steps; step++) {
    store_somewhere(model);
    check_same(model);
    uint64_t length = random_below(pages(PAGES) + 1) / model->granule * model->granule;
    if (random_below(10) == 0) length = 0;
    uintptr_t before = model->mapping.at;
    int result = resize(&model->mapping, length);
    if (model->capacity && length > model->mapping.facts.capacity_bytes) {
      CHECK_EQUAL(result, MEMMAP_OVER_CAPACITY);
    } else {
      CHECK_EQUAL(result, 0);
      if (model->capacity) CHECK(model->mapping.at == before);
      resize_model(model, length);
    }
    check_same(model);
  }
  unmap(&model->mapping);
  free(model->bytes);
}

static void resize_files(void) {
  for (int round = 0; round < 40; round++) {
    uint64_t size = random_below(pages(PAGES)), offset = random_below(size + 1);
    uint64_t length = random_below(size - offset + 1);
    if (random_below(2)) length = size - offset;
    uint64_t capacity = random_below(2) ? length + random_below(pages(PAGES)) : 0;
    struct model model = {
      .fd = make_file(size), .offset = offset, .size = size, .length = length,
      .capacity = capacity, .granule = 1, .bytes = calloc(1, pages(2 * PAGES) + 1),
    };
    for (uint64_t at = 0; at < size && model.bytes; at++) model.bytes[at] = content_at(at);
    model.mapping = map((struct memmap_request){
      .fd = model.fd, .access = MEMMAP_WRITE, .offset_bytes = offset,
      .length_bytes = (int64_t)length, .capacity_bytes = capacity,
    });
    resize_at_random(&model, 30);
    close(model.fd);
  }
}

static void check_memory(uint64_t granule, uint32_t flags, bool has_capacity) {
  for (int round = 0; round < 10; round++) {
    uint64_t length = random_below(pages(PAGES)) / granule * granule;
    struct model model = {
      .fd = -1, .size = length, .length = length, .granule = granule,
      .capacity = has_capacity ? pages(PAGES - 1) : 0, .bytes = calloc(1, pages(PAGES) + 1),
    };
    if (model.capacity && length > model.capacity) model.length = model.size = length = granule;
    model.mapping = map((struct memmap_request){
      .fd = -1, .access = MEMMAP_WRITE, .length_bytes = (int64_t)length, .flags = flags,
      .capacity_bytes = model.capacity,
    });
    resize_at_random(&model, 30);
  }
}

static void resize_memory(void) {
  check_memory(pages(1), 0, false);
  check_memory(pages(1), 0, true);
}
static void resize_memory_object(void) { check_memory(pages(1), MEMMAP_SHARED_OBJECT, true); }

/* What comes back after the mapping was shorter is zero, as it is in a file. */
static void bytes_that_come_back(void) {
  check_memory(1, 0, false);
  check_memory(1, 0, true);
}
static void bytes_of_an_object_that_come_back(void) {
  check_memory(1, MEMMAP_SHARED_OBJECT, true);
}

/* The memory behind the end of a sealed object is given back, although its size stays. */
static void memory_of_an_object_is_given_back(void) {
  struct mapping mapping = map((struct memmap_request){
    .fd = -1, .access = MEMMAP_WRITE, .length_bytes = (int64_t)pages(6) + 100,
    .capacity_bytes = pages(PAGES), .flags = MEMMAP_SHARED_OBJECT,
  });
  fill_memory(&mapping);
  CHECK_EQUAL(look_at(mapping.facts.fd).st_blocks * 512, pages(7));
  CHECK_EQUAL(resize(&mapping, pages(4) + 100), 0);
  CHECK_EQUAL(look_at(mapping.facts.fd).st_blocks * 512, pages(5));
  CHECK_EQUAL(resize(&mapping, pages(2)), 0);
  CHECK_EQUAL(look_at(mapping.facts.fd).st_blocks * 512, pages(2));
}

/* -- refusals ---------------------------------------------------------------------------------- */

static void not_resizable(void) {
  int fd = make_file(pages(2));
  struct mapping copy = map_file(fd, MEMMAP_COPY);
  CHECK_EQUAL(resize(&copy, pages(1)), MEMMAP_NOT_RESIZABLE);
  struct mapping object = map_memory(pages(2), MEMMAP_SHARED_OBJECT);
  CHECK_EQUAL(resize(&object, pages(1)), MEMMAP_NOT_RESIZABLE);
  struct mapping device = map((struct memmap_request){
    .path = "/dev/zero", .access = MEMMAP_READ, .length_bytes = 100,
  });
  CHECK_EQUAL(resize(&device, 50), MEMMAP_NOT_RESIZABLE);
  CHECK_EQUAL(load(device.at), 0);
  struct mapping memory = map_memory(pages(2), 0);
  fill_memory(&memory);
  CHECK_EQUAL(memmap_errno(resize(&memory, UINT64_MAX)), ENOMEM);
  CHECK_EQUAL(memmap_errno(resize(&memory, (uint64_t)1 << 52)), ENOMEM);
  CHECK_EQUAL(load(memory.at + pages(2) - 1), content_at(pages(2) - 1));
}

/* How a reader follows a log that grows. */
static void a_reader_follows(void) {
  int fd = make_file(100);
  struct mapping reader = map((struct memmap_request){
    .fd = fd, .access = MEMMAP_READ, .length_bytes = -1, .capacity_bytes = pages(PAGES),
  });
  uintptr_t before = reader.at;
  for (uint64_t size = 100; size < pages(PAGES); size += 1777) {
    fill(fd, 0, size);
    CHECK_EQUAL(resize(&reader, size + 1), MEMMAP_LENGTH_BEHIND_END);
    CHECK_EQUAL(resize(&reader, size), 0);
    CHECK_EQUAL(load(reader.at + size - 1), content_at(size - 1));
    CHECK(reader.at == before && look_at(fd).st_size == (off_t)size);
  }
  CHECK_EQUAL(resize(&reader, 10), 0); /* never cuts what it only reads */
  CHECK(look_at(fd).st_size > 10);
  collect_nothing(&reader);
}

static void full_disk(void) {
  int directory = make_small_tmpfs("size=1m");
  for (int has_capacity = 0; has_capacity < 2; has_capacity++) {
    int fd = openat(directory, "file", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    fill(fd, 0, 12345);
    struct stat before = look_at(fd);
    struct mapping mapping = map((struct memmap_request){
      .fd = fd, .access = MEMMAP_WRITE, .length_bytes = -1,
      .capacity_bytes = has_capacity ? 4 << 20 : 0,
    });
    for (int i = 0; i < 3; i++) {
      CHECK_EQUAL(memmap_errno(resize(&mapping, 2 << 20)), ENOSPC);
      CHECK_EQUAL(mapping.facts.length_bytes, 12345);
      CHECK_EQUAL(look_at(fd).st_size, before.st_size);
      CHECK_EQUAL(look_at(fd).st_blocks, before.st_blocks);
      CHECK_EQUAL(load(mapping.at + 12344), content_at(12344));
    }
    CHECK_EQUAL(resize(&mapping, 1 << 19), 0);
    for (uint64_t at = 12345; at < 1 << 19; at += 4096) store(mapping.at + at, 1);
    collect_nothing(&mapping);
    unmap(&mapping);
    close(fd);
  }
}

/* -- what stays -------------------------------------------------------------------------------- */

/* Protections and advice of the pages that stay, when they have moved. */
static void what_was_said_moves_along(void) {
  int fd = make_file(pages(PAGES));
  for (int kind = 0; kind < 4; kind++) {
    struct mapping mapping = map((struct memmap_request){
      .fd = kind / 2 ? fd : -1, .access = MEMMAP_WRITE, .length_bytes = (int64_t)pages(PAGES),
      .capacity_bytes = kind % 2 ? pages(2 * PAGES) : 0,
    });
    fill_memory(&mapping);
    CHECK_EQUAL(memmap_protect(mapping.region, pages(1), pages(2), MEMMAP_READ), 0);
    CHECK_EQUAL(memmap_protect(mapping.region, pages(5), pages(3), MEMMAP_NONE), 0);
    CHECK_EQUAL(memmap_advise(mapping.region, pages(2), pages(2), MEMMAP_DONTDUMP), 0);
    CHECK_EQUAL(resize(&mapping, pages(PAGES + 3)), 0);
    CHECK_EQUAL(resize(&mapping, pages(6)), 0);
    CHECK_EQUAL(resize(&mapping, pages(PAGES)), 0);
    const enum memmap_access rights[PAGES] = {
      MEMMAP_WRITE, MEMMAP_READ, MEMMAP_READ, MEMMAP_WRITE, MEMMAP_WRITE, MEMMAP_NONE,
      MEMMAP_WRITE, MEMMAP_WRITE, /* these are new */
    };
    for (size_t page = 0; page < PAGES; page++) {
      uint64_t end;
      CHECK_EQUAL(rights_at(&mapping, pages(page)), rights[page]);
      CHECK_EQUAL(memmap_protection(mapping.region, pages(page), &end), rights[page]);
    }
    CHECK_EQUAL(memmap_protect(mapping.region, 0, pages(PAGES), MEMMAP_READ), 0);
    for (uint64_t at = 0; at < pages(PAGES); at++) {
      CHECK_EQUAL(load(mapping.at + at), at < pages(6) ? content_at(at) : 0);
    }
    collect_nothing(&mapping);
    unmap(&mapping);
  }
}

/* The old addresses become a closed region with one holder. */
static void former_addresses(void) {
  int fd = make_file(pages(PAGES));
  struct mapping mapping = map_file(fd, MEMMAP_WRITE), former = mapping;
  CHECK_EQUAL(memmap_resize(mapping.region, pages(3), &former.region, &mapping.facts), 0);
  CHECK(former.region && memmap_is_closed(former.region));
  mapping.at = (uintptr_t)mapping.facts.address;
  CHECK(mapping.at != former.at);
  CHECK_EQUAL(load(former.at + pages(2)), 0);
  store(former.at + pages(2), 9);
  collect(&former, MEMMAP_FAULT_CLOSED, 1);
  CHECK_EQUAL(load(mapping.at + pages(2)), content_at(pages(2)));
  collect_nothing(&mapping);
  memmap_release_holder(former.region);
  CHECK_EQUAL(count_maps_of(&former), 0);
  CHECK_EQUAL(resize(&mapping, 0), 0);
  CHECK(mapping.facts.address == 0 && look_at(fd).st_size == 0);
  CHECK_EQUAL(resize(&mapping, 10), 0);
  store(mapping.at + 9, 5);
  CHECK_EQUAL(file_byte(fd, 9), 5);
}

static const struct check_case cases[] = {
  {"files at random", resize_files},
  {"memory at random", resize_memory},
  {"memory object at random", resize_memory_object},
  {"bytes that come back are zeros", bytes_that_come_back},
  {"bytes of an object that come back are zeros", bytes_of_an_object_that_come_back},
  {"memory of an object is given back", memory_of_an_object_is_given_back},
  {"not resizable", not_resizable},
  {"a reader follows", a_reader_follows},
  {"a full disk", full_disk},
  {"what was said moves along", what_was_said_moves_along},
  {"former addresses", former_addresses},
};
CHECK_MAIN(cases)
