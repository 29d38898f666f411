/* The same work in C, for bench/mapping.ts: prints one figure a line of standard input. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* open <path> <count>: microseconds for open, fstat, mmap, one load, munmap, close */
static double open_close(const char *path, long count) {
  volatile unsigned sum = 0;
  double start = now_us();
  for (long i = 0; i < count; i++) {
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    fstat(fd, &status);
    const unsigned char *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
    sum += bytes[0];
    munmap((void *)bytes, (size_t)status.st_size);
    close(fd);
  }
  return (now_us() - start) / (double)count;
}

/* random <path> <count>: milliseconds for loads of doubles at pseudo-random places, warm */
static double random_loads(const char *path, long count, double *sum) {
  struct stat status;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  fstat(fd, &status);
  const double *values = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
  uint32_t mask = (uint32_t)((size_t)status.st_size / sizeof(double) - 1), state = 1;
  double last = 0;
  for (size_t i = 0; i < (size_t)status.st_size / sizeof(double); i += 512) *sum += values[i];
  for (int round = 0; round < 2; round++) { /* the first one warms the TLB and the tables */
    state = 1;
    *sum = 0;
    double start = now_us();
    for (long i = 0; i < count; i++) {
      state = state * 1664525u + 1013904223u;
      *sum += values[(state >> 5) & mask];
    }
    last = (now_us() - start) / 1e3;
  }
  munmap((void *)values, (size_t)status.st_size);
  close(fd);
  return last;
}

int main(void) {
  char command[16], path[4096];
  long count;
  while (scanf("%15s %4095s %ld", command, path, &count) == 3) {
    double sum = 0;
    double figure = strcmp(command, "open") == 0 ? open_close(path, count)
                                                 : random_loads(path, count, &sum);
    printf("%f %f\n", figure, sum);
    fflush(stdout);
  }
  return 0;
}
