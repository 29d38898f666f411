/**
 * The table of contents: the chapters in the order of the tour.
 */
import type { Chapter } from '../chapter.ts';
import { anonymous } from './anonymous.ts';
import { copy } from './copy.ts';
import { errors } from './errors.ts';
import { faults } from './faults.ts';
import { flush } from './flush.ts';
import { hugePages } from './huge-pages.ts';
import { lock } from './lock.ts';
import { paging } from './paging.ts';
import { protection } from './protection.ts';
import { reading } from './reading.ts';
import { scanning } from './scanning.ts';
import { sharing } from './sharing.ts';
import { sparse } from './sparse.ts';
import { writing } from './writing.ts';

export const chapters: readonly Chapter[] = [
  reading,
  writing,
  copy,
  anonymous,
  paging,
  flush,
  lock,
  protection,
  sharing,
  scanning,
  hugePages,
  sparse,
  errors,
  faults,
];
