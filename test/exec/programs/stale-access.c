// A device that moves data of memory which was given back. stale-access TYPE right|wrong HOW DEVICE
#include "edu.h"

int main(int argc, char **argv) {
  (void)argc;
  int type = type_of(argv[1]);
  is_swapped = type == VFIO_SPAPR_TCE_v2_IOMMU;
  int right = strcmp(argv[2], "right") == 0;
  const char *how = argv[3];
  int container = open_device(type, "26", argv[4]);
  be_bus_master();
  char *memory = pages(1), *other = pages(1);
  memset(memory, 0x5a, PAGE);
  give(container, type, memory, 0x10000, PAGE);
  give(container, type, other, 0x20000, PAGE);
  edu_move(0x10000, BUFFER, 64, 0);
  if (right) take(container, type, memory, 0x10000, PAGE);
  if (strcmp(how, "munmap") == 0) {
    munmap(memory, PAGE);
    memory = NULL;
  }
  // Other memory at the same addresses.
  if (strcmp(how, "mmap") == 0) mmap(memory, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  if (strcmp(how, "madvise") == 0) madvise(memory, PAGE, MADV_DONTNEED);
  // The very same pages: nothing is stale.
  if (strcmp(how, "mprotect") == 0) mprotect(memory, PAGE, PROT_READ);
  if (right) {
    // The other one is the device's still.
    edu_move(BUFFER, 0x20000, 64, TO_MEMORY);
  } else {
    edu_move(0x10000, BUFFER + 100, 64, 0);
    edu_move(BUFFER + 100, 0x20000, 64, TO_MEMORY);
    edu_move(BUFFER + 200, 0x10000, 64, TO_MEMORY);
    edu_move(BUFFER + 200, 0x10000, 64, TO_MEMORY);
  }
  printf("old bytes %d, there %d\n", other[63] == 0x5a, memory == NULL ? -1 : memory[63]);
  if (!right) take(container, type, memory, 0x10000, PAGE);
  take(container, type, other, 0x20000, PAGE);
  return 0;
}
