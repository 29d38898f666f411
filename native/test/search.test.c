/*
 * search.test.c - every kernel against a naive search, with nothing readable around the text.
 */
#include "core/search.h"

#include <sys/mman.h>
#include <unistd.h>

#include "check.h"

enum { SPACE = 1 << 16, LETTERS = 6, ROUNDS = 20000, LONGEST = 5000 };

static const char *naive_first(const char *text, size_t length, const char *pattern, size_t bytes) {
  for (size_t at = 0; at + bytes <= length; at++) {
    if (memcmp(text + at, pattern, bytes) == 0) return text + at;
  }
  return NULL;
}

static const char *naive_last(const char *text, size_t length, const char *pattern, size_t bytes) {
  for (size_t at = length + 1; at-- > bytes;) {
    if (memcmp(text + at - bytes, pattern, bytes) == 0) return text + at - bytes;
  }
  return NULL;
}

static size_t naive_count(const char *text, size_t length, char byte) {
  size_t count = 0;
  for (size_t at = 0; at < length; at++) count += text[at] == byte;
  return count;
}

/* Readable memory between two pages that are not. */
static char *make_space(void) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  char *memory = mmap(NULL, SPACE + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED);
  CHECK_EQUAL(mprotect(memory + page, SPACE, PROT_READ | PROT_WRITE), 0);
  return memory + page;
}

/* Few letters, zero and such with a high bit among them, so that there is much to be found. */
static void fill(char *bytes, size_t length, size_t letters) {
  static const unsigned char alphabet[LETTERS] = {0, 0xff, 0x80, 0x7f, 1, 'a'};
  for (size_t i = 0; i < length; i++) bytes[i] = (char)alphabet[random_below(letters)];
}

static void check_one(const char *text, size_t length, const char *pattern, size_t bytes) {
  CHECK(search_first(text, length, pattern, bytes) == naive_first(text, length, pattern, bytes));
  CHECK(search_last(text, length, pattern, bytes) == naive_last(text, length, pattern, bytes));
  CHECK_EQUAL(search_count(text, length, pattern[0]), naive_count(text, length, pattern[0]));
}

static void at_the_edges(void) {
  char *space = make_space();
  static char pattern[LONGEST];
  size_t kernels = search_use(0);
  for (int round = 0; round < ROUNDS; round++) {
    search_use((size_t)round % kernels);
    size_t length = random_below(round % 8 ? 400 : 12000), letters = 1 + random_below(LETTERS);
    size_t bytes = 1 + random_below(random_below(4) ? 9 : round % 8 ? 300 : LONGEST);
    char *text = random_below(2) ? space : space + SPACE - length;
    fill(text, length, letters);
    fill(pattern, bytes, letters);
    if (random_below(2) && bytes <= length) {
      memcpy(pattern, text + random_below(length - bytes + 1), bytes);
    }
    check_one(text, length, pattern, bytes);
  }
}

/* What is not there, of nothing but zeros: the registers are filled up with them. */
static void zeros_in_ones(void) {
  char *space = make_space();
  static const char zeros[300];
  size_t kernels = search_use(0);
  for (size_t kernel = 0; kernel < kernels; kernel++) {
    search_use(kernel);
    for (size_t length = 0; length < 400; length++) {
      char *text = space + SPACE - length;
      memset(text, 1, length);
      for (size_t bytes = 1; bytes < sizeof(zeros); bytes += 1 + bytes / 8) {
        check_one(text, length, zeros, bytes);
      }
    }
  }
}

static const struct check_case cases[] = {
  {"at the edges", at_the_edges},
  {"zeros in ones", zeros_in_ones},
};
CHECK_MAIN(cases)
