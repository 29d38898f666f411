/*
 * registry.h - which region owns an address; read by signal handlers without a lock.
 */
#ifndef MEMMAP_REGISTRY_H
#define MEMMAP_REGISTRY_H

#include "memmap.h"

/* Returns 0 or a failure; EEXIST: the range overlaps another. */
int registry_add(uintptr_t start, uintptr_t end, memmap_region *region);
/* pre: the entry with this start exists. post: no reader holds the region any more. */
void registry_remove(uintptr_t start);
/* Narrows an entry to a part of itself. */
void registry_narrow(uintptr_t start, uintptr_t new_start, uintptr_t new_end);
/* Gives an entry to another region. post: no reader holds the former one any more. */
void registry_assign(uintptr_t start, memmap_region *region);

/* How often entries were added or removed. Who finds no region, and sees the same number before it
 * looked and afterwards, knows that there was none in between. [handler] */
size_t registry_changes(void);

/* Between the two calls the region that was found is neither freed nor its range given to somebody
 * else. May be called in a signal handler; wait-free. */
unsigned registry_enter(void);
memmap_region *registry_find(uintptr_t address);
/* Calls `visit` with each region, once a range. pre and conditions as of registry_find. */
void registry_visit(void (*visit)(memmap_region *region, void *context), void *context);
void registry_leave(unsigned ticket);

/* Checks every invariant; for tests. */
bool registry_is_sound(void);
size_t registry_count(void);

#endif
