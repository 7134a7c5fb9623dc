// Memory that goes while the device reaches it. given-back TYPE right|wrong HOW
#include "vfio.h"

int main(int argc, char **argv) {
  (void)argc;
  int type = type_of(argv[1]);
  int right = strcmp(argv[2], "right") == 0;
  const char *how = argv[3];
  int container = open_container(type);
  int is_brk = strcmp(how, "brk") == 0, is_free = strcmp(how, "free") == 0;
  char *memory = is_brk ? (char *)(((uintptr_t)sbrk(8 * PAGE) + PAGE - 1) & ~(PAGE - 1)) : is_free ? aligned_alloc(PAGE, 1024 * PAGE) : pages(4);
  memset(memory, 1, 4 * PAGE);
  give(container, type, memory, 0x10000, 4 * PAGE);
  if (right) take(container, type, memory, 0x10000, 4 * PAGE);
  if (strcmp(how, "munmap") == 0) munmap(memory, 4 * PAGE);
  if (strcmp(how, "mmap") == 0) mmap(memory, 4 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  if (strcmp(how, "mremap") == 0) mremap(memory, 4 * PAGE, 2 * PAGE, 0);
  if (strcmp(how, "mprotect") == 0) mprotect(memory, 4 * PAGE, PROT_READ);
  if (strcmp(how, "madvise") == 0) madvise(memory, 4 * PAGE, MADV_DONTNEED);
  if (is_brk) brk(memory);
  if (is_free) free(memory);
  if (!right) take(container, type, memory, 0x10000, 4 * PAGE);
  return 0;
}
