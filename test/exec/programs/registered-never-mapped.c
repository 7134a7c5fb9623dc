// Memory that is registered for nothing. registered-never-mapped powernv right|wrong
#include "vfio.h"

int main(int argc, char **argv) {
  (void)argc;
  int container = open_container(VFIO_SPAPR_TCE_v2_IOMMU);
  char *memory = pages(4);
  int right = strcmp(argv[2], "right") == 0;
  expect(register_memory(container, memory, 4 * PAGE) == 0, "REGISTER");
  if (right) expect(map(container, memory, 0x10000, 4 * PAGE) == 0, "MAP");
  if (right) expect(unmap(container, 0x10000, 4 * PAGE) >= 0, "UNMAP");
  expect(unregister_memory(container, memory, 4 * PAGE) == 0, "UNREGISTER");
  return 0;
}
