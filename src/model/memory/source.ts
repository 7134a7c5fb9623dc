import type { Syscalls } from "../../syscalls.ts";

/** Where memory comes from. `linuxKernel()` is one: the model then works on this process's own memory. */
export type MemorySource = Pick<
  Syscalls,
  "mmap" | "munmap" | "bindNode" | "populate" | "view" | "unview" | "read" | "write" | "physicalAddresses" | "identity"
>;
