/** What the guests know of the documents' commands: where each stands, what there has to be before it, and what it prints or leaves behind. */
import { chmodSync, existsSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { basename } from "node:path";

export interface Printed {
  /** Standard output, and what stands behind it on standard error. */
  readonly text: string;
  readonly stdout: string;
  /** What the document shows below the command, in this machine's names. */
  readonly shown: string | undefined;
}

export interface Step {
  /** What has to be there for this command alone; what comes back takes it away. */
  readonly before?: () => () => void;
  /** What has to be true of what it printed, and of the machine afterwards. @throws Error */
  readonly holds: (printed: Printed) => void;
  /** How it may end; left out: with 0. */
  readonly codes?: readonly number[];
  /** `holds` looks at what the document shows; left out: it is what is printed, but for the widths of columns. */
  readonly isCompared?: true;
}

/** A document, as one machine goes through it from top to bottom. */
export interface Scene {
  readonly document: string;
  /** What the document begins with; what comes back ends it. */
  readonly begin: () => () => void;
  /** What the document's machine calls what this one calls otherwise; asked for before each command. */
  readonly names?: () => Readonly<Record<string, string>>;
  /** By the command's text. */
  readonly steps: Readonly<Record<string, Step>>;
}

/** A document's text in the names of this machine. Numbers are names too, where they stand alone. */
export function inNames(names: Readonly<Record<string, string>>, text: string): string {
  const literal = (name: string) => name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const known = Object.keys(names).sort((a, b) => b.length - a.length);
  if (known.length === 0) return text;
  return text.replace(
    new RegExp(`(?<!\\w)(?:${known.map(literal).join("|")})(?!\\w)`, "g"),
    (name) => names[name] ?? "",
  );
}

/** Lines of which each column is as wide as its text. */
export const narrow = (text: string) => text.replace(/(\S) {2,}/g, "$1 ");

const DEVICES = "/sys/bus/pci/devices";

export const groupOf = (address: string) => basename(readlinkSync(`${DEVICES}/${address}/iommu_group`));

export function driverOf(address: string): string | undefined {
  const link = `${DEVICES}/${address}/driver`;
  return existsSync(link) ? basename(readlinkSync(link)) : undefined;
}

export const overrideOf = (address: string) => readFileSync(`${DEVICES}/${address}/driver_override`, "utf8").trim();

/** Whichever driver wants it may have it. */
export function release(address: string): void {
  const driver = `${DEVICES}/${address}/driver`;
  if (existsSync(driver)) writeFileSync(`${driver}/unbind`, address);
  writeFileSync(`${DEVICES}/${address}/driver_override`, "\n");
}

/** Whoever has it, vfio-pci has it now. */
export function giveToVfio(address: string): void {
  if (driverOf(address) !== "vfio-pci") release(address);
  writeFileSync(`${DEVICES}/${address}/driver_override`, "vfio-pci");
  writeFileSync("/sys/bus/pci/drivers_probe", address);
}

/** The number of hugepages of 2 MiB. */
export const HUGEPAGES = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";

export const poolSize = () => Number(readFileSync(HUGEPAGES, "utf8"));

/** A program for the shell's path. */
export function addProgram(name: string, script: string): void {
  writeFileSync(`/bin/${name}`, `#!/bin/sh\n${script}\n`);
  chmodSync(`/bin/${name}`, 0o755);
}
