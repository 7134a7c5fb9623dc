/** Small things that all acts need to say, and to read out of a residue. */
import { hex } from "../../src/hex.ts";
import { addressOf, pageOf, type Seat, type WindowTwin } from "./twins.ts";
import type { Outcome } from "./world.ts";

/** Registrations that the error names. */
export function noteIdle(seat: Seat, { left }: Outcome): void {
  for (const one of left) if (one.what === "registered") seat.idle.set(pageOf(one.va), pageOf(one.length));
}

export function holds({ iova, length }: { readonly iova: bigint; readonly length: bigint }, page: number): boolean {
  return addressOf(page) >= iova && addressOf(page) < iova + length;
}

export function nameOf({ window, seat }: WindowTwin): string {
  return `the window of group ${seat.group} at ${hex(window.start)}`;
}
