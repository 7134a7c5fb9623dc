// An UNMAP that takes away what was not meant. unmapped-another TYPE right|wrong [all]
//
// type1: the first version takes a whole map away where one begins in the range; with `all`, the right one says that it means all there is. powernv: a struct of MAP in UNMAP's place, so that vaddr is
// read as iova, and iova as size.
#include "vfio.h"

static int of_type1(int right, int all) {
  int container = open_container(VFIO_TYPE1_IOMMU);
  char *memory = pages(8);
  expect(map(container, memory, 0x10000, 8 * PAGE) == 0, "MAP");
  struct vfio_iommu_type1_dma_unmap whole = {.argsz = sizeof whole, .flags = VFIO_DMA_UNMAP_FLAG_ALL};
  if (right && all) expect(ioctl(container, VFIO_IOMMU_UNMAP_DMA, &whole) == 0 && whole.size == 8 * PAGE, "UNMAP of all");
  else expect(unmap(container, 0x10000, (right ? 8 : 2) * PAGE) >= 0, "UNMAP");
  return 0;
}

static int of_powernv(int right) {
  int type = VFIO_SPAPR_TCE_v2_IOMMU;
  int container = open_container(type);
  char *memory[2] = {pages(1), pages(1)};
  for (int i = 0; i < 2; i++) give(container, type, memory[i], 0x10000 + i * PAGE, PAGE);
  struct vfio_iommu_type1_dma_map wrong = {.argsz = sizeof wrong, .iova = 0x11000, .size = PAGE};
  if (right) expect(unmap(container, 0x11000, PAGE) >= 0, "UNMAP");
  else expect(ioctl(container, VFIO_IOMMU_UNMAP_DMA, &wrong) == 0, "UNMAP");
  expect(unregister_memory(container, memory[1], PAGE) == 0, "UNREGISTER");
  if (right) take(container, type, memory[0], 0x10000, PAGE);
  return 0;
}

int main(int argc, char **argv) {
  int right = strcmp(argv[2], "right") == 0;
  return strcmp(argv[1], "type1") == 0 ? of_type1(right, argc > 3) : of_powernv(right);
}
