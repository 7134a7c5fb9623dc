// Maps that are there when the program ends. never-unmapped TYPE right|wrong [first|large]
//
// first: the container's descriptor goes first, and its group is asked. large: the process takes its time to end, and its memory goes before its files.
#include "vfio.h"

int main(int argc, char **argv) {
  int type = type_of(argv[1]);
  int container = open_container(type);
  char *memory = pages(2);
  give(container, type, memory, 0x10000, 2 * PAGE);
  if (strcmp(argv[2], "right") == 0) take(container, type, memory, 0x10000, 2 * PAGE);
  if (argc > 3 && strcmp(argv[3], "large") == 0) pages(65536);
  if (argc > 3 && strcmp(argv[3], "first") == 0) {
    struct vfio_group_status status = {.argsz = sizeof status};
    close(container);  // the group is the next one
    expect(ioctl(container + 1, VFIO_GROUP_GET_STATUS, &status) == 0, "GET_STATUS");
  }
  return 0;
}
