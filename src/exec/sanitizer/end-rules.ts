import { bytes, hex } from "../../hex.ts";
import type { ModelSnapshot } from "../../model/index.ts";
import { bytesOf } from "../../model/pages.ts";
import type { Found } from "./finding.ts";
import type { LiveMap } from "./live-maps.ts";
import type { Registration, Unheeded } from "./state.ts";
import { addressesOf, madeBy, reached } from "./words.ts";

const SHOWN = 64;

/** Maps that went with their container. */
export function judgeNeverUnmapped(maps: readonly LiveMap[], how: string): Found[] {
  if (maps.length === 0) return [];
  const sorted = [...maps].sort((a, b) => a.start - b.start);
  return [
    {
      kind: "never-unmapped",
      message: `${how} while the device still reached ${reached(sorted)}: UNMAP what was mapped, before its memory and its container go.`,
      addresses: addressesOf(sorted),
      calls: madeBy(sorted),
    },
  ];
}

/** Registrations that are left when their container goes, or their process. */
export function judgeRegistered(left: readonly Registration[]): Found[] {
  const failed = left.filter((one) => one.failed !== undefined && !one.mapped);
  const idle = left.filter((one) => one.failed === undefined && !one.mapped);
  return [
    ...(failed.length === 0
      ? []
      : [
          {
            kind: "charge-left" as const,
            message:
              `${pagesIn(failed)} stayed registered, and charged as locked memory, after the MAP of them had failed: ` +
              "UNREGISTER the memory where its MAP fails.",
            addresses: memoryOf(failed),
            calls: failed
              .slice(0, 4)
              .flatMap((one) => [one.call.text, ...(one.failed === undefined ? [] : [one.failed.text])]),
          },
        ]),
    ...(idle.length === 0
      ? []
      : [
          {
            kind: "registered-never-mapped" as const,
            message:
              `${pagesIn(idle)} were registered, and no MAP ever led a device there: they were pinned and charged as locked memory for nothing. ` +
              "Map them, or leave them alone.",
            addresses: memoryOf(idle),
            calls: idle.slice(0, 8).map(({ call }) => call.text),
          },
        ]),
  ];
}

/** What is charged still when a process has no container any more. */
export function judgeCharges({ charges, zombies }: ModelSnapshot): Found[] {
  const found: Found[] = [];
  if (charges.leakedBytes > 0n) {
    found.push({
      kind: "charge-left",
      message:
        `${bytes(charges.leakedBytes)} are still charged as locked memory, for windows that could not be made: this kernel gives that back only when the process ends. ` +
        "Ask for no window that cannot be: look at GET_INFO first.",
      addresses: [],
      calls: [],
    });
  }
  if (zombies.length > 0) {
    const pinned = zombies.reduce((sum, { size }) => sum + size, 0n);
    found.push({
      kind: "charge-left",
      message:
        `${bytes(pinned)} stay pinned, and charged until the process ends: memory that was unregistered while it was mapped. ` +
        "UNMAP before UNREGISTER.",
      addresses: zombies.slice(0, SHOWN).map(({ va, size }) => ({ va, length: size })),
      calls: [],
    });
  }
  return found;
}

/** Answers that nobody did anything about. */
export function judgeUnheeded(left: readonly Unheeded[]): Found[] {
  return left.map(({ call, why, start, end }) => ({
    kind: "answer-ignored",
    message: `${call.text}: ${why}`,
    addresses: [
      {
        ...(call.field("iova") > 0n || call.field("flags") > 0n ? { iova: bytesOf(start) } : {}),
        length: bytesOf(end - start),
      },
    ],
    calls: [call.text],
  }));
}

function pagesIn(registrations: readonly Registration[]): string {
  const pages = registrations.reduce((sum, { start, end }) => sum + end - start, 0);
  const first = registrations[0] as Registration;
  return `${bytes(bytesOf(pages))} from ${hex(bytesOf(first.start))} on`;
}

function memoryOf(registrations: readonly Registration[]): { va: bigint; length: bigint }[] {
  const joined: { start: number; end: number }[] = [];
  for (const { start, end } of registrations) {
    const last = joined.at(-1);
    if (last?.end === start) last.end = end;
    else joined.push({ start, end });
  }
  return joined.slice(0, SHOWN).map(({ start, end }) => ({ va: bytesOf(start), length: bytesOf(end - start) }));
}
