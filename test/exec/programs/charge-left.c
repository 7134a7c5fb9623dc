// A MAP that fails, and memory that stays registered. charge-left powernv right|wrong
#include "vfio.h"

int main(int argc, char **argv) {
  (void)argc;
  int container = open_container(VFIO_SPAPR_TCE_v2_IOMMU);
  char *memory = pages(1);
  expect(register_memory(container, memory, PAGE) == 0, "REGISTER");
  // Far behind every window.
  expect(map(container, memory, 1ull << 50, PAGE) != 0, "no MAP");
  if (strcmp(argv[2], "right") == 0) expect(unregister_memory(container, memory, PAGE) == 0, "UNREGISTER");
  return 3;
}
