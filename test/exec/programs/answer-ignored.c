// Something is mapped there already. answer-ignored type1 right|wrong
#include "vfio.h"

int main(int argc, char **argv) {
  (void)argc;
  int container = open_container(VFIO_TYPE1v2_IOMMU);
  char *memory = pages(2);
  expect(map(container, memory, 0x10000, PAGE) == 0, "MAP");
  int answer = map(container, memory + PAGE, 0x10000, PAGE);
  if (strcmp(argv[2], "right") == 0 && answer != 0) {
    expect(unmap(container, 0x10000, PAGE) >= 0, "UNMAP");
    expect(map(container, memory + PAGE, 0x10000, PAGE) == 0, "MAP again");
  }
  expect(unmap(container, 0x10000, PAGE) >= 0, "UNMAP at the end");
  return 0;
}
