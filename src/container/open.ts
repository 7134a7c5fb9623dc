import { asked } from "../asked.ts";
import { groupToOpen } from "../device/address.ts";
import { argumentRangeError, argumentTypeError, DmaWindowError, withResidue } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import { type IommuKind, refusedByKernel } from "../explain.ts";
import { keysOf, known } from "../known.ts";
import { keepsSites } from "../leaks.ts";
import { pciAddress } from "../pci/address.ts";
import { type Syscalls, VFIO_API_VERSION, VfioCall } from "../syscalls.ts";
import { boolean, count, object, syscalls } from "../validate.ts";
import type { Backend } from "./backend/backend.ts";
import { chooseBackend, warnOfNoIommu } from "./backend/choose.ts";
import { Container } from "./container.ts";
import { closeFiles } from "./group.ts";
import { Groups } from "./groups.ts";
import { ContainerSites } from "./leaks.ts";

export interface OpenContainerOptions {
  /** `linuxKernel()`, or `modelKernel()` for a laptop without an IOMMU. */
  readonly kernel: Syscalls;
  /** The IOMMU groups of the devices: the names of the nodes under /dev/vfio. One on an LPAR. Needed where `devices` are not named. */
  readonly groups?: readonly number[];
  /**
   * Addresses of devices that are bound to VFIO, as `"0000:01:00.0"`: their groups are opened too. `container.device(address)` opens
   * the device itself.
   */
  readonly devices?: readonly string[];
  /**
   * Open groups without an IOMMU (`/dev/vfio/noiommu-<number>`): their devices reach **all memory**, whatever is mapped, and
   * the kernel is tainted. IOVAs are physical addresses, and no map pins memory: only hugetlb memory may be used. Needs
   * CAP_SYS_RAWIO, and the module vfio loaded with enable_unsafe_noiommu_mode=1. Emits the process warning
   * `DMA_WINDOW_NO_IOMMU`, once. Default: false.
   */
  readonly noIommu?: boolean;
  /**
   * For debugging: whether {@link Container.leaks} says where each thing was made, and `close` warns of what it has to end. Costs a stack
   * for each window, device, attached memory and call that maps. Default: what the environment says by `DMA_WINDOW_CALL_SITES=1`.
   */
  readonly callSites?: boolean;
}

const KEYS = keysOf<OpenContainerOptions>({
  kernel: true,
  groups: true,
  devices: true,
  noIommu: true,
  callSites: true,
});

/**
 * Opens a container and puts groups into it. When anything fails, everything is closed again. Takes the IOMMU that the
 * machine has: sPAPR TCE v2 (POWER), else type1 (x86, Arm), version 2 before 1; `container.kind` says which.
 *
 * @throws `ERR_OUT_OF_RANGE` for a group or device that is named twice: the kernel opens a group once only; and for what is no address.
 * @throws `ERR_NO_DEVICE` for a device that the machine does not have, `ERR_NO_GROUP` for one without a group, `ERR_NO_DEVICE_FILES`
 * where the machine's files do not say.
 * @throws `ERR_KERNEL` with the call and its errno, and what to do about it; `ERR_GROUP_NOT_VIABLE`; `ERR_VFIO_VERSION`;
 * `ERR_NO_IOMMU_DRIVER` where VFIO has no driver for this machine's IOMMU; `ERR_ONE_GROUP` on an LPAR.
 * @throws `ERR_INTERFACE` where the kernel interface threw (`cause`): `residue` says which files may be open for all that.
 * @throws `ERR_SHIM_UNAVAILABLE` from `linuxKernel()` where the shim is not built: it says what to install.
 */
export function openContainer(options: OpenContainerOptions): Container {
  known("options", object("options", options), KEYS);
  const kernel = syscalls("kernel", options.kernel);
  const devices = options.devices === undefined ? [] : checkDevices(options.devices);
  const groups = options.groups === undefined && devices.length > 0 ? [] : checkGroups(options.groups);
  const noIommu = options.noIommu !== undefined && boolean("noIommu", options.noIommu);
  const sites = keepsSites(options.callSites) ? new ContainerSites() : undefined;
  return exclusively("openContainer", () => {
    const ours = asked(kernel);
    const all = new Set([...groups, ...devices.map((device) => groupToOpen(ours, device))]);
    return openFiles(ours, [...all], devices, { noIommu, sites });
  });
}

function checkGroups(groups: unknown): readonly number[] {
  if (!Array.isArray(groups) || groups.length === 0) {
    throw argumentTypeError("groups", "an array of at least one group number, where devices names none", groups);
  }
  return checkOnce<number>("groups", groups, "a group", count);
}

function checkDevices(devices: unknown): readonly string[] {
  if (!Array.isArray(devices) || devices.length === 0) {
    throw argumentTypeError("devices", 'an array of at least one PCI address, as "0000:01:00.0"', devices);
  }
  return checkOnce<string>("devices", devices, "a device", pciAddress);
}

function checkOnce<T>(
  name: string,
  given: readonly T[],
  what: string,
  check: (name: string, one: T) => T,
): readonly T[] {
  const all = Array.from(given, (one, i) => check(`${name}[${i}]`, one));
  for (const [i, one] of all.entries()) {
    const first = all.indexOf(one);
    if (first < i)
      throw argumentRangeError(`${name}[${i}]`, `${what} that ${name}[${first}] does not name already`, one);
  }
  return all;
}

function openFiles(
  kernel: Syscalls,
  numbers: readonly number[],
  devices: readonly string[],
  { noIommu, sites }: { noIommu: boolean; sites: ContainerSites | undefined },
): Container {
  const containerFd = kernel.open("/dev/vfio/vfio");
  if (containerFd < 0) {
    const call = "open /dev/vfio/vfio";
    throw refusedByKernel("open", containerFd, {
      about: call,
      hint: call,
      files: kernel.files,
      facts: { path: "/dev/vfio/vfio" },
    });
  }
  const groups = new Groups(kernel, containerFd);
  try {
    checkVersion(kernel, containerFd);
    const backend = chooseBackend(kernel, containerFd, noIommu, () => groups.numbers);
    for (const group of numbers) groups.join(group, backend.kind);
    const answer = kernel.ioctl(containerFd, VfioCall.SET_IOMMU, backend.iommu);
    if (answer !== 0) throw refusedType(kernel, answer, backend.kind, numbers);
    checkOneGroup(backend, numbers);
    const container = new Container(kernel, { containerFd, groups, devices }, backend, sites);
    if (noIommu) warnOfNoIommu();
    return container;
  } catch (error) {
    throw withResidue(error, closeFiles(kernel, [...groups.fds, containerFd]));
  }
}

/** The kernel takes a second group into an LPAR's container without a word, and then refuses every map. */
function checkOneGroup(backend: Backend, groups: readonly number[]): void {
  if (groups.length === 1 || backend.kind !== "spapr") return;
  const info = backend.info();
  if (info.kind !== "spapr" || info.platform !== "pseries") return;
  throw new DmaWindowError("ERR_ONE_GROUP", `a container of an LPAR holds one group; ${groups.length} were named`);
}

/** One group is named where it is the only one: the machine's files are asked about it. */
function refusedType(kernel: Syscalls, answer: number, iommu: IommuKind, groups: readonly number[]): DmaWindowError {
  const [group, another] = groups;
  const facts = another === undefined ? { group } : { groups };
  return refusedByKernel("VFIO_SET_IOMMU", answer, { iommu, files: kernel.files, facts });
}

function checkVersion(kernel: Syscalls, fd: number): void {
  const version = kernel.ioctl(fd, VfioCall.GET_API_VERSION, 0);
  if (version === VFIO_API_VERSION) return;
  if (version < 0) {
    const { message, ...more } = refusedByKernel("VFIO_GET_API_VERSION", version, { files: kernel.files });
    throw new DmaWindowError("ERR_VFIO_VERSION", message, more);
  }
  throw new DmaWindowError(
    "ERR_VFIO_VERSION",
    `this kernel speaks VFIO version ${version}; known is ${VFIO_API_VERSION}`,
  );
}
