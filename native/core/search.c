/*
 * search.c - StringZilla's vector loops, the ends of texts, and a kernel that counts a byte.
 *
 * Each kernel is compiled for its instruction set by a target attribute; which ones the processor
 * has is asked once. Below AVX2 the C library searches. Text may change while it is searched:
 * kernels load each byte as often as they like and follow no pointer or length that they find in it.
 */
#include "core/search.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Only the kernels: which of them runs is decided here. */
#define SZ_DYNAMIC_DISPATCH 1
#define SZ_USE_MISALIGNED_LOADS 0 /* undefined in C; the vector kernels have their own loads */
#if defined(__x86_64__)
#define SZ_USE_HASWELL 1
#define SZ_USE_SKYLAKE 1
#endif
#include <stringzilla/find.h>

/* -- counting ---------------------------------------------------------------------------------- */

typedef unsigned char lanes __attribute__((vector_size(64)));

/* The lanes of `sum` count up to 255 each before they are added up. GCC and clang make of the
 * 64-byte vectors what the instruction set has. */
#define DEFINE_COUNT(name, attributes)                                                  \
  attributes static size_t name(const char *text, size_t length, char byte) {           \
    size_t count = 0, at = 0;                                                           \
    while (length - at >= sizeof(lanes)) {                                              \
      size_t rounds = (length - at) / sizeof(lanes);                                    \
      lanes sum = {0};                                                                  \
      if (rounds > 255) rounds = 255;                                                   \
      for (size_t round = 0; round < rounds; round++, at += sizeof(lanes)) {            \
        lanes loaded;                                                                   \
        memcpy(&loaded, text + at, sizeof(lanes));                                      \
        sum -= (lanes)(loaded == (unsigned char)byte);                                  \
      }                                                                                 \
      for (size_t lane = 0; lane < sizeof(lanes); lane++) count += sum[lane];           \
    }                                                                                   \
    for (; at < length; at++) count += text[at] == byte;                                \
    return count;                                                                       \
  }

DEFINE_COUNT(count_baseline, )
#if defined(__x86_64__)
DEFINE_COUNT(count_avx2, __attribute__((target("avx2"))))
DEFINE_COUNT(count_avx512, __attribute__((target("avx512f,avx512bw"))))
#endif

/* -- finding ----------------------------------------------------------------------------------- */

/* The first of the occurrences that begin at [from, places), one by one. */
static const char *first_by_bytes(const char *text, size_t from, size_t places, const char *pattern,
                                  size_t pattern_bytes) {
  while (from < places) {
    const char *found = memchr(text + from, pattern[0], places - from);
    if (!found || memcmp(found, pattern, pattern_bytes) == 0) return found;
    from = (size_t)(found - text) + 1;
  }
  return NULL;
}

/* The last of the occurrences that begin at [0, places), one by one. */
static const char *last_by_bytes(const char *text, size_t places, const char *pattern,
                                 size_t pattern_bytes) {
  while (places > 0) {
    const char *found = memrchr(text, pattern[0], places);
    if (!found || memcmp(found, pattern, pattern_bytes) == 0) return found;
    places = (size_t)(found - text);
  }
  return NULL;
}

static const char *first_baseline(const char *text, size_t text_bytes, const char *pattern,
                                  size_t pattern_bytes) {
  return memmem(text, text_bytes, pattern, pattern_bytes); /* linear, by two ways */
}

static const char *last_baseline(const char *text, size_t text_bytes, const char *pattern,
                                 size_t pattern_bytes) {
  if (text_bytes < pattern_bytes) return NULL;
  return last_by_bytes(text, text_bytes - pattern_bytes + 1, pattern, pattern_bytes);
}

/* Of StringZilla 4.2.3 only the loops over whole registers are used. At the end of a text its AVX-512
 * kernels compare what they have not loaded as if it were zeros, and read behind the end when the
 * pattern is of zeros; the others hand the end to portable ones, which miss patterns of two bytes.
 * So a kernel gets as many places as fill its registers (`lanes`), and one more where it would
 * leave the last of them to the portable ones (`spare`); the few others are looked at here. */
#define DEFINE_FIND(name, first_kernel, last_kernel, lanes, spare)                                  \
  static const char *first_##name(const char *text, size_t text_bytes, const char *pattern,        \
                                  size_t pattern_bytes) {                                          \
    if (text_bytes < pattern_bytes) return NULL;                                                   \
    size_t places = text_bytes - pattern_bytes + 1, whole = (places - (spare)) / (lanes) * (lanes); \
    if (whole) {                                                                                   \
      const char *found = first_kernel(text, whole + (spare) + pattern_bytes - 1, pattern,         \
                                       pattern_bytes);                                             \
      if (found && found < text + whole) return found;                                             \
    }                                                                                              \
    return first_by_bytes(text, whole, places, pattern, pattern_bytes);                            \
  }                                                                                                \
  static const char *last_##name(const char *text, size_t text_bytes, const char *pattern,         \
                                 size_t pattern_bytes) {                                           \
    if (text_bytes < pattern_bytes) return NULL;                                                   \
    size_t places = text_bytes - pattern_bytes + 1, whole = (places - (spare)) / (lanes) * (lanes); \
    size_t rest = places - whole;                                                                  \
    if (whole) {                                                                                   \
      const char *found = last_kernel(text + rest - (spare), text_bytes - rest + (spare), pattern, \
                                      pattern_bytes);                                              \
      if (found && found >= text + rest) return found;                                             \
    }                                                                                              \
    return last_by_bytes(text, rest, pattern, pattern_bytes);                                      \
  }

#if defined(__x86_64__)
DEFINE_FIND(avx512, sz_find_skylake, sz_rfind_skylake, 64, 0)
DEFINE_FIND(avx2, sz_find_haswell, sz_rfind_haswell, 32, 1)
#endif
#if SZ_USE_NEON
DEFINE_FIND(neon, sz_find_neon, sz_rfind_neon, 16, 1)
#endif

/* Above this the kernels, which compare whole patterns wherever a few bytes agree, could take as
 * long as text and pattern multiplied. */
enum { LONG_PATTERN_BYTES = 1024 };

/* -- choosing ---------------------------------------------------------------------------------- */

typedef const char *find_function(const char *text, size_t text_bytes, const char *pattern,
                                  size_t pattern_bytes);
struct kernels {
  find_function *first, *last;
  size_t (*count)(const char *text, size_t length, char byte);
};

enum { KERNELS_MAX = 4 };

/* Those that this processor can run, the best first. */
static size_t list_kernels(struct kernels *list) {
  size_t count = 0;
#if defined(__x86_64__)
  bool has_bits = __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                  __builtin_cpu_supports("lzcnt");
  if (has_bits && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw")) {
    list[count++] = (struct kernels){first_avx512, last_avx512, count_avx512};
  }
  if (has_bits && __builtin_cpu_supports("avx2")) {
    list[count++] = (struct kernels){first_avx2, last_avx2, count_avx2};
  }
#endif
#if SZ_USE_NEON
  list[count++] = (struct kernels){first_neon, last_neon, count_baseline};
#endif
  list[count++] = (struct kernels){first_baseline, last_baseline, count_baseline};
  return count;
}

static struct kernels chosen;
static _Atomic(bool) is_chosen;

size_t search_use(size_t number) {
  struct kernels list[KERNELS_MAX];
  size_t count = list_kernels(list);
  if (number < count) chosen = list[number];
  is_chosen = true;
  return count;
}

static const struct kernels *kernels(void) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  if (is_chosen) return &chosen;
  pthread_mutex_lock(&lock);
  if (!is_chosen) search_use(0);
  pthread_mutex_unlock(&lock);
  return &chosen;
}

const char *search_first(const char *text, size_t text_bytes, const char *pattern,
                         size_t pattern_bytes) {
  if (pattern_bytes > LONG_PATTERN_BYTES) {
    return first_baseline(text, text_bytes, pattern, pattern_bytes);
  }
  return kernels()->first(text, text_bytes, pattern, pattern_bytes);
}

const char *search_last(const char *text, size_t text_bytes, const char *pattern,
                        size_t pattern_bytes) {
  return kernels()->last(text, text_bytes, pattern, pattern_bytes);
}

size_t search_count(const char *text, size_t text_bytes, char byte) {
  return kernels()->count(text, text_bytes, byte);
}
