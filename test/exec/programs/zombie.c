// Memory that is unregistered while it is mapped. zombie powernv right|wrong
#include "vfio.h"

int main(int argc, char **argv) {
  (void)argc;
  int container = open_container(VFIO_SPAPR_TCE_v2_IOMMU);
  char *memory = pages(1);
  int right = strcmp(argv[2], "right") == 0;
  give(container, VFIO_SPAPR_TCE_v2_IOMMU, memory, 0x10000, PAGE);
  if (right) expect(unmap(container, 0x10000, PAGE) >= 0, "UNMAP");
  expect(unregister_memory(container, memory, PAGE) == 0, "UNREGISTER");
  if (!right) expect(unmap(container, 0x10000, PAGE) >= 0, "UNMAP");
  return 0;
}
