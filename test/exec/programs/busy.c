// Maps and unmaps until it is ended; says so when it has begun. busy TYPE
#include "vfio.h"

int main(int argc, char **argv) {
  (void)argc;
  int type = type_of(argv[1]);
  int container = open_container(type);
  char *memory = pages(1);
  printf("%d\n", getpid());
  fflush(stdout);
  for (;;) {
    give(container, type, memory, 0x10000, PAGE);
    take(container, type, memory, 0x10000, PAGE);
  }
}
