/*
 * search.h - bytes in memory: the first and last occurrence of a pattern, the count of a byte.
 * The best instructions of the processor are chosen when the first is called.
 */
#ifndef MEMMAP_SEARCH_H
#define MEMMAP_SEARCH_H

#include <stddef.h>

/* NULL: there is none. pre: pattern_bytes > 0 */
const char *search_first(const char *text, size_t text_bytes, const char *pattern,
                         size_t pattern_bytes);
const char *search_last(const char *text, size_t text_bytes, const char *pattern,
                        size_t pattern_bytes);
size_t search_count(const char *text, size_t text_bytes, char byte);

/* Uses other instructions than the best, while nobody searches: a number below the count, which is
 * returned, of what this processor can run. For tests. */
size_t search_use(size_t number);

#endif
