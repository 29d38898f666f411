/*
 * maps.test.c - texts of /proc: as a naive reader reads them, cut anywhere, spoiled, with many
 * fields, and with nothing readable behind them.
 */
#include <math.h>
#include <sys/mman.h>

#include "memmap.h"

#include "check.h"

enum { SPACE = 1 << 18, ROUNDS = 3000, MAPPINGS = 40 };

struct expected { uint64_t start, end, offset, inode, rss; unsigned major, minor; char name[64]; };

static char *space; /* SPACE readable bytes in front of a page that is not */

static void make_space(void) {
  char *memory = mmap(NULL, SPACE + 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED);
  CHECK_EQUAL(mprotect(memory, SPACE, PROT_READ | PROT_WRITE), 0);
  space = memory;
}

/* The text at the end of the space: what reads behind it dies. */
static const char *at_the_end(const char *text, size_t length) {
  return memcpy(space + SPACE - length, text, length);
}

static memmap_maps parse(const char *text, size_t length) {
  memmap_maps maps;
  CHECK_EQUAL(memmap_parse_maps(at_the_end(text, length), length, &maps), 0);
  return maps;
}

static bool has_text(const memmap_maps *maps, size_t number, const char *wanted) {
  CHECK(number < maps->text_count);
  const struct memmap_maps_text *text = &maps->texts[number];
  return text->length == strlen(wanted) &&
         (text->length == 0 || memcmp(maps->bytes + text->offset, wanted, text->length) == 0);
}

/* -1: there is none. */
static int field_named(const memmap_maps *maps, const char *name) {
  for (size_t i = 0; i < maps->field_count; i++) {
    if (has_text(maps, maps->fields[i], name)) return (int)i;
  }
  return -1;
}

static double value_of(const memmap_maps *maps, size_t mapping, const char *name) {
  int field = field_named(maps, name);
  return field < 0 ? NAN : maps->values[mapping * maps->field_count + (size_t)field];
}

static void check_entry(const memmap_maps *maps, size_t i, const struct expected *expected) {
  const struct memmap_maps_entry *entry = &maps->entries[i];
  CHECK_EQUAL(entry->start, expected->start);
  CHECK_EQUAL(entry->end, expected->end);
  CHECK_EQUAL(entry->offset_bytes, expected->offset);
  CHECK_EQUAL(entry->inode, expected->inode);
  CHECK_EQUAL(entry->major, expected->major);
  CHECK_EQUAL(entry->minor, expected->minor);
  CHECK(has_text(maps, entry->name, expected->name));
  CHECK(has_text(maps, entry->permissions, "rw-s"));
}

static uint64_t random_number(void) { return random_from(&check_state) >> random_below(64); }

/* Writes what the kernel would; returns its length. */
static size_t write_mapping(char *text, struct expected *expected, bool has_values) {
  expected->start = random_number() >> 1;
  expected->end = expected->start + 1 + random_below(1 << 30);
  expected->offset = random_number();
  expected->inode = random_number();
  expected->major = (unsigned)random_below(4096);
  expected->minor = (unsigned)random_below(1 << 20);
  expected->rss = random_below(1 << 20);
  snprintf(expected->name, sizeof(expected->name), "%s",
           random_below(3) ? "/a path/with spaces" : "");
  if (random_below(3) == 0) {
    snprintf(expected->name, sizeof(expected->name), "/%" PRIx64, random_below(200));
  }
  int length = sprintf(text, "%08" PRIx64 "-%08" PRIx64 " rw-s %08" PRIx64 " %02x:%02x %" PRIu64
                             "%s%s\n",
                       expected->start, expected->end, expected->offset, expected->major,
                       expected->minor, expected->inode, *expected->name ? "      " : " ",
                       expected->name);
  if (has_values) {
    length += sprintf(text + length, "Rss:     %8" PRIu64 " kB\nTHPeligible:      0\n"
                                     "VmFlags: rd wr sh \n", expected->rss);
  }
  return (size_t)length;
}

static void as_a_naive_reader(void) {
  make_space();
  static char text[MAPPINGS * 256];
  static struct expected expected[MAPPINGS];
  for (int round = 0; round < ROUNDS; round++) {
    bool has_values = random_below(4);
    size_t count = random_below(MAPPINGS), length = 0;
    for (size_t i = 0; i < count; i++) {
      length += write_mapping(text + length, &expected[i], has_values);
    }
    memmap_maps maps = parse(text, length);
    CHECK_EQUAL(maps.count, count);
    for (size_t i = 0; i < count; i++) {
      check_entry(&maps, i, &expected[i]);
      double rss = value_of(&maps, i, "Rss"), flags = value_of(&maps, i, "VmFlags");
      CHECK(has_values ? rss == (double)expected[i].rss * 1024 : isnan(rss));
      CHECK(!has_values || has_text(&maps, (size_t)(-1 - flags), "rd wr sh"));
    }
    memmap_free_maps(&maps);
  }
}

/* Nothing is promised of such a text but that all of the answer is there. */
static void check_whole(const memmap_maps *maps) {
  CHECK(maps->field_count <= MEMMAP_MAPS_FIELDS);
  for (size_t i = 0; i < maps->text_count; i++) {
    CHECK(maps->texts[i].offset + maps->texts[i].length <= maps->byte_count);
  }
  for (size_t i = 0; i < maps->field_count; i++) CHECK(maps->fields[i] < maps->text_count);
  for (size_t i = 0; i < maps->count; i++) {
    CHECK(maps->entries[i].name < maps->text_count);
    CHECK(maps->entries[i].permissions < maps->text_count);
    CHECK(maps->entries[i].start <= maps->entries[i].end);
  }
  for (size_t i = 0; i < maps->count * maps->field_count; i++) {
    double value = maps->values[i];
    CHECK(isnan(value) || value >= 0 || -1 - value < (double)maps->text_count);
  }
}

static void cut_and_spoiled(void) {
  make_space();
  static char text[MAPPINGS * 256];
  static struct expected expected[MAPPINGS];
  static const char letters[] = " \n:-_0123456789abcdefAVR\t\\\xff";
  for (int round = 0; round < ROUNDS; round++) {
    size_t length = 0, count = random_below(8);
    for (size_t i = 0; i < count; i++) length += write_mapping(text + length, &expected[i], true);
    for (uint64_t spoiled = random_below(6); length && spoiled > 0; spoiled--) {
      text[random_below(length)] = letters[random_below(sizeof(letters))];
    }
    memmap_maps maps = parse(text, length ? random_below(length + 1) : 0);
    check_whole(&maps);
    memmap_free_maps(&maps);
  }
}

static const char header[] = "1000-2000 r--p 00000000 00:00 0 \n";

static void many_fields(void) {
  make_space();
  static char text[SPACE];
  size_t length = (size_t)sprintf(text, "%s", header);
  for (int i = 0; i < 20; i++) length += (size_t)sprintf(text + length, "F%d: %d kB\n", i, i);
  for (int mapping = 0; mapping < 2; mapping++) { /* more than before, and more than are kept */
    length += (size_t)sprintf(text + length, "%s", header);
    for (int i = 0; i < 90 + 90 * mapping; i++) {
      length += (size_t)sprintf(text + length, "F%d: %d kB\n", i, i);
    }
  }
  memmap_maps maps = parse(text, length);
  check_whole(&maps);
  CHECK_EQUAL(maps.count, 3);
  CHECK_EQUAL(maps.field_count, MEMMAP_MAPS_FIELDS);
  for (size_t mapping = 0; mapping < 3; mapping++) {
    CHECK(value_of(&maps, mapping, "F7") == 7 * 1024);
    double late = value_of(&maps, mapping, "F80");
    CHECK(mapping == 0 ? isnan(late) : late == 80 * 1024);
  }
  memmap_free_maps(&maps);
}

static void odd_values(void) {
  make_space();
  static const struct { const char *line, *text; double bytes; } lines[] = {
    {"Q: 12 kB", NULL, 12288}, {"Q:12 kB", NULL, 12288}, {"Q:\t 12 kB \t", NULL, 12288},
    {"Q: 12", "12", 0}, {"Q: 12 MB", "12 MB", 0}, {"Q: 1x kB", "1x kB", 0}, {"Q: kB", "kB", 0},
    {"Q:", "", 0}, {"Q: -1 kB", "-1 kB", 0}, {"Q: 8796093022208 kB", NULL, 9007199254740992.0},
    {"Q: 8796093022209 kB", "8796093022209 kB", 0},
    {"Q: 99999999999999999999 kB", "99999999999999999999 kB", 0},
  };
  for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
    char text[256];
    int length = sprintf(text, "%s%s", header, lines[i].line);
    memmap_maps maps = parse(text, (size_t)length);
    double value = value_of(&maps, 0, "Q");
    if (!lines[i].text) CHECK(value == lines[i].bytes);
    else CHECK(value < 0 && has_text(&maps, (size_t)(-1 - value), lines[i].text));
    memmap_free_maps(&maps);
  }
}

/* What stands below a line that is no mapping belongs to nothing. */
static void below_no_mapping(void) {
  make_space();
  static const char text[] = "Rss: 1 kB\n1000-2000 r--p 00000000 00:00 0 \nnonsense\nRss: 2 kB\n"
                             "3000-2000 r--p 00000000 00:00 0 \nRss: 3 kB\n\n"
                             "10000000000000000-2 r--p 00000000 00:00 0 \nRss: 4 kB\n";
  memmap_maps maps = parse(text, sizeof(text) - 1);
  CHECK_EQUAL(maps.count, 1);
  CHECK(isnan(value_of(&maps, 0, "Rss")));
  memmap_free_maps(&maps);
}

/* A file is read in pieces; lines longer than a piece are whole all the same. */
static void from_a_file(void) {
  make_space();
  static char text[SPACE];
  char path[] = "/tmp/maps-test-XXXXXX";
  for (int round = 0; round < 40; round++) {
    size_t length = 0, count = random_below(600);
    struct expected expected;
    for (size_t i = 0; i < count; i++) length += write_mapping(text + length, &expected, true);
    if (round % 4 == 0) { /* a name of 100,000 letters */
      length += (size_t)sprintf(text + length, "1000-2000 r--p 00000000 00:00 0 /");
      memset(text + length, 'n', 100000);
      length += 100000;
    }
    int fd = mkstemp(path);
    CHECK(fd >= 0 && write(fd, text, length) == (ssize_t)length);
    memmap_maps read, parsed = parse(text, length);
    CHECK_EQUAL(memmap_read_maps(path, &read), 0);
    unlink(path);
    close(fd);
    memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
    CHECK_EQUAL(read.count, parsed.count);
    CHECK_EQUAL(read.byte_count, parsed.byte_count);
    CHECK(read.count == 0 || memcmp(read.entries, parsed.entries,
                                    read.count * sizeof(*read.entries)) == 0);
    size_t values = read.count * read.field_count * sizeof(double);
    CHECK(values == 0 || memcmp(read.values, parsed.values, values) == 0);
    memmap_free_maps(&read);
    memmap_free_maps(&parsed);
  }
}

/* This process, whose smaps has the mappings of its maps. */
static void of_this_process(void) {
  memmap_maps maps, smaps;
  CHECK_EQUAL(memmap_read_maps("/proc/self/maps", &maps), 0);
  int result = memmap_read_maps("/proc/self/smaps", &smaps);
  if (memmap_errno(result) == ENOENT) check_skip("this kernel has no smaps");
  CHECK_EQUAL(result, 0);
  CHECK(maps.count > 5 && maps.field_count == 0);
  for (size_t i = 0; i < smaps.count; i++) {
    uint64_t length = smaps.entries[i].end - smaps.entries[i].start;
    CHECK(value_of(&smaps, i, "Size") == (double)length);
    CHECK(value_of(&smaps, i, "Rss") <= (double)length);
  }
  memmap_free_maps(&maps);
  memmap_free_maps(&smaps);
  CHECK_EQUAL(memmap_errno(memmap_read_maps("/proc/self/nothing", &maps)), ENOENT);
}

static const struct check_case cases[] = {
  {"as a naive reader", as_a_naive_reader},
  {"cut and spoiled", cut_and_spoiled},
  {"many fields", many_fields},
  {"odd values", odd_values},
  {"below no mapping", below_no_mapping},
  {"from a file", from_a_file},
  {"of this process", of_this_process},
};
CHECK_MAIN(cases)
