/** `dma-window devices`, `bind` and `unbind`: which PCI devices there are, and who drives one. */
import { bytes, hex } from "../hex.ts";
import { modelKernel } from "../model/index.ts";
import { bindToVfio, unbindFromVfio } from "../pci/bind.ts";
import { type PciDevice, pciDevice, pciDevices } from "../pci/devices.ts";
import type { PciOptions } from "../pci/look.ts";
import type { DeviceLine, DriverLine, ListLine } from "./device-line.ts";
import { checkRoot } from "./machine-root.ts";

export function devicesCommand(line: ListLine, print: (text: string) => void): number {
  const options = optionsFrom(line);
  const devices = line.address === undefined ? pciDevices(options) : [pciDevice(line.address, options)];
  if (line.json) print(JSON.stringify({ devices: devices.map(toJson) }));
  else if (line.address === undefined) print(listed(devices).join("\n"));
  else print(devices.flatMap(described).join("\n"));
  return 0;
}

/** The device stays bound when the command has ended: `unbind` is the way back. */
export function bindCommand(line: DriverLine, print: (text: string) => void): number {
  const options = optionsFrom(line);
  const { address, group, previousDriver, neighbours } = bindToVfio(line.address, { ...options, force: line.force });
  const { problems } = pciDevice(address, options);
  if (line.json) {
    print(JSON.stringify({ address, group, previousDriver: previousDriver ?? null, neighbours, problems }));
    return 0;
  }
  const had = previousDriver === undefined ? "no driver had it" : `${previousDriver} had it`;
  print(
    [
      row(
        address,
        previousDriver?.includes("vfio") ? `was with ${previousDriver} already` : `is with vfio-pci; ${had}`,
      ),
      row("group", `${group}${neighbours.length === 0 ? "" : `, with ${neighbours.join(", ")}`}`),
      ...problems.map((problem) => row("not yet", problem)),
      row("back", `dma-window unbind ${address}`),
    ].join("\n"),
  );
  return 0;
}

export function unbindCommand(line: DriverLine, print: (text: string) => void): number {
  const driver = unbindFromVfio(line.address, optionsFrom(line));
  if (line.json) print(JSON.stringify({ address: line.address, driver: driver ?? null }));
  else print(row(line.address, driver === undefined ? "has no driver" : `is with ${driver}`));
  return 0;
}

function optionsFrom({ kernel, platform, root }: DeviceLine): PciOptions {
  checkRoot(root);
  if (kernel === "model") return { kernel: modelKernel({ platform }) };
  return root === undefined ? {} : { root };
}

/** A line for each, and what is in use below it. */
function listed(devices: readonly PciDevice[]): string[] {
  if (devices.length === 0) return ["  This machine shows no PCI devices."];
  const widest = Math.max(...devices.map((device) => device.className.length));
  const lines = devices.flatMap((device) => [
    `  ${device.address}  ${device.className.padEnd(widest)}  ${ids(device)}  ${groupWords(device).padEnd(10)}${state(device)}`,
    ...device.inUse.map((use) => row("", `in use: ${use}`)),
  ]);
  return [...lines, "", "  dma-window devices ADDRESS says more of one: why VFIO would refuse it, and what to do."];
}

function state({ driver, problems }: PciDevice): string {
  if (problems.length === 0) return `${driver}, ready`;
  return driver ?? "no driver";
}

function groupWords({ group, noIommu }: PciDevice): string {
  if (group === undefined) return "no group";
  return `group ${group}${noIommu ? " (no IOMMU)" : ""}`;
}

function ids({ vendor, device }: PciDevice): string {
  return [vendor, device].map((id) => id.toString(16).padStart(4, "0")).join(":");
}

/** All that there is to say of one. */
function described(device: PciDevice): string[] {
  const { resetMethods, reservedRegions, numaNode, powerState, neighbours, physicalFunction } = device;
  const regions = reservedRegions.map(({ start, last, kind }) => `${hex(start)}-${hex(last)} (${kind})`);
  const resets = resetMethods === undefined ? "not known" : resetMethods.join(", ") || "not at all";
  return [
    row(device.address, `${device.className} ${ids(device)}, ${state(device)}`),
    row(
      "group",
      `${groupWords(device).replace("group ", "")}${neighbours.length === 0 ? "" : `, with ${neighbours.join(", ")}`}`,
    ),
    ...(physicalFunction === undefined ? [] : [row("function", `a virtual one of ${physicalFunction}`)]),
    ...device.bars.map((bar) => row(bar.kind === "rom" ? "ROM" : `BAR${bar.index}`, barWords(bar))),
    row("resets", resets),
    ...(numaNode === undefined ? [] : [row("node", String(numaNode))]),
    ...(powerState === undefined ? [] : [row("power", powerState)]),
    ...(regions.length === 0 ? [] : [row("reserved", regions.join(", "))]),
    ...device.inUse.map((use) => row("in use", use)),
    ...device.problems.map((problem) => row("not yet", problem)),
    ...(device.problems.length === 0 ? [row("ready", "openContainer takes its group")] : []),
  ];
}

function barWords({ bytes: length, kind, bits, prefetchable }: PciDevice["bars"][number]): string {
  if (kind === "ports") return `${bytes(length)} of ports`;
  return `${bytes(length)}, ${bits} bits${prefetchable ? ", prefetchable" : ""}`;
}

function row(label: string, text: string): string {
  return `  ${label.padEnd(14)}${text}`;
}

/** What is not known is null; sizes and addresses may pass 2^53, and are hex strings. */
function toJson(device: PciDevice): object {
  const plain = (_key: string, value: unknown) => (typeof value === "bigint" ? hex(value) : value);
  const unknown = Object.entries(device).map(([key, value]) => [key, value ?? null]);
  return JSON.parse(JSON.stringify(Object.fromEntries(unknown), plain));
}
