// DPDK's rte_mempool, in a process of its own that answers by lines.
//
//     mempool OBJECTS CACHE RING      CACHE: objects that each lcore keeps for itself, 0 for none; RING: ring_mp_mc, or ring_sp_sc
//
//     time NAME REPEATS   ->   NANOSECONDS OPERATIONS RIGHT
//
// The cache belongs to an EAL thread: a thread that is none has LCORE_ID_ANY and goes to the ring each time. So the main thread,
// which measures, is looked at first.

#define _GNU_SOURCE
#include <inttypes.h>
#include <rte_lcore.h>
#include <rte_mempool.h>
#include <string.h>
#include <time.h>

#include "eal.h"

enum { PAIRS = 4096, BULK = 32, HELD = 4096, OBJECT_BYTES = 2048 };

static struct rte_mempool *pool;
static void *held[HELD];
static uint32_t order[PAIRS];

struct work {
  uint64_t operations;
  uint64_t right;
};

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

// ---- What is measured -----------------------------------------------------------------------------------------------

static struct work pair(void) {
  uint64_t right = 0;
  for (int i = 0; i < PAIRS; i++) {
    void *object = NULL;
    right += rte_mempool_get(pool, &object) == 0;
    rte_mempool_put(pool, object);
  }
  return (struct work){PAIRS, right};
}

static struct work bulk(void) {
  uint64_t right = 0;
  void *objects[BULK];
  for (int i = 0; i < PAIRS / BULK; i++) {
    right += rte_mempool_get_bulk(pool, objects, BULK) == 0 ? BULK : 0;
    rte_mempool_put_bulk(pool, objects, BULK);
  }
  return (struct work){PAIRS, right};
}

// Many are held; one of them is put back, and another is got.
static struct work exchange(void) {
  uint64_t right = 0;
  for (int i = 0; i < PAIRS; i++) {
    void **slot = &held[order[i]];
    rte_mempool_put(pool, *slot);
    right += rte_mempool_get(pool, slot) == 0;
  }
  return (struct work){PAIRS, right};
}

static const struct {
  const char *name;
  struct work (*once)(void);
} measured[] = {{"pair", pair}, {"bulk", bulk}, {"exchange", exchange}};

// ---- Whether it was right -------------------------------------------------------------------------------------------

// All that are held are objects of the pool's, and no two the same: each gets a number written into it, and has it still.
static void check(void) {
  for (uint32_t i = 0; i < HELD; i++) *(uint32_t *)held[i] = i;
  for (uint32_t i = 0; i < HELD; i++)
    if (*(uint32_t *)held[i] != i || rte_mempool_from_obj(held[i]) != pool) fail("an object has two owners");
}

int main(int total, char **given) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (total != 4) fail("OBJECTS CACHE RING");
  unsigned objects = (unsigned)atoi(given[1]), cache = (unsigned)atoi(given[2]);
  unsigned flags = strcmp(given[3], "ring_sp_sc") == 0 ? RTE_MEMPOOL_F_SP_PUT | RTE_MEMPOOL_F_SC_GET : 0;
  start_eal(given[0], 64 + objects / 1024 * 4);
  if (rte_lcore_id() == LCORE_ID_ANY) fail("the main thread has no lcore, and so no cache");
  pool = rte_mempool_create("bench", objects, OBJECT_BYTES, cache, 0, NULL, NULL, NULL, NULL, SOCKET_ID_ANY, flags);
  if (pool == NULL) fail(rte_strerror(rte_errno));
  if ((rte_mempool_default_cache(pool, rte_lcore_id()) != NULL) != (cache > 0)) fail("the pool has another cache than it was told");
  if (rte_mempool_get_bulk(pool, held, HELD) != 0) fail("fewer objects than are held");
  uint32_t state = 2463534242u;
  for (int i = 0; i < PAIRS; i++) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    order[i] = state % HELD;
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
    check();
    printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", took, operations, right);
  }
  return 0;
}
