import type { Syscalls } from "../../syscalls.ts";

/** Where memory comes from. `linuxKernel()` is one: the model then works on this process's own memory. */
export type MemorySource = Pick<
  Syscalls,
  "mmap" | "munmap" | "bindNode" | "populate" | "view" | "unview" | "read" | "write" | "physicalAddresses" | "identity"
> &
  KeptPages;

/**
 * What a source may do for devices whose pages the process gives back. They are pinned in the model alone, so without this a device's
 * access to them is {@link ModelUnknown}.
 */
export interface KeptPages {
  /** The process gives memory back, which is `owner`'s for the model: what devices reach of it is theirs from now on. */
  keep?(owner: object, address: bigint, length: bigint): void;
  /** The 4096 bytes of a page that was kept; what is written there stays there. */
  kept?(owner: object, address: bigint): Uint8Array | undefined;
}
