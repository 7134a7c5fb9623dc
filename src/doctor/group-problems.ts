/** Why no group can be used, or why one of them cannot. */
import { hex } from "../hex.ts";
import { openerWords } from "../pci/openers.ts";
import { belongsToo } from "../system/groups.ts";
import { blocking, type DoctorFacts, type DoctorProblem } from "./diagnosis.ts";
import type { GroupDeviceFacts, GroupFacts } from "./groups.ts";
import { nodeProblems } from "./node-problems.ts";

/** So many of a list are told. */
const TOLD = 4;

/**
 * The problems of the groups that VFIO has. Where one of them is ready those of the others block nothing; where VFIO has none, which
 * device could be bound.
 */
export function groupProblems(facts: DoctorFacts, noIommu: boolean): DoctorProblem[] {
  const groups = facts.pci.groups.filter((group) => group.noIommu === noIommu);
  const bound = groups.filter(({ isBound }) => isBound).map((group) => problemsOf(facts, group));
  if (bound.length === 0) return [notBound(facts, groups, noIommu), ...(noIommu ? [] : neverBound(groups))];
  const isReady = bound.some((problems) => problems.length === 0);
  const all = bound.flat();
  return isReady ? all.map((problem) => ({ ...problem, blocks: false })) : all;
}

function problemsOf(facts: DoctorFacts, group: GroupFacts): DoctorProblem[] {
  return [
    ...group.devices.filter(({ keepsGroup }) => keepsGroup).map((device) => neighbour(group, device)),
    ...regions(group),
    ...(group.node === undefined
      ? [noNode(facts, group)]
      : nodeProblems(facts, group.node, `the devices of group ${group.id}`)),
    ...held(group),
  ];
}

function neighbour(group: GroupFacts, device: GroupDeviceFacts): DoctorProblem {
  const { address, driver, inUse, denied } = device;
  const what = belongsToo(group.id, { name: address, driver: driver ?? null }).replace(/; unbind it.*$/, "");
  const lost = inUse.length === 0 ? "" : `; that would be lost: ${inUse.slice(0, TOLD).join("; ")}`;
  const bind = `dma-window bind ${address} (as root)${lost}`;
  const move = `put one of the two into another slot, so that each has a group of its own (another override of groups, as pcie_acs_override, lets devices reach each other)`;
  return blocking(`group ${group.id} is not viable: ${what}`, denied === undefined ? `${bind}; or ${move}` : move);
}

/** `drivers/iommu/intel/iommu.c: device_rmrr_is_relaxable`, `drivers/iommu/iommu.c: __iommu_device_set_domain` */
function regions({ id, devices, reservedRegions = [] }: GroupFacts): DoctorProblem[] {
  const direct = reservedRegions.filter(({ kind }) => kind === "direct");
  if (direct.length === 0) return [];
  const list = direct.slice(0, TOLD).map(({ start, last }) => `${hex(start)}-${hex(last)}`);
  const who = devices
    .map(({ address }) => address)
    .slice(0, TOLD)
    .join(", ");
  return [
    blocking(
      `firmware keeps memory of its own for group ${id} (${who}; RMRR, "direct" in reserved_regions: ${list.join(", ")}), and VFIO is refused such a group`,
      "turn off in the firmware's setup what watches the device (HP: HPSA shared memory; USB legacy support; BMC), or take another slot or device",
    ),
  ];
}

function noNode({ container }: DoctorFacts, { id, noIommu }: GroupFacts): DoctorProblem {
  const node = `/dev/vfio/${noIommu ? "noiommu-" : ""}${id}`;
  if (container === undefined) {
    return blocking(
      `group ${id} is with VFIO, and its node ${node} is not here`,
      "see that devtmpfs is mounted at /dev, and that the kernel has CONFIG_VFIO_GROUP; bind the device again otherwise",
    );
  }
  return blocking(
    `group ${id} is with VFIO, and its node ${node} was not given to this container`,
    `a container is kept from the machine's devices; give it this one: docker run --device /dev/vfio/vfio --device ${node}`,
  );
}

/** A group opens once (`drivers/vfio/group.c: vfio_group_fops_open`). That this program has it is no problem of its own. */
function held({ id, node, openers }: GroupFacts): DoctorProblem[] {
  const others = openers.filter(({ isThisOne }) => !isThisOne);
  if (others.length === 0) return [];
  const who = others.slice(0, TOLD).map(openerWords).join(", ");
  return [
    blocking(
      `group ${id} is held: ${who} has ${node?.path} open, and a group opens once`,
      `end that program (${others
        .slice(0, TOLD)
        .map(({ pid }) => `kill ${pid}`)
        .join("; ")}: its devices stop), or take another group`,
    ),
  ];
}

function notBound(facts: DoctorFacts, groups: readonly GroupFacts[], noIommu: boolean): DoctorProblem {
  const what = "no device is with vfio-pci, so VFIO has no group";
  const [best] = candidates(facts, groups, noIommu);
  const where = facts.container?.sysIsReadOnly === true ? " on the host, as /sys is read-only here" : " (as root)";
  if (best === undefined) {
    return blocking(
      what,
      "dma-window devices lists them: each is in use, or stays with the kernel; free one first, or plug another in",
    );
  }
  const kind = best.className === undefined ? "" : `, ${best.className},`;
  const driver = best.driver === undefined ? "has no driver" : `is with ${best.driver}`;
  return blocking(
    what,
    `dma-window bind ${best.address}${where}: this one${kind} ${driver}, and nothing was seen to use it; dma-window devices lists all`,
  );
}

/** Classes that stay with the machine: memory, bridges, system peripherals, serial buses of the board. */
const BOARD: ReadonlySet<number> = new Set([0x05, 0x06, 0x08]);
/** Those that user-space drivers are written for come first: storage, networks, accelerators. */
const WANTED: readonly number[] = [0x01, 0x02, 0x12];

/** What VFIO could have without a loss, likeliest first. */
function candidates({ pci }: DoctorFacts, groups: readonly GroupFacts[], noIommu: boolean): GroupDeviceFacts[] {
  const isFree = (device: GroupDeviceFacts) =>
    device.inUse.length === 0 &&
    device.denied === undefined &&
    !device.isBridge &&
    !BOARD.has((device.class ?? 0) >>> 16);
  const alone = groups.filter(
    ({ devices, reservedRegions }) =>
      devices.filter(({ keepsGroup }) => keepsGroup).length <= 1 &&
      !reservedRegions?.some(({ kind }) => kind === "direct"),
  );
  const all = noIommu ? pci.withoutGroup : alone.flatMap(({ devices }) => devices);
  const rank = ({ class: code = 0 }: GroupDeviceFacts) => Number(!WANTED.includes(code >>> 16));
  return all.filter(isFree).sort((a, b) => rank(a) - rank(b));
}

/** Groups that VFIO is refused, whoever is bound: said where nothing is, so that nobody binds one of them for nothing. */
function neverBound(groups: readonly GroupFacts[]): DoctorProblem[] {
  return groups.slice(0, 256).flatMap(regions).slice(0, TOLD);
}
