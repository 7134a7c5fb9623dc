// Processes of a process, each in its own way; prints their numbers, its own first, and waits. descendants TYPE
//
//     itself ─┬─ a child that sleeps
//             ├─ one that computes, and makes no call
//             ├─ one that is stopped
//             ├─ one that maps and unmaps
//             └─ (gone) ─ a daemon in a session of its own ─ its child
#include "vfio.h"

#include <signal.h>
#include <sys/wait.h>

static int numbers[2];

static void told(void) {
  pid_t own = getpid();
  expect(write(numbers[1], &own, sizeof own) == sizeof own, "write");
}

static void as_daemon(void) {
  setsid();
  fork();
  told();
  for (;;) pause();
}

int main(int argc, char **argv) {
  (void)argc;
  int type = type_of(argv[1]);
  expect(pipe(numbers) == 0, "pipe");
  if (fork() == 0) {
    told();
    for (;;) pause();
  }
  if (fork() == 0) {
    told();
    for (volatile int on = 1; on;) continue;
  }
  if (fork() == 0) {
    told();
    raise(SIGSTOP);
  }
  if (fork() == 0) {
    int container = open_container(type);
    char *memory = pages(1);
    told();
    for (;;) {
      give(container, type, memory, 0x10000, PAGE);
      take(container, type, memory, 0x10000, PAGE);
    }
  }
  pid_t between = fork();
  if (between == 0) {
    if (fork() == 0) as_daemon();
    _exit(0);
  }
  waitpid(between, NULL, 0);
  printf("%d", getpid());
  for (int index = 0; index < 6; index++) {
    pid_t one;
    expect(read(numbers[0], &one, sizeof one) == sizeof one, "read");
    printf(" %d", one);
  }
  printf("\n");
  fflush(stdout);
  for (;;) pause();
}
