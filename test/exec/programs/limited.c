// What calls answer, one after the other. limited TYPE each|all: pages that are unmapped at once, or at the end; limited TYPE open
#include "vfio.h"

static void say(const char *what, int answer) { printf("%s %s\n", what, answer == 0 ? "0" : answer > 0 ? "more" : strerror(errno)); }

int main(int argc, char **argv) {
  (void)argc;
  if (strcmp(argv[2], "open") == 0) {
    say("open", open("/dev/vfio/vfio", O_RDWR) < 0 ? -1 : 0);
    say("open", open("/dev/vfio/vfio", O_RDWR) < 0 ? -1 : 0);
    return 0;
  }
  int type = type_of(argv[1]);
  int container = open_container(type);
  char *memory = pages(4);
  int all = strcmp(argv[2], "all") == 0;
  for (unsigned page = 0; page < 4; page++) {
    if (type == VFIO_SPAPR_TCE_v2_IOMMU) {
      int registered = register_memory(container, memory + page * PAGE, PAGE);
      if (registered != 0) {
        say("REGISTER", registered);
        continue;
      }
    }
    int answer = map(container, memory + page * PAGE, 0x10000 + page * PAGE, PAGE);
    say("MAP", answer);
    if (answer == 0 && !all) take(container, type, memory + page * PAGE, 0x10000 + page * PAGE, PAGE);
    else if (answer != 0 && type == VFIO_SPAPR_TCE_v2_IOMMU) unregister_memory(container, memory + page * PAGE, PAGE);
  }
  if (all) unmap(container, 0x10000, 4 * PAGE);
  return 0;
}
