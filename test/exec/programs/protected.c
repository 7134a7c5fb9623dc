// Memory that is protected otherwise after VFIO has come to know it: what a MAP answers. protected TYPE
#include "vfio.h"

static int type, container;

static void try_map(const char *what, char *memory, unsigned flags) {
  if (type == VFIO_SPAPR_TCE_v2_IOMMU && register_memory(container, memory, PAGE) != 0) {
    printf("%s: REGISTER %s\n", what, strerror(errno));
    return;
  }
  struct vfio_iommu_type1_dma_map map = {.argsz = sizeof map, .flags = flags, .vaddr = (uintptr_t)memory, .iova = 0x10000, .size = PAGE};
  int answer = ioctl(container, VFIO_IOMMU_MAP_DMA, &map);
  printf("%s: %s\n", what, answer == 0 ? "0" : strerror(errno));
  if (answer == 0) unmap(container, 0x10000, PAGE);
  if (type == VFIO_SPAPR_TCE_v2_IOMMU) unregister_memory(container, memory, PAGE);
}

int main(int argc, char **argv) {
  (void)argc;
  type = type_of(argv[1]);
  container = open_container(type);
  char *memory = pages(3);
  try_map("written", memory, 3);
  mprotect(memory, PAGE, PROT_READ);
  try_map("then only read", memory, 3);
  mprotect(memory, 3 * PAGE, PROT_NONE);
  try_map("then not at all", memory + PAGE, 1);
  mprotect(memory, 3 * PAGE, PROT_READ | PROT_WRITE);
  try_map("then written", memory, 3);
  // The kernel says no to this one: nothing changes.
  int file = open("/proc/self/exe", O_RDONLY);
  char *shared = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 0);
  expect(shared != MAP_FAILED, "mmap of a file");
  try_map("a file, only read", shared, 1);
  expect(mprotect(shared, PAGE, PROT_READ | PROT_WRITE) != 0, "mprotect that is refused");
  try_map("then only read", shared, 3);
  return 0;
}
