/*
 * range_map.test.c - runs of values against an array with one value for each page.
 */
#include "core/range_map.h"

#include "check.h"

enum { PAGES = 64, VALUES = 4 };

static void set(struct range_map *map, uint8_t *naive, size_t first, size_t end, uint8_t value) {
  CHECK_EQUAL(range_map_reserve(map), 0);
  range_map_set(map, first, end, value);
  memset(naive + first, value, end - first);
}

/* Where the value of `page` ends; there is nothing but zeros behind the last page. */
static size_t naive_end(const uint8_t *naive, size_t count, size_t page) {
  size_t end = page + 1;
  while (end < count && naive[end] == naive[page]) end++;
  return end == count && naive[page] == 0 ? SIZE_MAX : end;
}

static void check_same(const struct range_map *map, const uint8_t *naive, size_t count) {
  CHECK(range_map_is_sound(map));
  for (size_t page = 0; page < count; page++) {
    size_t end;
    CHECK_EQUAL(range_map_get(map, page, &end), naive[page]);
    CHECK_EQUAL(end, naive_end(naive, count, page));
  }
  size_t end;
  CHECK_EQUAL(range_map_get(map, count, &end), 0);
  CHECK_EQUAL(end, SIZE_MAX);
}

static void random_sets(void) {
  for (int round = 0; round < 50; round++) {
    struct range_map map = {0};
    uint8_t naive[PAGES] = {0};
    for (int step = 0; step < 400; step++) {
      size_t first = random_below(PAGES), end = first + 1 + random_below(PAGES - first);
      if (random_below(2)) end = first + 1;
      set(&map, naive, first, end, (uint8_t)random_below(VALUES));
      check_same(&map, naive, PAGES);
    }
    range_map_free(&map);
  }
}

/* Every set on every map of six pages and three values: all ways in which runs can touch. */
static void all_small_sets(void) {
  enum { SMALL = 6, KINDS = 3, MAPS = 729 };
  for (int number = 0; number < MAPS; number++) {
    for (size_t first = 0; first < SMALL; first++) {
      for (size_t end = first + 1; end <= SMALL; end++) {
        for (uint8_t value = 0; value < KINDS; value++) {
          struct range_map map = {0};
          uint8_t naive[SMALL] = {0};
          for (size_t page = 0, rest = (size_t)number; page < SMALL; page++, rest /= KINDS) {
            set(&map, naive, page, page + 1, (uint8_t)(rest % KINDS));
          }
          set(&map, naive, first, end, value);
          check_same(&map, naive, SMALL);
          range_map_free(&map);
        }
      }
    }
  }
}

static void copies_are_independent(void) {
  struct range_map map = {0}, copy;
  uint8_t naive[PAGES] = {0}, before[PAGES];
  CHECK_EQUAL(range_map_copy(&copy, &map), 0);
  check_same(&copy, naive, PAGES);
  for (size_t page = 0; page + 2 <= PAGES; page += 3) {
    set(&map, naive, page, page + 2, (uint8_t)(1 + page % 2));
  }
  CHECK_EQUAL(range_map_copy(&copy, &map), 0);
  memcpy(before, naive, sizeof(before));
  set(&map, naive, 0, PAGES, 3);
  check_same(&copy, before, PAGES);
  set(&copy, before, 1, 5, 2);
  check_same(&copy, before, PAGES);
  check_same(&map, naive, PAGES);
  range_map_clear(&map);
  memset(naive, 0, sizeof(naive));
  check_same(&map, naive, PAGES);
  range_map_free(&map);
  range_map_free(&copy);
}

static void ends_of_the_range(void) {
  struct range_map map = {0};
  size_t end;
  CHECK_EQUAL(range_map_reserve(&map), 0);
  range_map_set(&map, 0, SIZE_MAX, 1);
  CHECK_EQUAL(range_map_get(&map, SIZE_MAX - 1, &end), 1);
  CHECK(end == SIZE_MAX && range_map_is_sound(&map));
  CHECK_EQUAL(range_map_reserve(&map), 0);
  range_map_set(&map, SIZE_MAX - 2, SIZE_MAX - 1, 0);
  CHECK_EQUAL(range_map_get(&map, SIZE_MAX - 2, &end), 0);
  CHECK(end == SIZE_MAX - 1 && range_map_is_sound(&map));
  CHECK_EQUAL(map.count, 2);
  range_map_free(&map);
}

static const struct check_case cases[] = {
  {"random sets", random_sets},
  {"every set on every small map", all_small_sets},
  {"copies are independent", copies_are_independent},
  {"ends of the range", ends_of_the_range},
};
CHECK_MAIN(cases)
