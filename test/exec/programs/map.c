// Maps pages, asks for the device, and unmaps. map TYPE [STATUS]
#include "vfio.h"

int main(int argc, char **argv) {
  int type = type_of(argv[1]);
  int container = open_container(type);
  char *memory = pages(4);
  give(container, type, memory, 0x10000, 4 * PAGE);
  take(container, type, memory, 0x10000, 4 * PAGE);
  munmap(memory, 4 * PAGE);
  printf("API %d, status %s\n", ioctl(container, VFIO_GET_API_VERSION), argc > 2 ? argv[2] : "0");
  return argc > 2 ? atoi(argv[2]) : 0;
}
