/** What a container says of its IOMMU, and of the process that holds it: the facts that a plan is made from. */
import type { LockedMemory } from "./syscalls.ts";

/** A range of addresses; both ends are inside. */
export interface AddressRange {
  readonly start: bigint;
  readonly last: bigint;
}

/** A pool of hugepages, as the kernel's machine says of it. */
export interface HugepageFacts {
  /** Bytes of one page. */
  readonly pageSize: bigint;
  /** Pages in the pool, in use or not. */
  readonly total: number;
  /**
   * Pages that can still be had: those that are free and promised to nobody, and those that the kernel may borrow. Of a NUMA node
   * the most: the kernel does not say whose pages are promised, nor from which node it will borrow.
   */
  readonly available: number;
  /** Bytes of them that the process's cgroups still allow, where one limits them. */
  readonly allowedBytes?: bigint;
}

/** A NUMA node of a machine that has several. */
export interface NodeFacts {
  readonly id: number;
  /** Whether a device of the container's groups is near it. */
  readonly isNear: boolean;
  /** Its own pools of hugepages. */
  readonly hugepages: readonly HugepageFacts[];
}

/** Names the container that gave an info. A symbol: it goes along with copies, and is no fact to compare or to store. */
export const CONTAINER: unique symbol = Symbol("container");

interface CommonInfo {
  /** Which of this process's containers says so: a memory tells by it what it has mapped there already. */
  readonly [CONTAINER]?: number;
  /** The CPU's page size in bytes. */
  readonly cpuPageSize: number;
  /** The page sizes of the IOMMU as a mask: bit n stands for 2^n bytes. */
  readonly pageSizes: bigint;
  readonly lockedMemory: LockedMemory;
  /** The pools of hugepages, where they are known: what full growth is held against. */
  readonly hugepages?: readonly HugepageFacts[];
  /** The NUMA nodes, where there are several. */
  readonly nodes?: readonly NodeFacts[];
}

/** sPAPR TCE v2, from VFIO_IOMMU_SPAPR_TCE_GET_INFO. */
export interface SpaprInfo extends CommonInfo {
  readonly kind: "spapr";
  /**
   * Bare metal or an LPAR. Nothing in the kernel's answer says so but the levels: firmware's tables have one level, and
   * PowerNV offers five (arch/powerpc/platforms/pseries/iommu.c and powernv/pci-ioda.c: spapr_tce_iommu_group...levels).
   */
  readonly platform: "powernv" | "pseries";
  /** Whether windows can be created at all (VFIO_IOMMU_SPAPR_INFO_DDW). */
  readonly dynamicWindows: boolean;
  /** How many windows there may be at a time. */
  readonly maxWindows: number;
  /** The most levels of a table that the kernel names. Fewer may be possible: see the plan. */
  readonly levels: number;
  /** The window that is there at first; the kernel names it even after it was removed. */
  readonly defaultWindow: { readonly start: bigint; readonly size: bigint };
}

/** type1 (x86, Arm), from VFIO_IOMMU_GET_INFO and its capabilities. */
export interface Type1Info extends CommonInfo {
  readonly kind: "type1";
  /**
   * Which of the two the container speaks. They differ in UNMAP alone: a range that begins or ends inside a map is refused
   * by version 2, and answered with success, and another result, by version 1.
   */
  readonly version: 1 | 2;
  /** The IOVAs that may be mapped, ascending. */
  readonly ranges: readonly AddressRange[];
  /**
   * Who says so: VFIO itself (`kernel`, since Linux 5.4); the groups' files of that name in sysfs (`reserved_regions`, since
   * 4.11); or neither, so that what is left out is where x86 or Arm has its interrupts (`architecture`). All but the first may
   * name more than the IOMMU can translate.
   */
  readonly rangesFrom?: "kernel" | "reserved_regions" | "architecture";
  /** How many more maps the kernel takes, where it says so. */
  readonly mapsAvailable?: number;
}

/**
 * No IOMMU: a device reaches all memory, and IOVAs are physical addresses. The kernel says nothing of it; `pageSizes` has
 * every size from 4 KiB on.
 */
export interface NoIommuInfo extends CommonInfo {
  readonly kind: "noiommu";
}

export type IommuInfo = SpaprInfo | Type1Info | NoIommuInfo;
