// One allocator of C, in a process of its own that answers by lines: which one, RIVAL_... says at compile time; none: glibc's.
//
//     allocator WORKLOAD ALIGNMENT OPERATIONS      ALIGNMENT 0: as the allocator gives them
//
//     time swap REPEATS   ->   NANOSECONDS OPERATIONS RIGHT        each operation frees a block and allocates another
//     latency COUNT       ->   P50 P99 P99.9 P99.99 MAXIMUM        nanoseconds, of COUNT operations, the clock read around each
//     clock COUNT         ->   the same of nothing
//
// The workload is a file of u32: how many blocks are live, the size of each, and then pairs, without an end of their own: which
// block is freed, and the size of the one that takes its place. A repeat is the next OPERATIONS of them, from the first again
// behind the last. After each timing all live blocks are looked at: none may overlap another, and each has its alignment.

#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#if defined RIVAL_DPDK
#include <rte_malloc.h>

#include "eal.h"
static inline void *take(size_t size) { return rte_malloc(NULL, size, 0); }
static inline void *take_aligned(size_t size, size_t alignment) { return rte_malloc(NULL, size, (unsigned)alignment); }
static inline void give(void *block) { rte_free(block); }
#else
static void fail(const char *what) {
  printf("error %s\n", what);
  exit(1);
}
#if defined RIVAL_MIMALLOC
#include <mimalloc.h>
static inline void *take(size_t size) { return mi_malloc(size); }
static inline void *take_aligned(size_t size, size_t alignment) { return mi_malloc_aligned(size, alignment); }
static inline void give(void *block) { mi_free(block); }
#else
// malloc is jemalloc's where that is linked. Its headers are asked for, and a call that only it has, so that it is who it says.
#if defined RIVAL_JEMALLOC
#include <jemalloc/jemalloc.h>
static const char *version(void) {
  const char *found = NULL;
  size_t bytes = sizeof found;
  return mallctl("version", &found, &bytes, NULL, 0) == 0 ? found : NULL;
}
#else
#include <gnu/libc-version.h>
static const char *version(void) { return gnu_get_libc_version(); }
#endif
static inline void *take(size_t size) { return malloc(size); }
static inline void *take_aligned(size_t size, size_t alignment) { return aligned_alloc(alignment, size); }
static inline void give(void *block) { free(block); }
#endif
#endif

struct step {
  uint32_t slot;
  uint32_t size;
};

static const struct step *steps;
static size_t step_count, next_step;
static uint32_t live;
static void **blocks;
static uint32_t *sizes;
static uint32_t one_size;  // of all blocks; 0 where they differ
static size_t alignment;

enum { CHECKED_EACH_TIME = 65536, SLOWEST = 1 << 20 };

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

// ---- What is measured -----------------------------------------------------------------------------------------------

// Compiled once for each kind, so that what is the same for all steps is asked before the loop. `size` 0: each step's own.
static inline __attribute__((always_inline)) uint64_t steps_of(const struct step *from, size_t count, uint32_t size, size_t aligned) {
  uint64_t right = 0;
  for (size_t i = 0; i < count; i++) {
    uint32_t slot = from[i].slot, wanted = size ? size : from[i].size;
    give(blocks[slot]);
    void *block = aligned ? take_aligned(wanted, aligned) : take(wanted);
    blocks[slot] = block;
    right += block != NULL;
  }
  return right;
}

// The next steps: how many got a block.
static uint64_t swap(size_t count) {
  if (next_step + count > step_count) next_step = 0;
  const struct step *from = steps + next_step;
  next_step += count;
  if (one_size) return alignment ? steps_of(from, count, one_size, alignment) : steps_of(from, count, one_size, 0);
  return alignment ? steps_of(from, count, 0, alignment) : steps_of(from, count, 0, 0);
}

static void measure_latency(uint64_t count, int of_clock) {
  uint64_t *slower = calloc(SLOWEST, sizeof *slower), longest = 0, seen = 0;
  if (slower == NULL) fail("no memory");
  for (uint64_t i = 0; i < count; i++) {
    size_t at = next_step < step_count ? next_step : 0;
    uint64_t begun = now();
    if (!of_clock && swap(1) != 1) fail("a block was refused");
    uint64_t took = now() - begun;
    if (!of_clock) sizes[steps[at].slot] = steps[at].size;
    if (took > longest) longest = took;
    slower[took < SLOWEST ? took : SLOWEST - 1]++;
  }
  const double shares[] = {0.5, 0.99, 0.999, 0.9999};
  size_t share = 0;
  for (uint64_t took = 0; took < SLOWEST && share < 4; took++) {
    seen += slower[took];
    for (; share < 4 && (double)seen >= shares[share] * (double)count; share++) printf("%" PRIu64 " ", took);
  }
  printf("%" PRIu64 "\n", longest);
  free(slower);
}

// ---- Whether it was right -------------------------------------------------------------------------------------------

struct block {
  uintptr_t at;
  uint32_t size;
};

static int by_address(const void *a, const void *b) {
  uintptr_t left = ((const struct block *)a)->at, right = ((const struct block *)b)->at;
  return (left > right) - (left < right);
}

static void check(void) {
  static struct block *all;
  if (all == NULL && (all = malloc(live * sizeof *all)) == NULL) fail("no memory");
  for (uint32_t i = 0; i < live; i++) all[i] = (struct block){(uintptr_t)blocks[i], sizes[i]};
  qsort(all, live, sizeof *all, by_address);
  for (uint32_t i = 0; i < live; i++) {
    if (all[i].at == 0 || (alignment && all[i].at % alignment != 0)) fail("a block lies where it must not");
    if (i > 0 && all[i - 1].at + all[i - 1].size > all[i].at) fail("two blocks overlap");
  }
}

// ---- Getting ready --------------------------------------------------------------------------------------------------

// Gives the file's size; its bytes stay mapped.
static const uint32_t *read_workload(const char *path, size_t *words) {
  int file = open(path, O_RDONLY);
  struct stat status;
  if (file < 0 || fstat(file, &status) != 0) fail("no workload");
  *words = (size_t)status.st_size / sizeof(uint32_t);
  const uint32_t *at = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
  if (at == MAP_FAILED || *words < 4) fail("no workload");
  close(file);
  return at;
}

static void fill(const uint32_t *workload, size_t words) {
  live = workload[0];
  steps = (const struct step *)(workload + 1 + live);
  step_count = (words - 1 - live) / 2;
  blocks = malloc(live * sizeof *blocks);
  sizes = malloc(live * sizeof *sizes);
  if (blocks == NULL || sizes == NULL) fail("no memory");
  memcpy(sizes, workload + 1, live * sizeof *sizes);
  one_size = sizes[0];
  for (uint32_t i = 0; i < live; i++) {
    if (sizes[i] != one_size) one_size = 0;
    blocks[i] = alignment ? take_aligned(sizes[i], alignment) : take(sizes[i]);
    if (blocks[i] == NULL) fail("no room for the blocks");
  }
}

int main(int total, char **given) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (total != 4) fail("WORKLOAD ALIGNMENT OPERATIONS");
  size_t words, operations = strtoull(given[3], NULL, 10);
  const uint32_t *workload = read_workload(given[1], &words);
  alignment = strtoull(given[2], NULL, 10);
#if !defined RIVAL_DPDK && !defined RIVAL_MIMALLOC
  if (version() == NULL) fail("another malloc than it should be");
#endif
#if defined RIVAL_DPDK
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < workload[0]; i++) bytes += workload[1 + i] + 128 + 2 * alignment;
  start_eal(given[0], (unsigned)(64 + bytes / 1048576 * 3 / 2));
#endif
  fill(workload, words);
  if (step_count < operations) fail("fewer steps than operations");
  printf("ready\n");

  char line[128];
  uint64_t number;
  while (fgets(line, sizeof line, stdin) != NULL) {
    if (sscanf(line, "time swap %" SCNu64, &number) == 1) {
      size_t first = next_step;
      uint64_t right = 0, begun = now();
      for (uint64_t i = 0; i < number; i++) right += swap(operations);
      uint64_t took = now() - begun;
      for (uint64_t i = 0; i < number; i++, first += operations) {
        if (first + operations > step_count) first = 0;
        for (size_t k = first; k < first + operations; k++) sizes[steps[k].slot] = steps[k].size;
      }
      if (live <= CHECKED_EACH_TIME) check();
      printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", took, number * operations, right);
    } else if (sscanf(line, "latency %" SCNu64, &number) == 1) {
      measure_latency(number, 0);
    } else if (sscanf(line, "clock %" SCNu64, &number) == 1) {
      measure_latency(number, 1);
    } else {
      fail("time swap REPEATS, latency COUNT, or: clock COUNT");
    }
  }
  check();
  return 0;
}
