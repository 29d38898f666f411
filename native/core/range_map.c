#include "core/range_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memmap.h"

int range_map_reserve(struct range_map *map) {
  /* A set adds at most two runs: itself, and the second half of the run that it cuts. */
  if (map->count + 2 <= map->capacity) return 0;
  size_t capacity = map->capacity ? map->capacity * 2 : 4;
  struct run *runs = realloc(map->runs, capacity * sizeof(*runs));
  if (!runs) return memmap_failure(MEMMAP_CALL_MALLOC, ENOMEM);
  map->runs = runs;
  map->capacity = capacity;
  return 0;
}

/* The first run that ends behind `page`. */
static size_t run_behind(const struct range_map *map, size_t page) {
  size_t low = 0, high = map->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (map->runs[middle].end <= page) low = middle + 1;
    else high = middle;
  }
  return low;
}

/* Replaces the runs [from, to) by `count` runs. */
static void splice(struct range_map *map, size_t from, size_t to, const struct run *with,
                   size_t count) {
  memmove(&map->runs[from + count], &map->runs[to], (map->count - to) * sizeof(*map->runs));
  if (count) memcpy(&map->runs[from], with, count * sizeof(*with));
  map->count = map->count - (to - from) + count;
}

void range_map_set(struct range_map *map, size_t first, size_t end, uint8_t value) {
  struct run with[3];
  size_t count = 0;
  size_t from = run_behind(map, first);
  size_t to = from;
  /* A neighbour of the same value that only touches is taken in as well. */
  if (from > 0 && map->runs[from - 1].end == first && map->runs[from - 1].value == value) from--;
  while (to < map->count && map->runs[to].first <= end) {
    if (map->runs[to].first == end && map->runs[to].value != value) break;
    to++;
  }
  struct run middle = {first, end, value};
  struct run tail = {0, 0, 0};
  for (size_t i = from; i < to; i++) {
    struct run old = map->runs[i];
    if (old.value == value) {
      if (old.first < middle.first) middle.first = old.first;
      if (old.end > middle.end) middle.end = old.end;
      continue;
    }
    if (old.first < first) with[count++] = (struct run){old.first, first, old.value};
    if (old.end > end) tail = (struct run){end, old.end, old.value};
  }
  if (value != 0) with[count++] = middle;
  if (tail.end) with[count++] = tail;
  splice(map, from, to, with, count);
}

uint8_t range_map_get(const struct range_map *map, size_t page, size_t *end) {
  size_t at = run_behind(map, page);
  if (at == map->count) {
    *end = SIZE_MAX;
    return 0;
  }
  const struct run *run = &map->runs[at];
  if (page < run->first) {
    *end = run->first;
    return 0;
  }
  *end = run->end;
  return run->value;
}

void range_map_clear(struct range_map *map) { map->count = 0; }

int range_map_copy(struct range_map *target, const struct range_map *source) {
  *target = (struct range_map){0};
  if (source->count == 0) return 0;
  target->runs = malloc(source->count * sizeof(*source->runs));
  if (!target->runs) return memmap_failure(MEMMAP_CALL_MALLOC, ENOMEM);
  memcpy(target->runs, source->runs, source->count * sizeof(*source->runs));
  target->count = target->capacity = source->count;
  return 0;
}

void range_map_free(struct range_map *map) {
  free(map->runs);
  *map = (struct range_map){0};
}

bool range_map_is_sound(const struct range_map *map) {
  for (size_t i = 0; i < map->count; i++) {
    const struct run *run = &map->runs[i];
    if (run->first >= run->end || run->value == 0) return false;
    if (i == 0) continue;
    const struct run *before = &map->runs[i - 1];
    if (before->end > run->first) return false;
    if (before->end == run->first && before->value == run->value) return false;
  }
  return map->count <= map->capacity;
}
