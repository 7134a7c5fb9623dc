import { argumentRangeError, argumentTypeError } from "../../errors.ts";
import { readable } from "../../inspect.ts";
import { isBytes } from "../../typed-arrays.ts";
import { bytesOf, PAGE_BYTES, pageOf } from "../pages.ts";
import type { Iommu, Reached } from "../reach.ts";

/** Why a transfer stopped. */
export interface DmaFault {
  /** The first byte that was not moved. */
  readonly iova: bigint;
  /**
   * - `"not mapped"`: no live TCE or map is there; without an IOMMU: no process's memory is at that physical address.
   * - `"not readable"`, `"not writable"`: it is mapped for the other direction alone.
   * - `"the group is in no container"`, `"its container has no IOMMU driver"`: nothing is mapped for it at all.
   * - `"bus mastering is off"`: the device itself sends nothing. Of devices that were plugged in.
   */
  readonly why:
    | "not mapped"
    | "not readable"
    | "not writable"
    | "the group is in no container"
    | "its container has no IOMMU driver"
    | "bus mastering is off";
}

/** How far a transfer came. */
export interface DmaResult {
  /** Bytes that were moved, from the first IOVA on. */
  readonly bytes: number;
  /** Absent when all were. */
  readonly fault?: DmaFault;
}

/**
 * The device of a group, as something that moves data: each access goes through the IOMMU as it is at that moment, page by
 * page, to the very pages that were mapped. Its bus mastering counts as on; that it is open is not asked, as no IOMMU does.
 */
export interface ModelDevice {
  /** The device's name, as GET_DEVICE_FD wants it. */
  readonly name: string;

  /**
   * Memory to device: fills `into` with the bytes from `iova` on.
   *
   * @throws RangeError ERR_OUT_OF_RANGE for IOVAs outside 64 bits.
   * @throws ModelUnknown for real memory that the process has unmapped since.
   */
  read(iova: bigint, into: Uint8Array): DmaResult;

  /** Device to memory: writes the bytes of `from` at `iova` and behind. Throws as {@link read} does. */
  write(iova: bigint, from: Uint8Array): DmaResult;
}

/** Whose accesses to memory they are: a device, which presents itself to the IOMMU as its group. */
export interface DmaRequester {
  /** The device, as the bus names it. */
  readonly device: string;
  /** What stands between it and memory now, or why it reaches none. */
  readonly iommu: Iommu | DmaFault["why"];
}

export function deviceOf(requester: DmaRequester): ModelDevice {
  return asModelDevice({
    name: requester.device,
    read(iova, into) {
      return transfer(requester, iova, into, "read", (memory, buffer) => buffer.set(memory));
    },
    write(iova, from) {
      return transfer(requester, iova, from, "write", (memory, buffer) => memory.set(buffer));
    },
  });
}

/** For whoever looks at it. */
export function asModelDevice(device: ModelDevice): ModelDevice {
  return readable(device, "ModelDevice", ({ name }) => ({ name }));
}

/** Bytes of one page of memory, and as many of the device's. */
type Move = (memory: Uint8Array, buffer: Uint8Array) => void;

/**
 *     IOVA      |   page   |   page   |   page   |
 *                    [ buffer ............... )
 *                    first      whole     last      each through the IOMMU on its own
 */
function transfer(
  requester: DmaRequester,
  iova: bigint,
  buffer: Uint8Array,
  way: "read" | "write",
  move: Move,
): DmaResult {
  if (!isBytes(buffer)) throw argumentTypeError("buffer", "a Uint8Array", buffer);
  if (typeof iova !== "bigint") throw argumentTypeError("iova", "a bigint", iova);
  if (iova < 0n || iova + BigInt(buffer.length) > 1n << 64n) {
    throw argumentRangeError("iova", `0..2^64 with the ${buffer.length} bytes behind it`, iova);
  }
  const page = pageOf(iova);
  const within = Number(iova - bytesOf(page));
  for (let done = 0, next = 0; done < buffer.length; done = next) {
    const index = Math.floor((within + done) / PAGE_BYTES);
    const from = (within + done) % PAGE_BYTES;
    next = Math.min(done + PAGE_BYTES - from, buffer.length);
    const reached = reachedBy(requester, page + index, way);
    if (typeof reached === "string")
      return { bytes: done, fault: readable({ iova: iova + BigInt(done), why: reached }) };
    const piece = buffer.subarray(done, next);
    reached.memory.withPage(reached.page, (bytes) => move(bytes.subarray(from, from + piece.length), piece));
  }
  return { bytes: buffer.length };
}

function reachedBy({ iommu }: DmaRequester, iovaPage: number, way: "read" | "write"): Reached | DmaFault["why"] {
  if (typeof iommu === "string") return iommu;
  const reached = iommu.reach(iovaPage);
  if (reached === undefined) return "not mapped";
  if (reached[way]) return reached;
  return way === "read" ? "not readable" : "not writable";
}
