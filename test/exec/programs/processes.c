// Several processes, and several programs in one. processes TYPE fork|exec|thread|outlive
#include "vfio.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

static int container;

static void *in_thread(void *memory) {
  expect(map(container, memory, 0x10000, PAGE) == 0, "MAP of the thread");
  return NULL;
}

int main(int argc, char **argv) {
  int type = type_of(argv[1]);
  if (argc > 3) {  // executed, with the container under a number
    container = atoi(argv[3]);
    char *memory = pages(1);
    int answer = map(container, memory, 0x20000, PAGE);
    printf("executed: API %d, MAP %s\n", ioctl(container, VFIO_GET_API_VERSION), answer == 0 ? "0" : strerror(errno));
    return answer == 0 && unmap(container, 0x20000, PAGE) < 0;
  }
  if (strcmp(argv[2], "outlive") == 0) {
    pid_t parent = getpid();
    if (fork() != 0) return 7;
    while (kill(parent, 0) == 0) usleep(1000);  // until it has been waited for
  }
  container = open_container(type);
  char *memory = pages(2);
  if (strcmp(argv[2], "outlive") == 0) {
    give(container, type, memory, 0x10000, PAGE);
    take(container, type, memory, 0x10000, PAGE);
    return 0;
  }
  if (strcmp(argv[2], "thread") == 0) {
    pthread_t thread;
    if (type == VFIO_SPAPR_TCE_v2_IOMMU) expect(register_memory(container, memory, PAGE) == 0, "REGISTER");
    pthread_create(&thread, NULL, in_thread, memory);
    pthread_join(thread, NULL);
    take(container, type, memory, 0x10000, PAGE);
    return 0;
  }
  give(container, type, memory, 0x10000, PAGE);
  if (strcmp(argv[2], "fork") == 0) {
    pid_t child = fork();
    if (child == 0) {
      // A memory of its own: what it gives back is not what the device reaches.
      munmap(memory, 2 * PAGE);
      int again = open("/dev/vfio/26", O_RDWR);
      printf("child: the group %s, API %d\n", again < 0 ? strerror(errno) : "is open", ioctl(container, VFIO_GET_API_VERSION));
      fflush(stdout);
      _exit(0);
    }
    waitpid(child, NULL, 0);
    take(container, type, memory, 0x10000, PAGE);
    printf("parent: unmapped\n");
    return 0;
  }
  char number[16];
  snprintf(number, sizeof number, "%d", container);
  execl("/proc/self/exe", argv[0], argv[1], "exec", number, (char *)NULL);
  return 1;
}
