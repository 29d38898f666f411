/*
 * signal.test.c - whose a signal is, and the copy that survives faults.
 */
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "mapping.h"

/* -- what is not ours dies as it would have died ----------------------------------------------- */

/* Handlers are installed with the first mapping. */
static struct mapping install(void) {
  struct mapping mapping = map_memory(pages(4), 0);
  CHECK_EQUAL(memmap_protect(mapping.region, 0, pages(1), MEMMAP_READ), 0);
  store(mapping.at, 1);
  collect(&mapping, MEMMAP_FAULT_READ_ONLY, 1); /* and they work */
  return mapping;
}

/* What the compiler and its analyzer cannot see through. */
static uintptr_t null(void) { return (uintptr_t)strtoull("0", NULL, 10); }

static void store_to_null(void) { install(), store(null(), 1); }
static void store_near_null(void) { install(), store(null() + 4000, 1); }
static void load_without_canonical_form(void) { install(), load((uintptr_t)1 << 62); }

static void *store_to_null_in_thread(void *unused) {
  (void)unused;
  store(null(), 1);
  return NULL;
}
static void store_to_null_on_a_thread(void) {
  pthread_t thread;
  install();
  pthread_create(&thread, NULL, store_to_null_in_thread, NULL);
  pthread_join(thread, NULL);
}

static void store_to_foreign_read_only(void) {
  install();
  store(address_of(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)), 1);
}

static void load_behind_a_foreign_file(void) {
  int fd = make_file(1);
  install();
  load(address_of(mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0)) + 4096);
}

static void store_after_unmap(void) {
  struct mapping mapping = install();
  unmap(&mapping);
  store(mapping.at, 1);
}

static void jump_into_a_mapping(void) {
  struct mapping mapping = install();
  void (*function)(void);
  memcpy(&function, &mapping.at, sizeof(function));
  function();
}

/* Somebody has unmapped a page of ours: nothing can be done, and it must not hang. */
static void load_from_a_hole(void) {
  struct mapping mapping = install();
  munmap((void *)(mapping.at + pages(2)), pages(1));
  load(mapping.at + pages(2));
}

static void kill_by_bus(void) { install(), kill(getpid(), SIGBUS), pause(); }
static void kill_by_segv(void) { install(), kill(getpid(), SIGSEGV), pause(); }
static void raise_bus(void) { install(), raise(SIGBUS); }
static void kill_thread_by_segv(void) {
  install();
  syscall(SYS_tgkill, getpid(), gettid(), SIGSEGV);
}

static void not_ours(void) {
  CHECK_EQUAL(in_child(store_to_null), -SIGSEGV);
  CHECK_EQUAL(in_child(store_near_null), -SIGSEGV);
  CHECK_EQUAL(in_child(load_without_canonical_form), -SIGSEGV);
  CHECK_EQUAL(in_child(store_to_null_on_a_thread), -SIGSEGV);
  CHECK_EQUAL(in_child(store_to_foreign_read_only), -SIGSEGV);
  CHECK_EQUAL(in_child(load_behind_a_foreign_file), -SIGBUS);
  CHECK_EQUAL(in_child(store_after_unmap), -SIGSEGV);
  CHECK_EQUAL(in_child(jump_into_a_mapping), -SIGSEGV);
  CHECK_EQUAL(in_child(load_from_a_hole), -SIGSEGV);
}

static void sent_by_somebody(void) {
  CHECK_EQUAL(in_child(kill_by_bus), -SIGBUS);
  CHECK_EQUAL(in_child(kill_by_segv), -SIGSEGV);
  CHECK_EQUAL(in_child(raise_bus), -SIGBUS);
  CHECK_EQUAL(in_child(kill_thread_by_segv), -SIGSEGV);
}

/* -- handlers that were there before ----------------------------------------------------------- */

static volatile sig_atomic_t former_calls;
static volatile uintptr_t former_address;

/* Makes the page that faulted, so that the instruction can go on. */
static void repair(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)context;
  former_calls++;
  former_address = address_of(info->si_addr);
  mprotect((void *)(former_address & ~(uintptr_t)4095), 4096, PROT_READ | PROT_WRITE);
}
static void count_call(int signal) { (void)signal, former_calls++; }

static void install_former(int signal, void (*handler)(int), int flags) {
  struct sigaction action = {.sa_flags = flags};
  action.sa_handler = handler;
  sigaction(signal, &action, NULL);
}

static void former_handler(void) {
  struct sigaction action = {.sa_sigaction = repair, .sa_flags = SA_SIGINFO};
  sigaction(SIGSEGV, &action, NULL);
  install_former(SIGBUS, count_call, 0);
  struct mapping mapping = install();
  CHECK_EQUAL(former_calls, 0); /* ours are not theirs */
  uintptr_t theirs = address_of(mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  store(theirs + 8, 5);
  CHECK(former_calls == 1 && former_address == theirs + 8 && load(theirs + 8) == 5);
  raise(SIGBUS);
  CHECK_EQUAL(former_calls, 2);
  errno = 1234;
  store(mapping.at, 1);
  CHECK_EQUAL(errno, 1234);
  collect(&mapping, MEMMAP_FAULT_READ_ONLY, 1);
  CHECK_EQUAL(former_calls, 2);
}

static void fault_while_ignored(void) {
  install_former(SIGSEGV, SIG_IGN, 0);
  install();
  store(null(), 1);
}
static void sent_while_ignored(void) {
  install_former(SIGBUS, SIG_IGN, 0);
  install();
  raise(SIGBUS);
}

static void ignored_before(void) {
  CHECK_EQUAL(in_child(fault_while_ignored), -SIGSEGV); /* faults cannot be ignored */
  CHECK_EQUAL(in_child(sent_while_ignored), 0);
}

static void handlers_lost(void) {
  install();
  CHECK_EQUAL(memmap_handlers_lost(), 0);
  struct sigaction ours;
  sigaction(SIGBUS, NULL, &ours);
  install_former(SIGBUS, count_call, 0);
  CHECK_EQUAL(memmap_handlers_lost(), 1);
  sigaction(SIGBUS, &ours, NULL);
  CHECK_EQUAL(memmap_handlers_lost(), 0);
}

/* A small alternative stack, as runtimes give their threads. */
static void alternative_stack(void) {
  static uint8_t stack[16 << 10];
  stack_t alternative = {.ss_sp = stack, .ss_size = sizeof(stack)};
  CHECK_EQUAL(sigaltstack(&alternative, NULL), 0);
  install();
}

static atomic_int listener_calls;
static void listen_to_faults(void) { atomic_fetch_add(&listener_calls, 1); }

static void listener(void) {
  memmap_on_fault(listen_to_faults);
  struct mapping mapping = map_memory(pages(4), 0);
  CHECK_EQUAL(memmap_protect(mapping.region, 0, pages(4), MEMMAP_READ), 0);
  for (int round = 1; round < 4; round++) {
    store(mapping.at, 1);
    store(mapping.at + pages(2), 1); /* not told again before it was collected */
    while (atomic_load(&listener_calls) < round) usleep(1000);
    collect(&mapping, MEMMAP_FAULT_READ_ONLY, 2);
  }
  usleep(20000);
  CHECK_EQUAL(atomic_load(&listener_calls), 3);
}

/* -- copies ------------------------------------------------------------------------------------ */

enum { AROUND = 70 };

struct expected { int read_fault, write_fault; }; /* MEMMAP_FAULT_KINDS: none, not tested */

/* Copies that begin near a boundary and go beyond: exactly what is before it is copied. */
static void check_boundary(const struct mapping *mapping, uint64_t boundary,
                           struct expected expected) {
  uint8_t *buffer = malloc(2 * AROUND);
  for (uint64_t offset = boundary - AROUND; offset <= boundary; offset++) {
    for (size_t length = 1; length < 2 * AROUND; length += length < 20 ? 1 : 13) {
      uint64_t before = boundary - offset < length ? boundary - offset : length;
      int read_fault = before < length ? expected.read_fault : MEMMAP_FAULT_KINDS;
      int write_fault = before < length ? expected.write_fault : MEMMAP_FAULT_KINDS;
      struct memmap_copied copied;
      if (expected.read_fault != MEMMAP_FAULT_KINDS) {
        memset(buffer, 0xee, length);
        copied = memmap_read(mapping->region, offset, buffer, length);
        CHECK(copied.bytes == before && copied.fault == read_fault);
        for (size_t i = 0; i < length; i++) {
          CHECK_EQUAL(buffer[i], i < before ? content_at(offset + i) : 0xee);
        }
      }
      for (size_t i = 0; i < length; i++) buffer[i] = content_at(offset + i);
      copied = memmap_write(mapping->region, offset, buffer, length);
      CHECK(copied.bytes == before && copied.fault == write_fault);
    }
  }
  free(buffer);
  collect_nothing(mapping); /* copies count no faults and replace nothing */
}

/* To the byte: what is behind the end in its last page could be stored, but never comes into the
 * file. */
static void copies_at_the_end_of_the_object(void) {
  int fd = make_file(pages(3));
  struct mapping mapping = map_file(fd, MEMMAP_WRITE);
  const struct expected truncated = {MEMMAP_FAULT_TRUNCATED, MEMMAP_FAULT_TRUNCATED};
  const uint64_t sizes[] = {pages(2), pages(2) - 10, pages(1) + 100, pages(1), AROUND};
  uint8_t *buffer = malloc(pages(3));
  for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
    cut(fd, sizes[i]);
    check_boundary(&mapping, sizes[i], truncated);
    CHECK_EQUAL(memmap_read(mapping.region, 0, buffer, pages(3)).bytes, sizes[i]);
    CHECK_EQUAL(buffer[sizes[i] - 1], content_at(sizes[i] - 1));
    CHECK_EQUAL(look_at(fd).st_size, sizes[i]);
  }
  free(buffer);
}

static void copies_at_protections(void) {
  struct mapping mapping = map_memory(pages(3), 0);
  fill_memory(&mapping);
  CHECK_EQUAL(memmap_protect(mapping.region, pages(1), pages(1), MEMMAP_NONE), 0);
  check_boundary(&mapping, pages(1),
                 (struct expected){MEMMAP_FAULT_NO_ACCESS, MEMMAP_FAULT_NO_ACCESS});
  CHECK_EQUAL(memmap_protect(mapping.region, pages(1), pages(1), MEMMAP_READ), 0);
  check_boundary(&mapping, pages(1),
                 (struct expected){MEMMAP_FAULT_KINDS, MEMMAP_FAULT_READ_ONLY});
}

static void copies_with_an_offset(void) {
  int fd = make_file(pages(4));
  struct mapping mapping = map((struct memmap_request){
    .fd = fd, .access = MEMMAP_READ, .offset_bytes = 777, .length_bytes = -1,
  });
  cut(fd, pages(2));
  uint8_t *buffer = malloc(pages(4));
  uint64_t length = mapping.facts.length_bytes;
  struct memmap_copied copied = memmap_read(mapping.region, 0, buffer, length);
  CHECK(copied.bytes == pages(2) - 777 && copied.fault == MEMMAP_FAULT_TRUNCATED);
  CHECK(buffer[0] == content_at(777) && buffer[copied.bytes - 1] == content_at(pages(2) - 1));
  copied = memmap_write(mapping.region, 5, buffer, 100);
  CHECK(copied.bytes == 0 && copied.fault == MEMMAP_FAULT_READ_ONLY);
  copied = memmap_read(mapping.region, 0, buffer, 0);
  CHECK(copied.bytes == 0 && copied.fault == MEMMAP_FAULT_KINDS);
  free(buffer);
}

static void copies_of_empty_and_closed(void) {
  uint8_t byte = 1;
  int fd = make_file(0);
  struct mapping empty = map_file(fd, MEMMAP_WRITE), closed = map_memory(pages(2), 0);
  CHECK_EQUAL(memmap_read(empty.region, 0, &byte, 0).bytes, 0);
  unmap(&empty);
  memmap_retain_holder(closed.region);
  memmap_release_user(closed.region, 0, pages(2));
  struct memmap_copied copied = memmap_write(closed.region, pages(1), &byte, 1);
  CHECK(copied.bytes == 0 && copied.fault == MEMMAP_FAULT_CLOSED);
  CHECK(memmap_read(closed.region, pages(1), &byte, 1).bytes == 1 && byte == 0);
  memmap_release_holder(closed.region);
}

/* Both sides in one mapping: as memmove does. */
static void copies_that_overlap(void) {
  const size_t length = pages(20);
  struct mapping mapping = map_memory(length, 0);
  uint8_t *naive = malloc(length);
  CHECK(naive != NULL);
  fill_memory(&mapping);
  for (size_t at = 0; at < length; at++) naive[at] = content_at(at);
  for (int step = 0; step < 200; step++) {
    size_t from = random_below(length), to = random_below(length);
    if (random_below(2)) to = from + random_below(100) < length ? from + random_below(100) : from;
    size_t longest = length - (from > to ? from : to), bytes = 1 + random_below(longest);
    uint8_t *start = (uint8_t *)mapping.at;
    struct memmap_copied copied =
        step % 2 ? memmap_read(mapping.region, from, start + to, bytes)
                 : memmap_write(mapping.region, to, start + from, bytes);
    CHECK(copied.bytes == bytes && copied.fault == MEMMAP_FAULT_KINDS);
    memmove(naive + to, naive + from, bytes);
    for (size_t at = 0; at < length; at++) CHECK_EQUAL(load(mapping.at + at), naive[at]);
  }
  free(naive);
}

/* Behind the length there is nothing, whatever the caller believes. */
static void copies_behind_the_length(void) {
  uint8_t buffer[8] = {0};
  struct mapping mapping = map_memory(100, 0);
  fill_memory(&mapping);
  struct memmap_copied copied = memmap_read(mapping.region, 96, buffer, 8);
  CHECK(copied.bytes == 4 && buffer[3] == content_at(99) && buffer[4] == 0);
  CHECK_EQUAL(memmap_read(mapping.region, 100, buffer, 8).bytes, 0);
  CHECK_EQUAL(memmap_read(mapping.region, UINT64_MAX - 3, buffer, 8).bytes, 0);
  CHECK_EQUAL(memmap_write(mapping.region, 101, buffer, 8).bytes, 0);
}

/* The other side of the copy may be a mapping that faults, too. */
static void copies_between_mappings(void) {
  int fd = make_file(pages(3));
  struct mapping from = map_memory(pages(3), 0), to = map_file(fd, MEMMAP_WRITE);
  cut(fd, pages(1) + 1);
  struct memmap_copied copied = memmap_read(from.region, 5, (void *)to.at, pages(3) - 5);
  CHECK_EQUAL(copied.bytes, pages(2));
  copied = memmap_write(from.region, 5, (void *)to.at, pages(3) - 5);
  CHECK_EQUAL(copied.bytes, pages(2));
}

static const struct check_case cases[] = {
  {"what is not ours dies", not_ours},
  {"signals sent by somebody", sent_by_somebody},
  {"a handler from before", former_handler},
  {"ignored before", ignored_before},
  {"handlers lost", handlers_lost},
  {"an alternative stack", alternative_stack},
  {"the listener", listener},
  {"copies at the end of the object", copies_at_the_end_of_the_object},
  {"copies at protections", copies_at_protections},
  {"copies with an offset", copies_with_an_offset},
  {"copies of the empty and the closed", copies_of_empty_and_closed},
  {"copies that overlap", copies_that_overlap},
  {"copies behind the length", copies_behind_the_length},
  {"copies between mappings", copies_between_mappings},
};
CHECK_MAIN(cases)
