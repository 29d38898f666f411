/*
 * maps.c - takes the texts of /proc/PID/maps and smaps apart (fs/proc/task_mmu.c, show_map_vma and
 * show_smap):
 *
 *   7f5fc4a00000-7f5fc4c00000 rw-s 00001000 fe:00 260131                     /path with spaces
 *   Rss:                1024 kB
 *   VmFlags: rd wr sh mr mw me ms
 *
 * A process may have a million mappings of 25 lines each. They all have the same fields in the same
 * order, so the one before says which field comes; and they have few different texts, of which each
 * is kept once. What a name, a field or a flag means is not known here.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "memmap.h"
#include "platform/platform.h"

struct slice { const char *at, *end; };

struct reader {
  memmap_maps maps;
  uint32_t *slots; /* of the table of texts: number + 1, or 0 */
  uint64_t seed;
  size_t slot_count, text_capacity, entry_capacity, byte_capacity;
  size_t field_capacity;               /* of a row of values, while there are more to come */
  size_t line;                         /* below the header */
  int expected[MEMMAP_MAPS_FIELDS];    /* which field stood on this line; -1: none yet */
  bool has_entry;                      /* false: the header above was none */
  bool is_out_of_memory;
};

/* -- texts ------------------------------------------------------------------------------------- */

/* FNV-1a, by its authors' constants for 64 bits (http://www.isthe.com/chongo/tech/comp/fnv), from a
 * start that others cannot know: names are chosen by the process that is looked at. */
static uint64_t hash_of(const struct reader *reader, struct slice text) {
  uint64_t hash = 0xcbf29ce484222325u ^ reader->seed;
  for (const char *at = text.at; at < text.end; at++) {
    hash = (hash ^ (unsigned char)*at) * 0x100000001b3u;
    hash ^= hash >> 29; /* so that a start makes other collisions */
  }
  return hash ^ hash >> 32;
}

static struct slice text_at(const memmap_maps *maps, size_t number) {
  const char *bytes = maps->bytes + maps->texts[number].offset;
  return (struct slice){bytes, bytes + maps->texts[number].length};
}

static bool is_same(struct slice a, struct slice b) {
  size_t length = (size_t)(a.end - a.at);
  return length == (size_t)(b.end - b.at) && (length == 0 || memcmp(a.at, b.at, length) == 0);
}

static size_t slot_of(const struct reader *reader, struct slice text) {
  size_t slot = hash_of(reader, text) & (reader->slot_count - 1);
  while (reader->slots[slot] &&
         !is_same(text, text_at(&reader->maps, reader->slots[slot] - 1))) {
    slot = (slot + 1) & (reader->slot_count - 1);
  }
  return slot;
}

/* The table stays at least half empty. */
static bool grow_slots(struct reader *reader) {
  if (reader->slot_count > 2 * reader->maps.text_count) return true;
  size_t count = reader->slot_count ? 2 * reader->slot_count : 64;
  uint32_t *slots = calloc(count, sizeof(*slots));
  if (!slots) return false;
  free(reader->slots);
  reader->slots = slots;
  reader->slot_count = count;
  for (size_t i = 0; i < reader->maps.text_count; i++) {
    slots[slot_of(reader, text_at(&reader->maps, i))] = (uint32_t)i + 1;
  }
  return true;
}

static bool grow_texts(struct reader *reader, size_t length) {
  memmap_maps *maps = &reader->maps;
  if (maps->text_count == reader->text_capacity) {
    size_t capacity = reader->text_capacity ? 2 * reader->text_capacity : 64;
    struct memmap_maps_text *texts = realloc(maps->texts, capacity * sizeof(*texts));
    if (!texts) return false;
    maps->texts = texts;
    reader->text_capacity = capacity;
  }
  if (maps->byte_count + length > reader->byte_capacity) {
    size_t capacity = 2 * reader->byte_capacity + length + 4096;
    char *bytes = realloc(maps->bytes, capacity);
    if (!bytes) return false;
    maps->bytes = bytes;
    reader->byte_capacity = capacity;
  }
  return grow_slots(reader);
}

/* The number of a text; 0 is the empty one. */
static uint32_t number_of(struct reader *reader, struct slice text) {
  size_t length = (size_t)(text.end - text.at);
  if (!grow_texts(reader, length)) {
    reader->is_out_of_memory = true;
    return 0;
  }
  size_t slot = slot_of(reader, text);
  if (reader->slots[slot]) return reader->slots[slot] - 1;
  memmap_maps *maps = &reader->maps;
  maps->texts[maps->text_count] =
      (struct memmap_maps_text){.offset = maps->byte_count, .length = length};
  if (length) memcpy(maps->bytes + maps->byte_count, text.at, length);
  maps->byte_count += length;
  reader->slots[slot] = (uint32_t)++maps->text_count;
  return (uint32_t)maps->text_count - 1;
}

/* -- headers ----------------------------------------------------------------------------------- */

static bool take_hex(struct slice *line, uint64_t *value) {
  const char *start = line->at;
  *value = 0;
  for (; line->at < line->end; line->at++) {
    char c = *line->at;
    unsigned digit;
    if (c >= '0' && c <= '9') digit = (unsigned)(c - '0');
    else if (c >= 'a' && c <= 'f') digit = (unsigned)(c - 'a') + 10;
    else break;
    if (*value >> 60) return false;
    *value = *value << 4 | digit;
  }
  return line->at > start;
}

static bool take_decimal(struct slice *line, uint64_t *value) {
  const char *start = line->at;
  *value = 0;
  for (; line->at < line->end && *line->at >= '0' && *line->at <= '9'; line->at++) {
    unsigned digit = (unsigned)(*line->at - '0');
    if (*value > (UINT64_MAX - digit) / 10) return false;
    *value = *value * 10 + digit;
  }
  return line->at > start;
}

static bool take_character(struct slice *line, char character) {
  if (line->at == line->end || *line->at != character) return false;
  line->at++;
  return true;
}

/* Four letters, of which each says yes or no: r-, w-, x-, ps. */
static bool take_rights(struct slice *line, struct slice *rights) {
  static const char allowed[4][3] = {"r-", "w-", "x-", "ps"};
  if (line->end - line->at < 4) return false;
  for (int i = 0; i < 4; i++) {
    if (line->at[i] != allowed[i][0] && line->at[i] != allowed[i][1]) return false;
  }
  *rights = (struct slice){line->at, line->at + 4};
  line->at += 4;
  return true;
}

static bool take_header(struct slice line, struct memmap_maps_entry *entry, struct slice *rights,
                        struct slice *name) {
  uint64_t major, minor;
  if (!take_hex(&line, &entry->start) || !take_character(&line, '-') ||
      !take_hex(&line, &entry->end) || !take_character(&line, ' ') ||
      !take_rights(&line, rights) || !take_character(&line, ' ') ||
      !take_hex(&line, &entry->offset_bytes) || !take_character(&line, ' ') ||
      !take_hex(&line, &major) || !take_character(&line, ':') || !take_hex(&line, &minor) ||
      !take_character(&line, ' ') || !take_decimal(&line, &entry->inode)) {
    return false;
  }
  if (line.at < line.end && *line.at != ' ') return false;
  while (take_character(&line, ' ')) continue;
  *name = line;
  entry->major = (uint32_t)major;
  entry->minor = (uint32_t)minor;
  return entry->end >= entry->start && major <= UINT32_MAX && minor <= UINT32_MAX;
}

/* -- values ------------------------------------------------------------------------------------ */

static bool grow_entries(struct reader *reader) {
  memmap_maps *maps = &reader->maps;
  if (maps->count < reader->entry_capacity) return true;
  size_t capacity = reader->entry_capacity ? 2 * reader->entry_capacity : 256;
  struct memmap_maps_entry *entries = realloc(maps->entries, capacity * sizeof(*entries));
  if (!entries) return false;
  maps->entries = entries;
  size_t row = reader->field_capacity * sizeof(*maps->values);
  double *values = row ? realloc(maps->values, capacity * row) : NULL;
  if (row && !values) return false;
  maps->values = values;
  reader->entry_capacity = capacity;
  return true;
}

static bool add_entry(struct reader *reader, struct slice line) {
  struct memmap_maps_entry entry;
  struct slice rights, name;
  if (!take_header(line, &entry, &rights, &name)) return false;
  entry.permissions = number_of(reader, rights);
  entry.name = number_of(reader, name);
  if (!grow_entries(reader)) reader->is_out_of_memory = true;
  if (reader->is_out_of_memory) return false;
  memmap_maps *maps = &reader->maps;
  size_t first = maps->count * reader->field_capacity;
  for (size_t i = 0; i < reader->field_capacity; i++) maps->values[first + i] = NAN;
  maps->entries[maps->count++] = entry;
  return true;
}

/* Gives each row room for twice as many fields; those of maps have none. */
static bool widen(struct reader *reader) {
  memmap_maps *maps = &reader->maps;
  size_t narrow = reader->field_capacity, wide = narrow ? 2 * narrow : 32;
  double *values = malloc(reader->entry_capacity * wide * sizeof(*values));
  if (!values) return false;
  for (size_t i = 0; i < maps->count; i++) {
    if (narrow) memcpy(values + i * wide, maps->values + i * narrow, narrow * sizeof(*values));
    for (size_t j = narrow; j < wide; j++) values[i * wide + j] = NAN;
  }
  free(maps->values);
  maps->values = values;
  reader->field_capacity = wide;
  return true;
}

/* The field of a label, which the line below the header before had; -1: there are too many. */
static int field_of(struct reader *reader, struct slice label) {
  memmap_maps *maps = &reader->maps;
  size_t line = reader->line < MEMMAP_MAPS_FIELDS ? reader->line : MEMMAP_MAPS_FIELDS - 1;
  int expected = reader->expected[line];
  if (expected >= 0 && is_same(label, text_at(maps, maps->fields[expected]))) return expected;
  uint32_t text = number_of(reader, label);
  size_t field = 0;
  while (field < maps->field_count && maps->fields[field] != text) field++;
  if (field == MEMMAP_MAPS_FIELDS) return -1;
  if (field == maps->field_count) {
    if (field == reader->field_capacity && !widen(reader)) reader->is_out_of_memory = true;
    if (reader->is_out_of_memory) return -1;
    maps->fields[maps->field_count++] = text;
  }
  reader->expected[line] = (int)field;
  return (int)field;
}

static struct slice trim(struct slice text) {
  while (text.at < text.end && (*text.at == ' ' || *text.at == '\t')) text.at++;
  while (text.at < text.end && (text.end[-1] == ' ' || text.end[-1] == '\t')) text.end--;
  return text;
}

/* `1024 kB`, by which the kernel means KiB. A double holds it as it is up to 2^53. */
static bool take_bytes(struct slice text, double *bytes) {
  uint64_t value;
  if (!take_decimal(&text, &value) || value > (UINT64_C(1) << 53) / 1024) return false;
  if (!is_same(text, (struct slice){" kB", &" kB"[3]})) return false;
  *bytes = (double)(value * 1024);
  return true;
}

static void add_value(struct reader *reader, struct slice line) {
  const char *colon = memchr(line.at, ':', (size_t)(line.end - line.at));
  int field = colon ? field_of(reader, (struct slice){line.at, colon}) : -1;
  if (field >= 0) {
    memmap_maps *maps = &reader->maps;
    struct slice text = trim((struct slice){colon + 1, line.end});
    double *value = maps->values + (maps->count - 1) * reader->field_capacity + field;
    if (!take_bytes(text, value)) *value = -1.0 - number_of(reader, text);
  }
  reader->line++;
}

/* -- the whole --------------------------------------------------------------------------------- */

/* Headers begin with a digit or a small letter, fields with a capital. */
static void add_line(struct reader *reader, struct slice line) {
  if (line.at < line.end && *line.at >= 'A' && *line.at <= 'Z') {
    if (reader->has_entry) add_value(reader, line);
    return;
  }
  reader->has_entry = add_entry(reader, line);
  reader->line = 0;
}

static void add_text(struct reader *reader, struct slice text) {
  if (reader->maps.text_count == 0) number_of(reader, (struct slice){"", ""});
  while (text.at < text.end && !reader->is_out_of_memory) {
    const char *stop = memchr(text.at, '\n', (size_t)(text.end - text.at));
    const char *end = stop ? stop : text.end;
    add_line(reader, (struct slice){text.at, end});
    text.at = stop ? stop + 1 : text.end;
  }
}

static void start(struct reader *reader) {
  *reader = (struct reader){0};
  if (getrandom(&reader->seed, sizeof(reader->seed), GRND_NONBLOCK) < 0) {
    reader->seed = (uintptr_t)reader;
  }
  for (size_t i = 0; i < MEMMAP_MAPS_FIELDS; i++) reader->expected[i] = -1;
}

/* Closes the gaps between the rows, and gives what was read or frees it. */
static int finish(struct reader *reader, int result, memmap_maps *given) {
  memmap_maps *maps = &reader->maps;
  free(reader->slots);
  if (result == 0 && reader->is_out_of_memory) {
    result = memmap_failure(MEMMAP_CALL_MALLOC, ENOMEM);
  }
  if (result < 0) {
    memmap_free_maps(maps);
    return result;
  }
  for (size_t i = 1; maps->field_count && i < maps->count; i++) {
    memmove(maps->values + i * maps->field_count, maps->values + i * reader->field_capacity,
            maps->field_count * sizeof(*maps->values));
  }
  *given = *maps;
  return 0;
}

int memmap_parse_maps(const char *text, size_t length, memmap_maps *maps) {
  struct reader reader;
  start(&reader);
  if (length) add_text(&reader, (struct slice){text, text + length});
  return finish(&reader, 0, maps);
}

/* Reads on behind `kept` bytes of the buffer, takes the whole lines, and moves the rest to its
 * beginning. Returns what was read, 0 at the end. */
static int64_t read_lines(struct reader *reader, int fd, char **buffer, size_t *size,
                          size_t *kept) {
  if (*kept == *size) {
    char *grown = realloc(*buffer, 2 * *size);
    if (!grown) return memmap_failure(MEMMAP_CALL_MALLOC, ENOMEM);
    *buffer = grown;
    *size *= 2;
  }
  int64_t count = platform_read(fd, *buffer + *kept, *size - *kept);
  if (count <= 0) return count;
  const char *end = *buffer + *kept + count;
  const char *last = memrchr(*buffer + *kept, '\n', (size_t)count);
  const char *taken = last ? last + 1 : *buffer;
  add_text(reader, (struct slice){*buffer, taken});
  *kept = (size_t)(end - taken);
  memmove(*buffer, taken, *kept);
  return count;
}

int memmap_read_maps(const char *path, memmap_maps *maps) {
  bool created;
  int fd = platform_open(path, false, false, &created);
  if (fd < 0) return fd;
  struct reader reader;
  start(&reader);
  size_t size = 64 << 10, kept = 0;
  char *buffer = malloc(size);
  int64_t result = buffer ? 1 : memmap_failure(MEMMAP_CALL_MALLOC, ENOMEM);
  while (result > 0 && !reader.is_out_of_memory) {
    result = read_lines(&reader, fd, &buffer, &size, &kept);
  }
  if (result == 0 && kept) add_text(&reader, (struct slice){buffer, buffer + kept});
  free(buffer);
  platform_close(fd);
  return finish(&reader, result < 0 ? (int)result : 0, maps);
}

void memmap_free_maps(memmap_maps *maps) {
  free(maps->entries);
  free(maps->values);
  free(maps->texts);
  free(maps->bytes);
  *maps = (memmap_maps){0};
}
