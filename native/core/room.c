/*
 * room.c - room for mappings below the system's limit (vm.max_map_count).
 *
 * The kernel lets a process have so many mappings and no more. When the last is used up, the next one
 * that malloc or the engine needs is not to be had, and both end the process. So what this library
 * splits or adds stops a little earlier, with an error. Counting reads /proc/self/maps, which takes
 * milliseconds where it is long; so each count allows half of what it has left before the next.
 */
#include "core/room.h"

#include <errno.h>
#include <stdatomic.h>

#include "platform/platform.h"

/* Mappings that one step may add: a range that is cut out of the middle of one makes two more, and a
 * reservation around it another. */
enum { STEP = 3 };

/* Mappings that may be added without counting. */
static atomic_llong credit;

struct memmap_room memmap_room(void) {
  struct memmap_room room = {.mappings = platform_mappings(), .most = platform_mappings_max()};
  /* For the others a 64th: 1,024 of the 65,530 that Linux allows by default
   * (DEFAULT_MAX_MAP_COUNT of include/linux/mm.h). */
  int64_t left = room.most - room.most / 64 - room.mappings;
  room.left = room.most <= 0 ? INT64_MAX : left > 0 ? left : 0;
  return room;
}

int room_take(enum memmap_call_name call) {
  if (atomic_fetch_sub(&credit, STEP) >= STEP) return 0;
  int64_t left = memmap_room().left;
  atomic_store(&credit, left / 2);
  return left >= STEP ? 0 : memmap_failure(call, ENOMEM);
}
