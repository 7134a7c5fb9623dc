/**
 * VFIO_IOMMU_GET_INFO of type1: a struct, and behind it a chain of capabilities whose length only the kernel knows. Asked
 * with too little room it answers 0 all the same, and says in `argsz` how much it takes
 * (drivers/vfio/vfio_iommu_type1.c: vfio_iommu_type1_get_info).
 */
import { core } from "../../core.ts";
import { DmaWindowError } from "../../errors.ts";
import { refusedByKernel } from "../../explain.ts";
import { bytes } from "../../hex.ts";
import type { AddressRange, Type1Info } from "../../iommu.ts";
import { type Syscalls, VfioCall } from "../../syscalls.ts";

/** `flags`. */
const PAGE_SIZES = 1;
const CAPABILITIES = 2;

/** Capabilities. Another one, such as 2 (migration), is passed over. */
const IOVA_RANGES = 1;
const MAPS_AVAILABLE = 3;

const STRUCT_BYTES = 24;

/** 65536 ranges would fit; machines have two or three. */
const INFO_BYTES_MAX = 1 << 20;

/** A device that joins the container between two calls can make the answer longer; not again and again. */
const ASKS_MAX = 4;

const EVERYTHING: readonly AddressRange[] = [{ start: 0n, last: 0xffff_ffff_ffff_ffffn }];

type Answer = Pick<Type1Info, "pageSizes" | "ranges" | "mapsAvailable">;

/** @throws `ERR_KERNEL`; `ERR_MALFORMED_INFO` for an answer that makes no sense; `ERR_OUT_OF_MEMORY`. */
export function readType1Info(kernel: Syscalls, containerFd: number): Answer {
  let room = STRUCT_BYTES;
  for (let asks = 0; asks < ASKS_MAX; asks++) {
    const answer = ask(kernel, containerFd, room);
    if (typeof answer !== "number") return answer;
    room = answer;
  }
  throw malformed(`it asks for more room every time, at last for ${bytes(room)}`);
}

/** Asks with that much room. Gives what the kernel said, or the room that it takes. */
function ask(kernel: Syscalls, containerFd: number, room: number): Answer | number {
  const at = core.acquireBytes(room);
  if (at === 0) throw new DmaWindowError("ERR_OUT_OF_MEMORY", `no room for ${bytes(room)} in the core's memory`);
  try {
    core.writeType1Info(at, room);
    const result = kernel.ioctlStruct(containerFd, VfioCall.IOMMU_SPAPR_TCE_GET_INFO, core.bytes(), at);
    if (result !== 0) throw refusedByKernel("VFIO_IOMMU_GET_INFO", result, { iommu: "type1", files: kernel.files });
    const wanted = core.infoBytes(at);
    if (wanted > INFO_BYTES_MAX) throw malformed(`it would take ${bytes(wanted)}`);
    return wanted > room ? wanted : read(at, room);
  } finally {
    core.releaseBytes(at, room);
  }
}

function read(at: number, room: number): Answer {
  const flags = core.infoFlags(at);
  const pageSizes = (flags & PAGE_SIZES) === 0 ? 0x1000n : core.type1PageSizes(at);
  if ((flags & CAPABILITIES) === 0) return { pageSizes, ranges: EVERYTHING };
  const ranges = capability(at, room, IOVA_RANGES);
  const available = capability(at, room, MAPS_AVAILABLE);
  return {
    pageSizes,
    ranges: ranges === undefined ? EVERYTHING : readRanges(ranges),
    ...(available === undefined ? {} : { mapsAvailable: core.capabilityCount(available) }),
  };
}

/** Where a capability is; undefined when the kernel has not got it. */
function capability(at: number, room: number, id: number): number | undefined {
  const found = core.infoCapability(at, room, id);
  if (found < 0) throw malformed("its chain of capabilities leads outside of it, or does not end");
  return found === 0 ? undefined : at + found;
}

function readRanges(at: number): AddressRange[] {
  const count = core.capabilityCount(at);
  const ranges = Array.from({ length: count }, (_, i) => ({
    start: core.rangeStart(at, i),
    last: core.rangeLast(at, i),
  }));
  let least = 0n;
  for (const { start, last } of ranges) {
    if (start < least || last < start) throw malformed("its ranges of IOVAs are not in ascending order");
    least = last + 1n;
  }
  return ranges;
}

function malformed(why: string): DmaWindowError {
  return new DmaWindowError("ERR_MALFORMED_INFO", `the kernel's answer to VFIO_IOMMU_GET_INFO cannot be: ${why}`, {
    syscall: "VFIO_IOMMU_GET_INFO",
  });
}
