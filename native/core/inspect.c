/*
 * inspect.c - what the system knows of caches and page tables, for files, processes and regions.
 */
#include "core/region.h"

int memmap_cache_state(int fd, uint64_t offset, uint64_t length,
                       struct memmap_cache_state *state) {
  return platform_cache_state(fd, offset, length, state);
}

int memmap_drop_cache(int fd, uint64_t offset, uint64_t length) {
  return platform_drop_cache(fd, offset, length);
}

int memmap_scan_pages(int fd, struct memmap_page_scan *scan, struct memmap_page_run *runs,
                      size_t capacity) {
  return platform_scan_pages(fd, scan, false, false, runs, capacity);
}

int64_t memmap_page_out(int64_t process, uint64_t address, uint64_t length) {
  return platform_page_out(process, address, length);
}

int memmap_watch_writes(memmap_region *region) {
  platform_lock_take(&region->lock);
  region_put_back(region);
  int result = region->mapped ? platform_watch_writes(region->start, region->mapped) : 0;
  platform_lock_drop(&region->lock);
  return result;
}

/* The whole pages around a range, as addresses; end 0: none. */
static struct memmap_page_scan scan_of(const memmap_region *region, uint64_t offset,
                                       uint64_t length) {
  struct pages pages = region_pages(region, offset, length);
  size_t mapped = region->mapped / region->page;
  if (pages.end > mapped) pages.end = mapped;
  if (pages.first >= pages.end || length == 0) return (struct memmap_page_scan){0};
  return (struct memmap_page_scan){
      .start = page_address(region, pages.first), .end = page_address(region, pages.end)};
}

/* From an address to a byte of the mapping, cut to it. */
static uint64_t byte_of(const memmap_region *region, uint64_t address) {
  uint64_t first = region->start + region->delta;
  uint64_t byte = address > first ? address - first : 0;
  return byte < region->length_bytes ? byte : region->length_bytes;
}

static int scan_region(memmap_region *region, struct memmap_page_scan *scan,
                       enum memmap_written_mode mode, struct memmap_page_run *runs,
                       size_t capacity) {
  int fd = platform_open_page_table();
  if (fd < 0) return fd;
  if (mode == MEMMAP_WRITTEN_COPIES) {
    /* A page of the object, and the one page of zeros that all reads share, are not stored to. */
    scan->inverted = scan->required = MEMMAP_PAGE_FILE | MEMMAP_PAGE_ZERO;
    scan->any_of = MEMMAP_PAGE_PRESENT | MEMMAP_PAGE_SWAPPED;
  } else {
    scan->required = MEMMAP_PAGE_WRITTEN;
  }
  scan->wanted = scan->required;
  int found = platform_scan_pages(fd, scan, mode != MEMMAP_WRITTEN_COPIES,
                                  mode == MEMMAP_WRITTEN_RESET, runs, capacity);
  platform_close(fd);
  for (int i = 0; i < found; i++) {
    runs[i].start = byte_of(region, runs[i].start);
    runs[i].end = byte_of(region, runs[i].end);
  }
  return found;
}

int memmap_written(memmap_region *region, uint64_t offset, uint64_t length,
                   enum memmap_written_mode mode, struct memmap_page_run *runs, size_t capacity,
                   uint64_t *next_bytes) {
  platform_lock_take(&region->lock);
  region_put_back(region);
  *next_bytes = offset + length;
  struct memmap_page_scan scan = scan_of(region, offset, length);
  int found = 0;
  if (scan.end) {
    found = scan_region(region, &scan, mode, runs, capacity);
    if (found >= 0 && scan.scanned_end < scan.end) *next_bytes = byte_of(region, scan.scanned_end);
  }
  platform_lock_drop(&region->lock);
  return found;
}
