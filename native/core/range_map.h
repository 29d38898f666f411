/*
 * range_map.h - a small value for every page of a region, kept as runs.
 *
 * Runs are sorted, disjoint, never empty, and two that touch have different values; pages in no
 * run have the value 0. Changes that cannot fail are prepared by range_map_reserve.
 */
#ifndef MEMMAP_RANGE_MAP_H
#define MEMMAP_RANGE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct run {
  size_t first, end; /* pages */
  uint8_t value;     /* never 0 in a map */
};

struct range_map {
  struct run *runs;
  size_t count, capacity;
};

/* Makes room for one range_map_set. Returns 0 or a failure. */
int range_map_reserve(struct range_map *map);
/* pre: range_map_reserve since the last set; first < end. */
void range_map_set(struct range_map *map, size_t first, size_t end, uint8_t value);
/* The value of `page`; *end is where the run of that value ends, at most SIZE_MAX. */
uint8_t range_map_get(const struct range_map *map, size_t page, size_t *end);
void range_map_clear(struct range_map *map);
int range_map_copy(struct range_map *target, const struct range_map *source);
void range_map_free(struct range_map *map);
bool range_map_is_sound(const struct range_map *map);

#endif
