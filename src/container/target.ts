import type { AddressRange, IommuInfo } from "../iommu.ts";
import type { Syscalls } from "../syscalls.ts";
import type { Doubts } from "./doubts.ts";
import type { Told } from "./told.ts";

/** The window, as far as its calls need it. */
export interface Target {
  readonly kernel: Syscalls;
  readonly containerFd: number;
  /** Which IOMMU it is. */
  readonly kind: IommuInfo["kind"];
  /** Handles of the core. */
  readonly window: number;
  readonly container: number;
  /** What an interface that threw left open in the container. */
  readonly doubts: Doubts;
  /** Without an IOMMU: what its devices may know of. */
  readonly told: Told;
  /** There where call sites are kept. */
  readonly sites: MapSites | undefined;
  /** Asks the kernel whether it has taken all groups out of the container, and all that was mapped with them. */
  readonly haveGroupsGone: () => boolean;
  readonly start: bigint;
  readonly size: bigint;
  readonly pageShift: number;
  /** type1: what of the window the IOMMU does not allow, and what it allows in all. */
  readonly forbidden: readonly AddressRange[];
  readonly allowed: readonly AddressRange[];
}

/** Learns where the program's own maps are made, and that they are ended: the first `count` rows of the request columns. */
interface MapSites {
  noteMaps(window: number, count: number): void;
  noteUnmaps(window: number, count: number): void;
}

/** The container, as far as its registrations need it. */
export type ContainerTarget = Pick<
  Target,
  "kernel" | "containerFd" | "container" | "kind" | "doubts" | "haveGroupsGone" | "told" | "sites"
>;
