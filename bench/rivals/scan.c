/* What memory gives, for bench/scan.ts: reads every byte of a file that is mapped and in memory, and
 * does nothing with them. Answers "read <path>" on standard input with milliseconds. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef uint64_t lanes __attribute__((vector_size(64), aligned(1)));

/* For each instruction set a copy, chosen when the program starts. */
__attribute__((target_clones("avx512f", "avx2", "default"))) static uint64_t fold(const char *bytes,
                                                                               size_t length) {
  lanes first = {0}, second = {0};
  for (size_t at = 0; at + 128 <= length; at += 128) {
    first ^= *(const lanes *)(bytes + at);
    second ^= *(const lanes *)(bytes + at + 64);
  }
  first ^= second;
  uint64_t sum = 0;
  for (int i = 0; i < 8; i++) sum ^= first[i];
  return sum;
}

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

int main(void) {
  char path[4096];
  setvbuf(stdout, NULL, _IOLBF, 0);
  while (scanf(" read %4095s", path) == 1) {
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) return 1;
    size_t length = (size_t)status.st_size;
    char *bytes = mmap(NULL, length, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (bytes == MAP_FAILED) return 1;
    volatile uint64_t sink = fold(bytes, length);
    double start = now_ms();
    sink = fold(bytes, length);
    printf("%.3f\n", now_ms() - start);
    (void)sink;
    munmap(bytes, length);
    close(fd);
  }
  return 0;
}
