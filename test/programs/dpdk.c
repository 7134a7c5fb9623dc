// Drives DPDK's own VFIO code (librte_eal), as a user-space driver outside of DPDK would: one device, and memory of its own beside
// DPDK's.
//
//     dpdk EAL-OPTIONS -- unmap IOVA     three pages behind one another at an IOVA, of which the middle one is unmapped, and then the others
//     dpdk EAL-OPTIONS -- late           DPDK's memory grows, the device is set up, and a part of the memory is freed and had again
//     dpdk EAL-OPTIONS -- grow           the device is set up, and DPDK's memory grows and shrinks
//
// It says what each call answered, and nothing of what a device reaches: that is what it is run for.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/vfio.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_vfio.h>

static const char devices[] = "/sys/bus/pci/devices";
static const char address[] = "0000:00:1a.0";
static const uint64_t page = 4096;
static const size_t large = 8000000;

static int device = -1;

static int set_up(void) {
  struct vfio_device_info about = {.argsz = sizeof about};
  int answer = rte_vfio_setup_device(devices, address, &device, &about);
  printf("set up: %d\n", answer);
  return answer;
}

static void give_back(void) {
  printf("release: %d\n", rte_vfio_release_device(devices, address, device));
}

static int unmap_one_of_three(uint64_t iova) {
  char *memory = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED || set_up() != 0) return 1;
  for (uint64_t at = 0; at < 3 * page; at += page) {
    int answer = rte_vfio_container_dma_map(RTE_VFIO_DEFAULT_CONTAINER_FD, (uintptr_t)memory + at, iova + at, page);
    printf("map %#" PRIx64 ": %d\n", iova + at, answer);
    if (answer != 0) return 1;
  }
  const uint64_t order[] = {page, 0, 2 * page};
  for (int index = 0; index < 3; index++) {
    uint64_t at = order[index];
    int answer = rte_vfio_container_dma_unmap(RTE_VFIO_DEFAULT_CONTAINER_FD, (uintptr_t)memory + at, iova + at, page);
    printf("unmap %#" PRIx64 ": %d\n", iova + at, answer);
  }
  printf("munmap: %d\n", munmap(memory, 3 * page));
  give_back();
  return 0;
}

static int free_what_was_there_before(void) {
  void *first = rte_malloc(NULL, large, 0);
  void *second = rte_malloc(NULL, large, 0);
  printf("malloc: %d\n", first != NULL && second != NULL);
  if (set_up() != 0) return 1;
  rte_free(first);
  printf("free, and malloc: %d\n", rte_malloc(NULL, large, 0) != NULL);
  return 0;
}

static int grow_and_shrink(void) {
  if (set_up() != 0) return 1;
  void *first = rte_malloc(NULL, large, 0);
  void *second = rte_malloc(NULL, large, 0);
  printf("malloc: %d\n", first != NULL && second != NULL);
  rte_free(second);
  printf("free, and malloc: %d\n", rte_malloc(NULL, large, 0) != NULL);
  give_back();
  return 0;
}

static int only_set_up(void) {
  if (set_up() != 0) return 1;
  give_back();
  return 0;
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  int used = rte_eal_init(argc, argv);
  if (used < 0) {
    printf("rte_eal_init: %s\n", rte_strerror(rte_errno));
    return 1;
  }
  const char *what = argc > used + 1 ? argv[used + 1] : "";
  const char *iova = argc > used + 2 ? argv[used + 2] : "0x10000";
  int failed = strcmp(what, "late") == 0   ? free_what_was_there_before()
               : strcmp(what, "grow") == 0 ? grow_and_shrink()
               : strcmp(what, "unmap") == 0 ? unmap_one_of_three(strtoull(iova, NULL, 0))
                                            : only_set_up();
  printf("cleanup: %d\n", rte_eal_cleanup());
  return failed;
}
