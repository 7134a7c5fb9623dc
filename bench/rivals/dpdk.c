// DPDK's own functions, asked by lines on standard input and answering by lines on standard output.
//
//     dpdk physical                    rte_mem_virt2iova as it is with IOVA as PA
//     dpdk memsegs LISTS MEMSEGS       the memory functions, with that many external lists and memsegs of 2 MiB in all of them
//
//     time NAME REPEATS   ->   NANOSECONDS OPERATIONS RIGHT    for all repeats; RIGHT of the answers were right
//
// Lists are external memory that is registered and never touched, so they cost address space and their arrays of memsegs, and no
// hugepages. Without those DPDK has one list of its own, of 4 KiB pages.

#define _GNU_SOURCE
#include <inttypes.h>
#include <rte_memory.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "eal.h"

enum { ADDRESSES = 65536, VALUES = 65536, PAGES = 64, PAGE_SHIFT = 21 };

static const uint64_t page = UINT64_C(1) << PAGE_SHIFT;

static uint64_t *addresses, *iovas, *values;
static unsigned lists;
static uint64_t memsegs_in_list;

struct work {
  uint64_t operations;
  uint64_t right;
};

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static uint64_t random_state = 88172645463325252u;

static uint64_t random_below(uint64_t end) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state % end;
}

// ---- What is measured -----------------------------------------------------------------------------------------------

// How many were found. The IOVA is taken from the memseg, as a program does that keeps DPDK's promise of IOVA as PA.
static struct work virt2memseg(void) {
  uint64_t found = 0;
  for (int i = 0; i < ADDRESSES; i++) {
    const struct rte_memseg *memseg = rte_mem_virt2memseg((void *)(uintptr_t)addresses[i], NULL);
    iovas[i] = memseg == NULL ? RTE_BAD_IOVA : memseg->iova + (addresses[i] - memseg->addr_64);
    found += memseg != NULL;
  }
  return (struct work){ADDRESSES, found};
}

static struct work virt2memseg_missing(void) {
  uint64_t missed = 0;
  for (int i = 0; i < ADDRESSES; i++)
    missed += rte_mem_virt2memseg((void *)(uintptr_t)(addresses[i] ^ (UINT64_C(1) << 46)), NULL) == NULL;
  return (struct work){ADDRESSES, missed};
}

struct highest {
  uint64_t last;
  uint64_t page_size;
  uint64_t seen;
};

static int higher_memseg(const struct rte_memseg_list *list, const struct rte_memseg *memseg, void *argument) {
  struct highest *highest = argument;
  uint64_t last = memseg->addr_64 + memseg->len - 1;
  (void)list;
  highest->seen++;
  if (last > highest->last) {
    highest->last = last;
    highest->page_size = memseg->hugepage_sz;
  }
  return 0;
}

// What the first walk of each kind has found, before anything was timed.
static uint64_t highest_memseg, highest_list;

static struct work walk_memsegs(void) {
  struct highest highest = {0, 0, 0};
  rte_memseg_walk(higher_memseg, &highest);
  return (struct work){highest.seen, highest.last == highest_memseg ? highest.seen : 0};
}

// What sizing a static window asks of each list: its end, and the page size of the highest.
static int higher_list(const struct rte_memseg_list *list, void *argument) {
  struct highest *highest = argument;
  uint64_t last = (uint64_t)(uintptr_t)list->base_va + list->len - 1;
  highest->seen++;
  if (last > highest->last) {
    highest->last = last;
    highest->page_size = list->page_sz;
  }
  return 0;
}

static struct work walk_lists(void) {
  struct highest highest = {0, 0, 0};
  rte_memseg_list_walk(higher_list, &highest);
  return (struct work){highest.seen, highest.last == highest_list ? highest.seen : 0};
}

// A window's size from the end of the memory, as its static sizing does it: the next power of two, and whether that is right.
static struct work power_of_two(void) {
  uint64_t right = 0;
  for (int i = 0; i < VALUES; i++) {
    uint64_t size = rte_align64pow2(values[i]);
    right += size >= values[i] && (size & (size - 1)) == 0;
  }
  return (struct work){VALUES, right};
}

// With IOVA as PA rte_mem_virt2iova is this function; EAL offers that mode only with hugepages or VFIO, the function always.
static struct work virt2physical(void) {
  uint64_t known = 0;
  for (int i = 0; i < PAGES; i++) known += rte_mem_virt2phy((void *)(uintptr_t)addresses[i]) != RTE_BAD_IOVA;
  return (struct work){PAGES, known};
}

static const struct {
  const char *name;
  struct work (*once)(void);
} measured[] = {
    {"virt2memseg", virt2memseg},
    {"virt2memseg_missing", virt2memseg_missing},
    {"walk_memsegs", walk_memsegs},
    {"walk_lists", walk_lists},
    {"power_of_two", power_of_two},
    {"virt2physical", virt2physical},
};

// ---- Getting ready --------------------------------------------------------------------------------------------------

// Lists lie one behind the other, with a hole of one page between.
static void register_lists(void) {
  uint64_t list_bytes = memsegs_in_list << PAGE_SHIFT, step = list_bytes + page;
  unsigned char *space = mmap(NULL, step * lists + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (space == MAP_FAILED) fail("no address space for the lists");
  uint64_t base = ((uint64_t)(uintptr_t)space + page - 1) & ~(page - 1);
  rte_iova_t *physical = malloc(memsegs_in_list * sizeof *physical);
  if (physical == NULL) fail("no memory");
  for (unsigned i = 0; i < lists; i++) {
    for (uint64_t k = 0; k < memsegs_in_list; k++) physical[k] = (i * memsegs_in_list + k) << PAGE_SHIFT;
    void *at = (void *)(uintptr_t)(base + i * step);
    if (rte_extmem_register(at, list_bytes, physical, (unsigned)memsegs_in_list, page) != 0) fail(rte_strerror(rte_errno));
  }
  free(physical);
  struct highest first = {0, 0, 0}, first_list = {0, 0, 0};
  rte_memseg_walk(higher_memseg, &first);
  rte_memseg_list_walk(higher_list, &first_list);
  if (first.last < base + step * (lists - 1) + list_bytes - 1) fail("the walk does not see the lists");
  highest_memseg = first.last;
  highest_list = first_list.last;
  for (int i = 0; i < ADDRESSES; i++)
    addresses[i] = base + random_below(lists) * step + (random_below(memsegs_in_list) << PAGE_SHIFT) + random_below(page);
}

int main(int total, char **given) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  addresses = malloc(ADDRESSES * sizeof *addresses);
  iovas = malloc(ADDRESSES * sizeof *iovas);
  values = malloc(VALUES * sizeof *values);
  if (addresses == NULL || iovas == NULL || values == NULL) fail("no memory");
  for (int i = 0; i < VALUES; i++) values[i] = 1 + (random_below(UINT64_MAX) >> (1 + random_below(60)));

  if (total == 2 && strcmp(given[1], "physical") == 0) {
    long bytes = sysconf(_SC_PAGESIZE);
    unsigned char *pages = mmap(NULL, (size_t)bytes * PAGES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (pages == MAP_FAILED) fail("no memory");
    for (int i = 0; i < PAGES; i++) addresses[i] = (uint64_t)(uintptr_t)pages + (uint64_t)i * (uint64_t)bytes + 8;
    if (virt2physical().right != PAGES) fail("the kernel shows physical addresses to the privileged only");
  } else if (total == 4 && strcmp(given[1], "memsegs") == 0) {
    lists = (unsigned)atoi(given[2]);
    memsegs_in_list = strtoull(given[3], NULL, 10) / lists;
    start_eal(given[0], 16);
    register_lists();
  } else {
    fail("physical, or: memsegs LISTS MEMSEGS");
  }
  printf("ready\n");

  char line[128], name[64];
  uint64_t repeats;
  while (fgets(line, sizeof line, stdin) != NULL) {
    if (sscanf(line, "time %63s %" SCNu64, name, &repeats) != 2) fail("time NAME REPEATS");
    size_t which = 0;
    while (which < RTE_DIM(measured) && strcmp(measured[which].name, name) != 0) which++;
    if (which == RTE_DIM(measured)) fail("nothing of that name is measured");
    uint64_t operations = 0, right = 0, begun = now();
    for (uint64_t i = 0; i < repeats; i++) {
      struct work work = measured[which].once();
      operations += work.operations;
      right += work.right;
    }
    uint64_t took = now() - begun;
    printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", took, operations, right);
  }
  return 0;
}
