/** What the form of the page says, checked. */
import { parseChoice } from "../../src/cli/usage.ts";
import type { ModelPlatform } from "../../src/model/index.ts";
import { IOVA_MODES } from "../../src/plan/request.ts";
import { bytesIn } from "../../src/plan/sizes.ts";
import type { IovaMode } from "../../src/plan/types.ts";
import { byId } from "./dom.ts";

export const PLATFORMS: readonly ModelPlatform[] = ["powernv", "pseries", "type1", "noiommu"];

export interface Settings {
  readonly platform: ModelPlatform;
  /** Bytes of the CPU's page. */
  readonly cpuPage: bigint;
  /** How large memory may become, in bytes, and the size of its pages. */
  readonly memory: bigint;
  readonly page: bigint;
  readonly iovaMode: IovaMode;
  /** Where the memory begins: `va` alone looks at it. */
  readonly base: bigint;
  /** The last address of RAM: `pa` needs it. */
  readonly highestRam: bigint | undefined;
  readonly deviceBits: number;
  /** type1: how many bits of IOVA the IOMMU translates. */
  readonly iommuBits: number;
  /** Bytes that may be locked; `null` where nothing limits it. */
  readonly memlock: bigint | null;
  readonly privileged: boolean;
  /** type1: maps that a container may have. */
  readonly entries: number;
  /** Pages in the pool of hugepages; `undefined`: as many as are needed. */
  readonly hugepages: number | undefined;
}

/** A field that says what cannot be; the message names it as the page does. */
export class FieldError extends Error {
  readonly field: HTMLElement;

  constructor(field: HTMLElement, message: string) {
    super(message);
    this.field = field;
  }
}

/** @throws FieldError. */
export function readSettings(): Settings {
  return {
    platform: choice("platform", PLATFORMS),
    cpuPage: bytesOf("cpu-page"),
    memory: bytesOf("memory"),
    page: bytesOf("page"),
    iovaMode: choice("iova-mode", IOVA_MODES),
    base: bytesOf("base"),
    highestRam: textOf("highest-ram") === "" ? undefined : bytesOf("highest-ram"),
    deviceBits: countOf("device-bits", 1, 64),
    iommuBits: countOf("iommu-bits", 32, 57),
    memlock: textOf("memlock") === "unlimited" ? null : bytesOf("memlock"),
    privileged: byId("privileged", HTMLInputElement).checked,
    entries: countOf("entries", 1, 2 ** 32 - 1),
    hugepages: textOf("hugepages") === "" ? undefined : countOf("hugepages", 0, 2 ** 40),
  };
}

/** A whole number of a field. @throws FieldError. */
export function countOf(id: string, least: number, most: number): number {
  const text = textOf(id);
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw wrong(id, `takes a whole number from ${least} to ${most}`);
}

function bytesOf(id: string): bigint {
  const value = bytesIn(textOf(id));
  if (value !== undefined && value >> 64n === 0n) return value;
  throw wrong(id, "takes a size such as 64G, 2M, 4096 or 0x100000000, below 2^64");
}

function choice<T extends string>(id: string, choices: readonly T[]): T {
  return parseChoice(id, textOf(id), choices);
}

function textOf(id: string): string {
  return fieldOf(id).value.trim();
}

function fieldOf(id: string): HTMLInputElement | HTMLSelectElement {
  const field = document.getElementById(id);
  return field instanceof HTMLSelectElement ? field : byId(id, HTMLInputElement);
}

function wrong(id: string, what: string): FieldError {
  const field = fieldOf(id);
  const label = field.labels?.[0]?.textContent?.trim() ?? id;
  return new FieldError(field, `${label}: it ${what}; got ${JSON.stringify(field.value)}`);
}

/** The CPU's page as a platform's machines have it, as a rule. */
export function useUsualPage(): void {
  byId("cpu-page", HTMLSelectElement).value = ["powernv", "pseries"].includes(textOf("platform")) ? "64K" : "4K";
}

/** The platform that is chosen. */
export function chosenPlatform(): ModelPlatform {
  return choice("platform", PLATFORMS);
}

/** Which settings a platform has: the others cannot be set there. */
const BELONGS_TO: Readonly<Record<string, readonly ModelPlatform[]>> = {
  "iommu-bits": ["type1"],
  entries: ["type1"],
  memlock: ["powernv", "pseries", "type1"],
  privileged: ["powernv", "pseries", "type1"],
};

/** The fields that mean nothing for the platform or the mode are off, and what they take is what the platform has. */
export function fitFields(): void {
  const platform = chosenPlatform();
  for (const [id, platforms] of Object.entries(BELONGS_TO)) fieldOf(id).disabled = !platforms.includes(platform);
  const mode = byId("iova-mode", HTMLSelectElement);
  mode.disabled = platform === "noiommu";
  if (platform === "noiommu") mode.value = "pa";
  byId("base", HTMLInputElement).disabled = mode.value !== "va";
  byId("highest-ram", HTMLInputElement).disabled = mode.value !== "pa";
  const middle = byId("cpu-page-16k", HTMLOptionElement);
  middle.disabled = platform === "powernv" || platform === "pseries"; // POWER has no pages of 16 KiB
  const cpuPage = byId("cpu-page", HTMLSelectElement);
  if (middle.disabled && cpuPage.value === middle.value) cpuPage.value = "64K";
}
