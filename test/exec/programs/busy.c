// Maps and unmaps until it is ended, or gives memory back that it has not; says so when it has begun. busy TYPE [nothing]
#include "vfio.h"

int main(int argc, char **argv) {
  int type = type_of(argv[1]);
  int container = open_container(type);
  char *memory = pages(1);
  printf("%d\n", getpid());
  fflush(stdout);
  while (argc > 2) munmap((void *)PAGE, PAGE);
  for (;;) {
    give(container, type, memory, 0x10000, PAGE);
    take(container, type, memory, 0x10000, PAGE);
  }
}
