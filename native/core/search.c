/*
 * search.c - StringZilla's kernels, and one of our own that counts a byte.
 *
 * Each kernel is compiled for its instruction set by a target attribute; which ones the processor
 * has is asked once. Below AVX2 the portable ones run. Text may change while it is searched:
 * kernels load each byte as often as they like and follow no pointer or length that they find in it.
 */
#include "core/search.h"

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

/* -- choosing ---------------------------------------------------------------------------------- */

struct kernels {
  sz_find_t first, last;
  size_t (*count)(const char *text, size_t length, char byte);
};

static const struct kernels *choose(void) {
#if defined(__x86_64__)
  static const struct kernels skylake = {sz_find_skylake, sz_rfind_skylake, count_avx512};
  static const struct kernels haswell = {sz_find_haswell, sz_rfind_haswell, count_avx2};
  bool has_bits = __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                  __builtin_cpu_supports("lzcnt");
  if (has_bits && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw")) {
    return &skylake;
  }
  if (has_bits && __builtin_cpu_supports("avx2")) return &haswell;
#elif SZ_USE_NEON
  static const struct kernels neon = {sz_find_neon, sz_rfind_neon, count_baseline};
  return &neon;
#endif
#if !SZ_USE_NEON
  static const struct kernels serial = {sz_find_serial, sz_rfind_serial, count_baseline};
  return &serial;
#endif
}

static const struct kernels *kernels(void) {
  static const struct kernels *_Atomic chosen;
  const struct kernels *now = chosen;
  if (!now) chosen = now = choose();
  return now;
}

const char *search_first(const char *text, size_t text_bytes, const char *pattern,
                         size_t pattern_bytes) {
  return kernels()->first(text, text_bytes, pattern, pattern_bytes);
}

const char *search_last(const char *text, size_t text_bytes, const char *pattern,
                        size_t pattern_bytes) {
  return kernels()->last(text, text_bytes, pattern, pattern_bytes);
}

size_t search_count(const char *text, size_t text_bytes, char byte) {
  return kernels()->count(text, text_bytes, byte);
}
