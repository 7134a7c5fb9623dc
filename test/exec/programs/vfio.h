// What the programs of this folder have in common: a container with a group in it, memory, and words on stdout.
#ifndef TEST_EXEC_VFIO_H_
#define TEST_EXEC_VFIO_H_

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096ull
#define DEVICE "0000:00:1a.0"

static void expect(int holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

// A container with group 26, and the IOMMU of a type.
static inline int open_container(int type) {
  int container = open("/dev/vfio/vfio", O_RDWR);
  expect(container >= 0, "open the container");
  int group = open("/dev/vfio/26", O_RDWR);
  expect(group >= 0, "open the group");
  expect(ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) == 0, "SET_CONTAINER");
  expect(ioctl(container, VFIO_SET_IOMMU, (unsigned long)type) == 0, "SET_IOMMU");
  return container;
}

static inline char *pages(unsigned count) {
  char *memory = mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  expect(memory != MAP_FAILED, "mmap");
  return memory;
}

static inline int map(int container, void *memory, uint64_t iova, uint64_t size) {
  struct vfio_iommu_type1_dma_map map = {.argsz = sizeof map, .flags = 3, .vaddr = (uintptr_t)memory, .iova = iova, .size = size};
  return ioctl(container, VFIO_IOMMU_MAP_DMA, &map);
}

// The size that was unmapped, or -1.
static inline long long unmap(int container, uint64_t iova, uint64_t size) {
  struct vfio_iommu_type1_dma_unmap unmap = {.argsz = sizeof unmap, .iova = iova, .size = size};
  return ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap) == 0 ? (long long)unmap.size : -1;
}

static inline int register_memory(int container, void *memory, uint64_t size) {
  struct vfio_iommu_spapr_register_memory memory_range = {.argsz = sizeof memory_range, .vaddr = (uintptr_t)memory, .size = size};
  return ioctl(container, VFIO_IOMMU_SPAPR_REGISTER_MEMORY, &memory_range);
}

static inline int unregister_memory(int container, void *memory, uint64_t size) {
  struct vfio_iommu_spapr_register_memory memory_range = {.argsz = sizeof memory_range, .vaddr = (uintptr_t)memory, .size = size};
  return ioctl(container, VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY, &memory_range);
}

// On POWER the memory is registered first.
static inline void give(int container, int type, void *memory, uint64_t iova, uint64_t size) {
  if (type == VFIO_SPAPR_TCE_v2_IOMMU) expect(register_memory(container, memory, size) == 0, "REGISTER");
  expect(map(container, memory, iova, size) == 0, "MAP");
}

static inline void take(int container, int type, void *memory, uint64_t iova, uint64_t size) {
  expect(unmap(container, iova, size) >= 0, "UNMAP");
  if (type == VFIO_SPAPR_TCE_v2_IOMMU) expect(unregister_memory(container, memory, size) == 0, "UNREGISTER");
}

// The first argument: type1 or powernv.
static inline int type_of(const char *word) { return strcmp(word, "powernv") == 0 ? VFIO_SPAPR_TCE_v2_IOMMU : VFIO_TYPE1v2_IOMMU; }

#endif
