#ifndef MEMMAP_PROCESS_H
#define MEMMAP_PROCESS_H

/* fault.c: installs the handlers; a fault rings `bell` (-1: nobody listens). */
int fault_handlers_start(int bell);

#endif
