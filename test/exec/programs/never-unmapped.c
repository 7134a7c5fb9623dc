// Maps that are there when the program ends. never-unmapped TYPE right|wrong
#include "vfio.h"

int main(int argc, char **argv) {
  (void)argc;
  int type = type_of(argv[1]);
  int container = open_container(type);
  char *memory = pages(2);
  give(container, type, memory, 0x10000, 2 * PAGE);
  if (strcmp(argv[2], "right") == 0) take(container, type, memory, 0x10000, 2 * PAGE);
  return 0;
}
