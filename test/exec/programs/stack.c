// Memory that is given back while the device reaches it, from a place that its caller knows. stack type1|none HOW IOVA
// With `none` it does without VFIO: for a debugger, beside which stacks are held.
#include <alloca.h>
#include <pthread.h>
#include <signal.h>
#include "vfio.h"

#define NOINLINE __attribute__((noinline, noclone))

void called_back(void (*function)(void));

static char *memory;
static volatile int zero;

// Something to do behind each call: so no call is a jump.
NOINLINE void give_back(void) {
  munmap(memory, 4 * PAGE);
  zero = 0;
}

NOINLINE void third(void) {
  give_back();
  zero = 0;
}

NOINLINE void second(int many) {
  volatile char large[3000];
  large[many] = 1;
  third();
  zero = large[many] - 1;
}

NOINLINE void first(void) {
  second(17);
  zero = 0;
}

NOINLINE int down(int levels) {
  if (levels == 0) {
    give_back();
    return 0;
  }
  return down(levels - 1) + levels + zero;
}

NOINLINE void with_alloca(int bytes) {
  volatile char *room = alloca((size_t)bytes);
  room[0] = 0;
  third();
  zero = room[0];
}

static void on_signal(int number) {
  (void)number;
  third();
  zero = 0;
}

NOINLINE void interrupted(int flags) {
  static char stack[65536];
  stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&other, NULL);
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
  sigaction(SIGUSR1, &action, NULL);
  raise(SIGUSR1);
  zero = 0;
}

static void *in_thread(void *nothing) {
  third();
  return nothing;
}

int main(int argc, char **argv) {
  int has_device = strcmp(argv[1], "none") != 0;
  const char *how = argv[2];
  int container = has_device ? open_container(type_of(argv[1])) : -1;
  memory = pages(4);
  if (has_device) give(container, type_of(argv[1]), memory, strtoull(argv[3], NULL, 0), 4 * PAGE);
  if (strcmp(how, "calls") == 0) first();
  if (strcmp(how, "recursion") == 0) zero = down(1000) != 0;
  if (strcmp(how, "alloca") == 0) with_alloca(argc * 1000);
  if (strcmp(how, "signal") == 0) interrupted(0);
  if (strcmp(how, "other-stack") == 0) interrupted(SA_ONSTACK);
  if (strcmp(how, "library") == 0) called_back(third);
  if (strcmp(how, "thread") == 0) {
    pthread_t thread;
    pthread_create(&thread, NULL, in_thread, NULL);
    pthread_join(thread, NULL);
  }
  return 0;
}
