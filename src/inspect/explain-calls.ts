/**
 * The errors of each system call of memory mapping: term, meaning, and causes with their cures.
 * Sources: mmap(2), munmap(2), mremap(2), msync(2), mlock(2), mprotect(2), madvise(2), mincore(2),
 * process_madvise(2), userfaultfd(2); mm/*.c of Linux 6.18.
 */

type Causes = readonly (readonly [cause: string, cure: string])[];
type CallError = readonly [term: string, meaning: string, causes: Causes];

const lockLimit: Causes[number] = [
  'RLIMIT_MEMLOCK does not allow so much, and CAP_IPC_LOCK is missing',
  'ulimit -l, LimitMEMLOCK= in systemd, or the capability; or lock less',
];
const tooManyMaps: Causes[number] = [
  'the process has vm.max_map_count mappings; a change in the middle of one makes two more',
  'close some, or sysctl -w vm.max_map_count=N',
];
const notMapped: Causes[number] = [
  'a part of the range is not mapped',
  'look at /proc/self/maps; a Mapping never asks outside itself',
];
const misaligned: Causes[number] = [
  'address or length is not a multiple of the page, or of the huge page of that mapping',
  'round to the page; memmap does, and refuses parts of pages where rounding would lose data',
];

/** Of mlock and of mlock2. */
const lockErrors: readonly CallError[] = [
  [
    'EAGAIN',
    'some of the pages could not be brought in',
    [['the file is shorter than its mapping, or memory is short', 'resize(), or lock less']],
  ],
  ['ENOMEM', 'the limit of locked memory, or of mappings', [lockLimit, tooManyMaps, notMapped]],
  ['EPERM', 'nothing may be locked', [['RLIMIT_MEMLOCK is 0', lockLimit[1]]]],
];

export const calls: readonly { call: string; errors: readonly CallError[] }[] = [
  {
    call: 'mmap',
    errors: [
      [
        'EACCES',
        'the descriptor does not allow this mapping',
        [
          [
            'the file was opened for writing only: a mapping reads its pages',
            "open it 'r' or 'r+'",
          ],
          ["access 'write' on a descriptor opened for reading", "open it 'r+', or access 'copy'"],
          ['the file is append-only', 'chattr -a, or write(2)'],
          ['write access to a file that is sealed (F_SEAL_WRITE)', "access 'read' or 'copy'"],
        ],
      ],
      [
        'EAGAIN',
        'too much memory is locked, or the file is locked',
        [lockLimit, ['a mandatory lock is on the file', 'wait for its owner to give it up']],
      ],
      [
        'EBADF',
        'the descriptor is not open',
        [['it was closed, or is of another process', 'map() keeps one of its own']],
      ],
      [
        'EEXIST',
        'something is mapped at the address that was asked for',
        [['MAP_FIXED_NOREPLACE never replaces', 'leave out address, or look for a gap']],
      ],
      [
        'EINVAL',
        'the arguments do not fit together',
        [
          ['length 0', 'memmap gives an empty mapping instead'],
          ['the offset is not a multiple of the page', 'memmap takes any offset'],
          ['a file of a hugetlbfs: offset or length is not of its huge pages', 'round to them'],
          ['an address that this machine has not', 'leave out address'],
        ],
      ],
      [
        'ENFILE',
        'the system has too many open files',
        [['fs.file-max is reached', 'close files, or raise it']],
      ],
      [
        'ENODEV',
        'what was opened has no pages',
        [
          ['a directory, pipe or socket', 'read() it, or write it to a file first'],
          ['a file of /proc or /sys: its text is made when it is read', 'read() it'],
          ['a device whose driver does not map', 'read() it'],
          ['a file system that does not map (some of FUSE)', 'copy the file elsewhere'],
        ],
      ],
      [
        'ENOMEM',
        'no memory, no address space, or no more mappings',
        [
          tooManyMaps,
          ['RLIMIT_AS (ulimit -v) is reached', 'raise it, or map less'],
          ['the system does not promise so much (vm.overcommit_memory)', 'noReserve, or map less'],
          ['huge pages: the pool is empty', 'sysctl -w vm.nr_hugepages=N'],
          ['RLIMIT_DATA is reached by private memory', 'raise it (ulimit -d)'],
        ],
      ],
      [
        'EOPNOTSUPP',
        'the file system cannot do this',
        [['MAP_SYNC without DAX, or a flag that it does not know', 'flush() instead']],
      ],
      [
        'EOVERFLOW',
        'the last byte is beyond what pages can number',
        [['offset and length together are too large', 'map a part']],
      ],
      [
        'EPERM',
        'not permitted',
        [
          ['executable memory of a file system mounted noexec', 'remount, or copy the file'],
          ['the file is sealed', "access 'read' or 'copy'"],
          ['the address is below vm.mmap_min_addr', 'leave out address'],
          ['huge pages need CAP_IPC_LOCK or the group of vm.hugetlb_shm_group', 'join the group'],
        ],
      ],
      ['ETXTBSY', 'the file is a program that runs', [['MAP_DENYWRITE of old systems', 'copy it']]],
    ],
  },
  {
    call: 'munmap',
    errors: [
      ['EINVAL', 'the range is none', [misaligned, ['length 0', 'nothing to do']]],
      ['ENOMEM', 'a hole in the middle would make one mapping too many', [tooManyMaps]],
      ['EPERM', 'the mapping is sealed (mseal)', [['it was sealed on purpose', 'it stays']]],
    ],
  },
  {
    call: 'mremap',
    errors: [
      ['EAGAIN', 'the locked memory would grow beyond its limit', [lockLimit]],
      ['EFAULT', 'the range is not one mapping', [notMapped]],
      ['EINVAL', 'the arguments do not fit together', [misaligned]],
      [
        'ENOMEM',
        'it cannot grow here, or nowhere',
        [['the place behind it is taken', 'map with a capacity'], tooManyMaps],
      ],
    ],
  },
  {
    call: 'msync',
    errors: [
      [
        'EBUSY',
        'a locked page cannot be invalidated',
        [['invalidate on a range that is locked', 'unlock() it first']],
      ],
      ['EINVAL', 'flags or alignment', [misaligned]],
      [
        'EIO',
        'the disk failed; stores may be lost',
        [['a bad device, or the connection to it', 'look at the kernel log; write elsewhere']],
      ],
      ['ENOMEM', 'a part of the range is not mapped', [notMapped]],
      [
        'ENOSPC',
        'there is no room for what was stored',
        [
          [
            'stores into holes of the file need blocks',
            'free space; extend: true allocates before',
          ],
        ],
      ],
    ],
  },
  {
    call: 'mlock',
    errors: [...lockErrors, ['EINVAL', 'address and length overflow', [misaligned]]],
  },
  {
    call: 'mlock2',
    errors: [
      ...lockErrors,
      [
        'EINVAL',
        'not a range, or a flag that the kernel does not know',
        [['only MLOCK_ONFAULT is known', 'leave out the others'], misaligned],
      ],
      [
        'ENOSYS',
        'this kernel has it not',
        [['older than Linux 4.4', 'mlock, which brings all pages in']],
      ],
    ],
  },
  {
    call: 'munlock',
    errors: [
      [
        'EAGAIN',
        'some of the range could not be unlocked',
        [['a resource of the kernel was not to be had', 'again, later']],
      ],
      ['EINVAL', 'address and length overflow', [misaligned]],
      ['ENOMEM', 'a part is not mapped, or one mapping too many', [notMapped, tooManyMaps]],
    ],
  },
  {
    call: 'mlockall',
    errors: [
      ['EINVAL', 'neither current nor future', [['no flag was given', 'give one']]],
      ['ENOMEM', 'the process has more than it may lock', [lockLimit]],
      ['EPERM', 'nothing may be locked', [lockLimit]],
    ],
  },
  {
    call: 'munlockall',
    errors: [
      [
        'EPERM',
        'only privileged processes might, before Linux 2.6.9',
        [['an old kernel, and CAP_IPC_LOCK is missing', 'a newer kernel, or the capability']],
      ],
    ],
  },
  {
    call: 'mprotect',
    errors: [
      [
        'EACCES',
        'the mapping cannot be given this right',
        [
          ['storing to a shared mapping of a file that was opened for reading', "access 'write'"],
          [
            'writable and executable at once where that is forbidden (SELinux)',
            'one, then the other',
          ],
        ],
      ],
      ['EINVAL', 'not a range of whole pages', [misaligned]],
      ['ENOMEM', 'a part is not mapped, or one mapping too many', [tooManyMaps, notMapped]],
      ['EPERM', 'the mapping is sealed (mseal)', [['it was sealed on purpose', 'it stays']]],
    ],
  },
  {
    call: 'madvise',
    errors: [
      [
        'EACCES',
        'the mapping may not be written',
        [["'remove' punches a hole into the file: of shared, writable memory", "access 'write'"]],
      ],
      [
        'EAGAIN',
        'a resource was not to be had for the moment',
        [['memory is short, or the page is in use', 'again, later']],
      ],
      [
        'EBADF',
        'there is no file behind it',
        [['advice about a file for anonymous memory', 'only on mappings of files']],
      ],
      [
        'EBUSY',
        "'collapse': there was no huge page for this process",
        [
          ['the memory of the control group is used up', 'raise its limit, or free some'],
          ['the pages are in use for the moment (I/O, pinned by a driver)', 'again, later'],
        ],
      ],
      [
        'EFAULT',
        'the pages cannot be brought in',
        [['the file is shorter than its mapping', 'resize() to its size'], notMapped],
      ],
      [
        'EHWPOISON',
        'a page lies in broken memory',
        [
          [
            'populate met a page that the processor reported as damaged',
            'look at the kernel log; write the range anew, replace the module',
          ],
        ],
      ],
      [
        'EINVAL',
        'this memory, or this kernel, does not take this advice',
        [
          ['a locked page cannot be discarded', 'unlock() it first'],
          ["'free' is for private anonymous memory", "'dontneed'"],
          ['an advice that is newer than the kernel', 'look with diagnose()'],
          ['transparent huge pages are not in this kernel', "hugePages: '2MiB'"],
        ],
      ],
      [
        'EIO',
        'a page could not be read',
        [
          ['the disk failed', 'look at the kernel log'],
          ["'willneed' beyond the largest resident set (RLIMIT_RSS, old kernels)", 'ask for less'],
        ],
      ],
      [
        'ENOMEM',
        'a part is not mapped, or memory is short',
        [notMapped, tooManyMaps, ['memory is used up', 'ask for less']],
      ],
      [
        'EPERM',
        'not permitted',
        [
          ['discarding what is sealed or read-only memory of a sealed mapping', 'it stays'],
          ["'hwpoison' and 'soft_offline' take CAP_SYS_ADMIN", 'only for tests of the kernel'],
        ],
      ],
    ],
  },
  {
    call: 'process_madvise',
    errors: [
      [
        'EACCES',
        'the process may not be looked at',
        [['it is of another user, or has capabilities', 'CAP_SYS_PTRACE']],
      ],
      [
        'EINVAL',
        'not for this memory, or not an advice for other processes',
        [
          ['the memory is locked, or of the pool of huge pages', 'unlock it there'],
          ['an advice that changes what is in memory', 'only cold, pageout, willneed and collapse'],
        ],
      ],
      [
        'EBADF',
        'the descriptor is of no process',
        [['it was closed, or is of a file', 'pidfd_open()']],
      ],
      ['EFAULT', 'the list of ranges cannot be read', [notMapped]],
      ['ENOMEM', 'a part of the range is not mapped there', [notMapped]],
      ['EPERM', 'not permitted', [['it takes rights over the process', 'CAP_SYS_NICE']]],
      ['ESRCH', 'there is no such process', [['it has ended', 'nothing to do']]],
    ],
  },
  {
    call: 'mincore',
    errors: [
      ['EAGAIN', 'the kernel is out of memory', [['for the moment', 'again, later']]],
      ['EFAULT', 'there is no place for the answer', [notMapped]],
      ['EINVAL', 'not the address of a page', [misaligned]],
      ['ENOMEM', 'a part of the range is not mapped', [notMapped]],
    ],
  },
  {
    call: 'cachestat',
    errors: [
      [
        'EPERM',
        'the kernel tells only those who own or may write the file',
        [['the file is of another user', 'run as root, or as the owner']],
      ],
      ['EOPNOTSUPP', 'a file of a hugetlbfs', [['it has no page cache', 'mincore tells']]],
      ['ENOSYS', 'this kernel has it not', [['older than Linux 6.5', 'mincore tells less']]],
    ],
  },
  {
    call: 'userfaultfd',
    errors: [
      [
        'EPERM',
        'not permitted',
        [['faults of the kernel are for root; a filter of a container forbids all', 'run outside']],
      ],
      ['ENOSYS', 'this kernel has it not', [['older than Linux 6.7, or built without', 'a newer']]],
    ],
  },
  {
    call: 'fallocate',
    errors: [
      [
        'ENOSPC',
        'the disk is full',
        [['no room for the range', 'free space; nothing was changed']],
      ],
      ['EOPNOTSUPP', 'the file system cannot', [['it has no such call', 'memmap writes zeros']]],
      ['EFBIG', 'the file would be too large', [['RLIMIT_FSIZE, or the file system', 'ulimit -f']]],
    ],
  },
  {
    call: 'ftruncate',
    errors: [
      [
        'EPERM',
        'the file is sealed or append-only',
        [['F_SEAL_SHRINK keeps its size', 'it stays']],
      ],
      ['EINVAL', 'not a file, or not open for writing', [['the descriptor', "open it 'r+'"]]],
      ['EFBIG', 'the file would be too large', [['RLIMIT_FSIZE, or the file system', 'ulimit -f']]],
      ['ETXTBSY', 'the file is a program that runs', [['it is being executed', 'copy it']]],
    ],
  },
  {
    call: 'open',
    errors: [
      [
        'EACCES',
        'the mode of the file forbids it',
        [['user, group or mode', 'chmod, or another user']],
      ],
      ['EISDIR', 'it is a directory', [['directories cannot be written', 'name a file in it']]],
      [
        'EMFILE',
        'the process has too many open files',
        [['RLIMIT_NOFILE', 'ulimit -n; close some']],
      ],
      ['ENOENT', 'there is no such file', [['a wrong name, or a link to nothing', 'create: true']]],
      [
        'ENXIO',
        'nobody is behind it',
        [['a pipe without a reader, or a device', 'not to be mapped']],
      ],
      ['EROFS', 'the file system is read-only', [['mounted ro', "access 'read' or 'copy'"]]],
    ],
  },
];
