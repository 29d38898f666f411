/*
 * room.h - room for mappings below the system's limit.
 */
#ifndef MEMMAP_ROOM_H
#define MEMMAP_ROOM_H

#include "memmap.h"

/* Asks for room for a few more mappings. Returns 0, or ENOMEM of `call` when they would use up what
 * the rest of the process needs. */
int room_take(enum memmap_call_name call);

#endif
