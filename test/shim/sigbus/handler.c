// To be loaded into a process: a handler of SIGBUS that was there before the shim's, as HANDLER says: "siginfo" or "plain", which say what they
// were given and end the process with 42; "once", which goes back to the default; "ignore".

#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void say(const char *text) {
  if (write(1, text, strlen(text)) < 0) _exit(1);
}

static void siginfo(int signal, siginfo_t *info, void *context) {
  say(signal == SIGBUS && info->si_code == BUS_ADRERR && context != 0 ? "siginfo: adrerr\n" : "siginfo\n");
  _exit(42);
}

static void plain(int signal) {
  say(signal == SIGBUS ? "plain\n" : "?\n");
  _exit(42);
}

static void once(int signal) { say(signal == SIGBUS ? "once\n" : "?\n"); }

__attribute__((constructor)) static void install(void) {
  const char *wanted = getenv("HANDLER");
  struct sigaction action;
  memset(&action, 0, sizeof action);
  if (wanted == 0) return;
  if (strcmp(wanted, "siginfo") == 0) {
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = siginfo;
  } else if (strcmp(wanted, "once") == 0) {
    action.sa_flags = SA_RESETHAND;
    action.sa_handler = once;
  } else {
    action.sa_handler = strcmp(wanted, "ignore") == 0 ? SIG_IGN : plain;
  }
  sigaction(SIGBUS, &action, 0);
}
