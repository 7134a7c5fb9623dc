/**
 * The library from end to end on this machine's kernel: every window, map and memory that a program can make of it, what it
 * says of them afterwards, what a device reaches then, and what is locked after every step.
 */
import { endings } from "./library-endings.ts";
import { events } from "./library-events.ts";
import { maps } from "./library-maps.ts";
import { plans } from "./library-plans.ts";
import { refusals } from "./library-refusals.ts";
import { sharing } from "./library-sharing.ts";
import { windows } from "./library-windows.ts";
import { say } from "./say.ts";
import { Site } from "./site.ts";

export function library(): void {
  const site = new Site();
  for (const chapter of [plans, maps, refusals, events, sharing, windows, endings]) {
    const began = Date.now();
    chapter(site);
    say(`${chapter.name}: ${((Date.now() - began) / 1000).toFixed(1)} s`);
  }
  site.reportLeaks();
}
