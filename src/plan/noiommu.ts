/**
 * A "window" without an IOMMU: the machine's physical addresses up to its highest RAM. Nothing is made and nothing is
 * charged; it is a record of what a device was told.
 *
 * **No map pins memory there.** The kernel may move or swap an ordinary page at any time, and the device goes on writing to
 * where it was. Pages of a hugetlb pool stay where they are as long as they are mapped and nobody asks for their migration,
 * so only those are planned for.
 */
import { core } from "../core.ts";
import { bytes, hex } from "../hex.ts";
import type { NoIommuInfo } from "../iommu.ts";
import { deviceProblem, NO_TABLES, pages, Rejections, sizeProblem, windowShiftFor } from "./candidates.ts";
import { growthOf } from "./growth.ts";
import { type Needs, shiftOf } from "./needs.ts";
import type { ExactRequest, Rejection, WindowPlan } from "./types.ts";

export function planNoIommu(request: ExactRequest, info: NoIommuInfo, needs: Needs): WindowPlan | readonly Rejection[] {
  const rejections = new Rejections();
  if (rejections.note(`IOVA mode ${needs.iovaMode}`, modeProblem(needs))) return rejections.list;
  if (rejections.note("a window over physical memory", pagesProblem(needs, info))) return rejections.list;
  const pageShift = Math.min(...needs.lists.map(shiftOf));
  const windowShift = windowShiftFor(needs.last, pageShift);
  if (rejections.note(pages(pageShift), sizeProblem(windowShift, pageShift))) return rejections.list;
  const size = 1n << BigInt(windowShift);
  const dmaMaskBits = core.maskBits(size - 1n);
  const choice = `${pages(pageShift)}, ${bytes(size)} of physical addresses`;
  if (rejections.note(choice, deviceProblem(dmaMaskBits, request.deviceAddressBits))) return rejections.list;
  return {
    kind: "noiommu",
    iovaMode: "pa",
    start: 0n,
    size,
    needed: needs.last + 1n,
    pageShift,
    tces: size >> BigInt(pageShift),
    ...NO_TABLES,
    dmaMaskBits,
    holes: [],
    ...growthOf(request, needs, 0n),
    rejected: [],
  };
}

function modeProblem({ iovaMode }: Needs): string | undefined {
  return iovaMode === "pa"
    ? undefined
    : "without an IOMMU nothing translates: IOVAs are physical addresses. Use IOVA mode pa";
}

/** Why the lists cannot be given to a device that nothing translates for; undefined when they can. */
function pagesProblem({ lists, declared }: Needs, { cpuPageSize }: NoIommuInfo): string | undefined {
  if (lists.length === 0) return "no list says that memory comes in hugepages: nothing else stays where it is";
  const small = lists.find(({ pageSize }) => pageSize <= BigInt(cpuPageSize));
  if (small === undefined) return undefined;
  return (
    `list ${declared.indexOf(small)} at ${hex(small.base)} has ${pages(shiftOf(small))}, no larger than the CPU's ` +
    `${bytes(cpuPageSize)}: nothing pins memory here, and such pages may be moved under the device. Use hugepages`
  );
}
