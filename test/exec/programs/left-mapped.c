// A part of a map of type1's first version: UNMAP answers 0 and does nothing. left-mapped type1 right|wrong
#include "vfio.h"

int main(int argc, char **argv) {
  (void)argc;
  int container = open_container(VFIO_TYPE1_IOMMU);
  char *memory = pages(4);
  int right = strcmp(argv[2], "right") == 0;
  expect(map(container, memory, 0x10000, 4 * PAGE) == 0, "MAP");
  expect(unmap(container, right ? 0x10000 : 0x11000, (right ? 4 : 2) * PAGE) >= 0, "UNMAP");
  if (!right) expect(unmap(container, 0x10000, 4 * PAGE) >= 0, "UNMAP of all");
  return 0;
}
