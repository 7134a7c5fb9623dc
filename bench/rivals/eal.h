// DPDK's environment, started without hugepages, devices or files.

#pragma once

#include <rte_common.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

static void fail(const char *what) {
  printf("error %s\n", what);
  exit(1);
}

// With so much memory of its own. The thread that calls this is an EAL thread from then on, with an lcore.
static void start_eal(char *program, unsigned megabytes) {
  char memory[16], core[16] = "0";
  snprintf(memory, sizeof memory, "%u", megabytes);
  // --in-memory does not go with --no-huge here; --no-shconf keeps the arrays out of files as well.
  char *arguments[] = {program, "-l",       core,          "--no-huge",      "-m",
                       memory,  "--no-pci", "--no-shconf", "--no-telemetry", "--log-level=error"};
  // EAL wants a core that this process may use; which one does not matter.
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
    for (int i = 0; i < CPU_SETSIZE; i++) {
      if (!CPU_ISSET(i, &allowed)) continue;
      snprintf(core, sizeof core, "%d", i);
      break;
    }
  }
  if (rte_eal_init(RTE_DIM(arguments), arguments) < 0) fail(rte_strerror(rte_errno));
  // The main thread was bound to that core; the bench's other contenders are bound to none.
  sched_setaffinity(0, sizeof allowed, &allowed);
}
