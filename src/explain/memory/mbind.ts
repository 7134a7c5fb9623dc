/** `mbind`: memory of one NUMA node. */
import { type Cause, causesOf, type Question } from "../cause.ts";
import type { Machine } from "../machine.ts";
import { mapCountCause, outOfMemory } from "./common.ts";

/** The nodes that are there, and those that this process may use. */
const nodes: Question = (machine, { node }) => {
  const online = machine.text("/sys/devices/system/node/has_memory")?.trim();
  const allowed = machine.status("Mems_allowed_list");
  if (typeof node !== "number" || (online === undefined && allowed === undefined)) return undefined;
  const here = [
    online === undefined ? "" : `nodes with memory are ${online}`,
    allowed === undefined ? "" : `this process may use ${allowed}`,
  ];
  return {
    verdict: "likely",
    why: `node ${node} has no memory, or is not for this process: ${here.filter(Boolean).join("; ")}`,
  };
};

/** A seccomp profile of container tools lets mbind through only with CAP_SYS_NICE. */
const filtered: Question = (machine: Machine) => {
  const mode = machine.status("Seccomp");
  if (mode === undefined) return undefined;
  return { verdict: mode === "0" ? "unlikely" : "likely" };
};

export const mbindCauses: readonly Cause[] = causesOf("mbind", {
  EINVAL: [
    {
      id: "node",
      source: "mm/mempolicy.c: mpol_set_nodemask",
      why: "the NUMA node is not there, has no memory, or is not among those that this process may use (cpuset)",
      next: "take one of readNodes()",
      ask: nodes,
    },
  ],
  EPERM: [
    {
      id: "seccomp",
      source: "kernel/seccomp.c: __seccomp_filter",
      why: "a seccomp profile, as of a container, refuses it",
      guards: "the profile keeps a container from moving memory of other nodes' users",
      next: "allow mbind alone in the profile, or run without node",
      ask: filtered,
    },
  ],
  ENOSYS: [
    {
      id: "no-numa",
      source: "mm/Makefile: CONFIG_NUMA",
      why: "the kernel was built without NUMA, or a sandbox does not have the call",
      next: "leave node out: all memory is of one node",
    },
  ],
  ENOMEM: [
    { ...outOfMemory, source: "mm/mempolicy.c: mpol_new", why: "the kernel has no memory for the policy" },
    mapCountCause,
  ],
  EFAULT: [
    {
      id: "not-mapped",
      source: "mm/mempolicy.c: queue_pages_test_walk",
      why: "not all of the range is mapped",
      next: "let nobody unmap memory that is not theirs",
    },
  ],
  EIO: [
    {
      id: "elsewhere",
      source: "mm/mempolicy.c: do_mbind (MPOL_MF_STRICT)",
      why: "pages of the range lie on another node already",
      next: "free them first",
    },
  ],
});
