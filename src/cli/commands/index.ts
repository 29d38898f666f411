/**
 * The commands: their names, what they are for, and where they are. A module is loaded when its
 * command is called; `--help` and `completion` load all.
 */
import type { CommandEntry } from '../command.ts';

export const commands: readonly CommandEntry[] = [
  {
    name: 'cache',
    summary: 'which parts of files are in memory',
    load: async () => (await import('./cache.ts')).cache,
  },
  {
    name: 'warm',
    summary: 'bring files into memory, and look whether they came',
    load: async () => (await import('./warm.ts')).warm,
  },
  {
    name: 'evict',
    summary: 'put files out of memory, and tell what stayed and why',
    load: async () => (await import('./evict.ts')).evict,
  },
  {
    name: 'lock',
    summary: 'keep files in memory while this or a command runs',
    load: async () => (await import('./lock.ts')).lock,
  },
  {
    name: 'maps',
    summary: 'where the memory of a process goes',
    load: async () => (await import('./maps.ts')).maps,
  },
  {
    name: 'addr',
    summary: 'how an address becomes a page, and what the kernel knows of it',
    load: async () => (await import('./addr.ts')).addr,
  },
  {
    name: 'watch',
    summary: 'page faults and memory of a process as time goes by',
    load: async () => (await import('./watch.ts')).watch,
  },
  {
    name: 'compare',
    summary: 'which pages two processes share, and which were copied',
    load: async () => (await import('./compare.ts')).compare,
  },
  {
    name: 'find',
    summary: 'look for a text or bytes in a huge file',
    load: async () => (await import('./find.ts')).find,
  },
  {
    name: 'count',
    summary: 'count the lines, words or bytes of a huge file',
    load: async () => (await import('./count.ts')).count,
  },
  {
    name: 'doctor',
    summary: 'limits and obstacles of this machine, a file or a process, with cures',
    load: async () => (await import('./doctor.ts')).doctor,
  },
  {
    name: 'explain',
    summary: 'what an error or a word means, and what to do',
    load: async () => (await import('./explain.ts')).explainCommand,
  },
  {
    name: 'snapshot',
    summary: 'write down the memory of a process as JSON',
    load: async () => (await import('./snapshot.ts')).snapshotCommand,
  },
  {
    name: 'diff',
    summary: 'what changed between two snapshots',
    load: async () => (await import('./diff.ts')).diffCommand,
  },
  {
    name: 'tour',
    summary: 'memory mapping, chapter by chapter, on real files',
    load: async () => (await import('./tour.ts')).tour,
  },
  {
    name: 'completion',
    summary: 'completion for bash, zsh or fish',
    load: async () => (await import('./completion.ts')).completionOf(commands),
  },
];
