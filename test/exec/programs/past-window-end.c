// A MAP across the end of its window. past-window-end powernv right|wrong
#include "vfio.h"

int main(int argc, char **argv) {
  (void)argc;
  int container = open_container(VFIO_SPAPR_TCE_v2_IOMMU);
  struct vfio_iommu_spapr_tce_info info = {.argsz = sizeof info};
  expect(ioctl(container, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info) == 0, "GET_INFO");
  uint64_t end = (uint64_t)info.dma32_window_start + info.dma32_window_size;
  char *memory = pages(2);
  expect(register_memory(container, memory, 2 * PAGE) == 0, "REGISTER");
  int right = strcmp(argv[2], "right") == 0;
  uint64_t iova = end - (right ? 2 : 1) * PAGE;
  int answer = map(container, memory, iova, 2 * PAGE);
  long long unmapped = answer == 0 ? unmap(container, iova, 2 * PAGE) : 0;
  if (right) expect(unmapped >= 0, "UNMAP");
  expect(unregister_memory(container, memory, 2 * PAGE) == 0, "UNREGISTER");
  return answer == 0 ? 0 : 1;
}
