/**
 * The errors of memmap itself, the signals of mapped memory, and the words of the field.
 */

type Causes = readonly (readonly [cause: string, cure: string])[];

export const own: readonly (readonly [
  term: string,
  kind: 'memmap' | 'signal',
  meaning: string,
  causes: Causes,
])[] = [
  [
    'ERR_MEMMAP_CLOSED',
    'memmap',
    'the mapping was closed',
    [
      ['close(), using, or the end of its last attachment', 'map it again; keep it open longer'],
      ['a store into a shared buffer that outlived its mapping', 'close after the last use'],
    ],
  ],
  [
    'ERR_MEMMAP_READ_ONLY',
    'memmap',
    'a store was thrown away: the memory may not be written',
    [
      ["access 'read'", "access 'write' to change the file, 'copy' to keep changes to yourself"],
      ["protect('read') on this range", "protect('write', range) or withAccess('write', fn)"],
    ],
  ],
  [
    'ERR_MEMMAP_NO_ACCESS',
    'memmap',
    'a load gave zeros, or a store was thrown away: the range is closed to both',
    [["protect('none') on this range", "protect('read', range)"]],
  ],
  [
    'ERR_MEMMAP_TRUNCATED',
    'memmap',
    'the file became shorter than its mapping; loads behind its end give zeros',
    [
      ['another process cut it', 'read() tells how much there is; resize() follows it'],
      ['it was replaced in place', 'write a new file and rename() it over the old one'],
    ],
  ],
  [
    'ERR_MEMMAP_IO',
    'memmap',
    'a page could not be read or given room on the disk',
    [
      ['the disk is full, and a store went into a hole', 'extend: true allocates before'],
      ['the device or the network failed', 'look at the kernel log'],
      ['broken memory', 'look at the kernel log'],
    ],
  ],
  [
    'ERR_MEMMAP_UNSUPPORTED',
    'memmap',
    'this system, runtime or kind of mapping cannot do it; the message says what is missing',
    [['an older kernel, another system, or Bun', 'diagnose() shows what there is']],
  ],
  [
    'ERR_MEMMAP_TIMEOUT',
    'memmap',
    'the time that was given ran out before the wait ended',
    [['somebody holds what is waited for', 'a longer timeout; segment.peers() shows who is there']],
  ],
  [
    'ERR_MEMMAP_DEADLOCK',
    'memmap',
    'the thread would wait for itself',
    [['lockSync by the thread that holds the lock', 'unlock first, or lock() for another task']],
  ],
  [
    'ERR_MEMMAP_ENCODING',
    'memmap',
    'an expression was to be matched against bytes that are not UTF-8 text',
    [['another encoding, or no text at all', "encoding: 'latin1' matches the bytes as they are"]],
  ],
  [
    'ERR_MEMMAP_STALE_INDEX',
    'memmap',
    'the line index is not of the text that is there now',
    [
      ['the file has changed since the index was built', 'LineIndex.build(mapping)'],
      ['the saved index is of another file or part, or damaged', 'build and save it again'],
    ],
  ],
  [
    'ERR_MEMMAP_WORKER',
    'memmap',
    'the function of mapParallel could not do its work on a slice',
    [
      ['the module cannot be imported, or its default export is no function', 'look at cause'],
      ['the function threw, or its result cannot be cloned', 'look at cause'],
      ['the worker thread died', 'too little memory, or process.exit in the module'],
    ],
  ],
  [
    'ERR_INVALID_ARG_TYPE',
    'memmap',
    'an argument is of the wrong kind',
    [['a string for a number, null for an object', 'the message names what is expected']],
  ],
  [
    'ERR_OUT_OF_RANGE',
    'memmap',
    'an argument is of the right kind and not possible',
    [['negative, fractional, beyond the end, or not aligned', 'the message names the bounds']],
  ],
  [
    'SIGBUS',
    'signal',
    'the object behind a mapped page could not give it; memmap makes a fault of it',
    [
      ['the file was cut', 'ERR_MEMMAP_TRUNCATED'],
      ['the disk is full or failed', 'ERR_MEMMAP_IO'],
      ['huge pages: the pool ran out at the first touch', 'reserve them: populate'],
    ],
  ],
  [
    'SIGSEGV',
    'signal',
    'the memory may not be used like this, or is not mapped; memmap makes a fault of its own',
    [
      ['a store into read-only memory', 'ERR_MEMMAP_READ_ONLY'],
      ["protect('none')", 'ERR_MEMMAP_NO_ACCESS'],
      ['use after munmap, by other native code', 'not of memmap: its addresses stay reserved'],
    ],
  ],
];

export const words: readonly (readonly [term: string, meaning: string])[] = [
  [
    'page',
    'the unit of mapping, protection and faults: 4 KiB on most machines, 16 or 64 on others',
  ],
  [
    'huge page',
    'a page of the size of a whole table of pages (2 MiB with pages of 4 KiB), or more',
  ],
  ['THP', 'transparent huge page: the kernel uses one by itself where it fits (MADV_HUGEPAGE)'],
  ['hugetlb', 'huge pages of a pool that is reserved by hand; smaps leaves them out of Rss'],
  ['folio', 'a block of pages that the page cache keeps together; dirty is kept per folio'],
  ['page cache', 'pages of files in memory, whether or not anybody maps them'],
  ['resident', 'in memory. In the page cache and in a page table are two different things'],
  ['VmSize', 'address space that is mapped, whether or not anything of it is in memory'],
  [
    'VmRSS',
    'pages in the page tables of the process: RssAnon + RssFile + RssShmem, without hugetlb',
  ],
  ['RssAnon', 'anonymous pages: heaps, stacks, and private copies of pages of files'],
  ['RssFile', 'pages of files in the page tables; they can leave when memory is short'],
  [
    'RssShmem',
    'pages of shared memory: memfd, /dev/shm, shared anonymous; they leave only to swap',
  ],
  ['PSS', 'proportional set size: each page divided by how many processes map it'],
  ['USS', 'unique set size: pages that this process alone maps; what its end would free'],
  ['VmLck', 'locked address space; smaps calls Locked only the share of this process of it'],
  ['minor fault', 'a page that was not in the page table and did not have to be waited for'],
  ['major fault', 'a page that had to be waited for: from a disk, or unpacked by zram'],
  ['readahead', 'pages that are read with the one that was asked for; read_ahead_kb sets how many'],
  ['fault-around', 'pages of the page cache that are mapped with the one that was touched (16)'],
  ['dirty', 'changed since it was last written to the disk'],
  ['writeback', 'on its way to the disk'],
  ['copy on write', 'a private page that is shared until the first store makes a copy of it'],
  ['overcommit', 'promising more memory than there is; vm.overcommit_memory decides how much'],
  ['OOM', 'out of memory: the kernel ends a process to have memory again'],
  ['swap', 'a place on a disk for anonymous and shared memory'],
  ['zram', 'swap in packed memory: its faults are major and touch no disk'],
  ['PFN', 'page frame number: which page of the memory of the machine it is'],
  ['PGD', 'the top table of the page tables; its entries lead to the next one'],
  ['P4D', 'the second table, where there are five (la57)'],
  ['PUD', 'a table whose entry can be a page of 1 GiB'],
  ['PMD', 'a table whose entry can be a page of 2 MiB'],
  ['PTE', 'the last table, whose entries are the ordinary pages'],
  ['mapcount', 'how many page tables map a page frame'],
  ['memfd', 'a file without a name that lives in memory (memfd_create)'],
  ['soft-dirty', 'a mark on pages that were stored to; many kernels are built without it'],
  ['userfaultfd', 'a way to be told of faults; with write protection it tells who was stored to'],
  ['max_map_count', 'how many mappings a process may have (vm.max_map_count, 65530 as a rule)'],
];
