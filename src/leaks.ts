/**
 * What a container or a memory had to end itself because the program did not, and the call that made each thing: for whoever looks
 * for a leak. Call sites are kept where the option `callSites` is true, or the environment has `DMA_WINDOW_CALL_SITES=1`.
 *
 *     made ── note: where from ──> closed by the program: nothing to say
 *       └──────────────────────> ended with its owner, or by the process: the warning DMA_WINDOW_LEAKS
 */
import { callSite } from "./call-site.ts";
import { readable } from "./inspect.ts";
import { boolean } from "./validate.ts";
import { warn } from "./warn.ts";

/** A thing that is open. */
export interface Leak {
  readonly kind: "device" | "map" | "memory" | "segment" | "window";
  /** `a window of 64 MiB at 0x0`. */
  readonly what: string;
  /** Where it was made, with `callSites`. */
  readonly callSite?: string;
}

/** As many as are named in a warning. */
const SHOWN = 5;

/** Where things were made. */
export class Sites {
  readonly #of = new WeakMap<object, string>();

  /** `site`: where from, if that is known to the caller alone. */
  note(made: object, site = callSite()): void {
    if (site !== undefined) this.#of.set(made, site);
  }

  /** The leak that a thing is. */
  leak(kind: Leak["kind"], what: string, made: object): Leak {
    return leakAt(kind, what, this.#of.get(made));
  }
}

export function leakAt(kind: Leak["kind"], what: string, site: string | undefined): Leak {
  return readable(site === undefined ? { kind, what } : { kind, what, callSite: site });
}

/** Whether call sites are kept: what the option says, or else the environment. @throws `ERR_INVALID_ARG_TYPE`. */
export function keepsSites(callSites: boolean | undefined): boolean {
  if (callSites !== undefined) return boolean("callSites", callSites);
  return globalThis.process?.env?.DMA_WINDOW_CALL_SITES === "1";
}

/** What may be left open when the process ends. */
interface Owner {
  readonly closed: boolean;
  leaks(): readonly Leak[];
}

/** Those whose call sites are kept, and that are open: as warnings call them, and where they were made. */
const open = new Map<Owner, { readonly title: string; readonly site: string | undefined }>();

/** It is open from here on: a process that ends without closing it says so. */
export function watchEnd(owner: Owner, title: string): void {
  if (open.size === 0) globalThis.process?.on?.("exit", tellOpen);
  open.set(owner, { title, site: callSite() });
}

/** Closes it, and warns of what that had to end, where it is watched. */
export function endWatched(owner: Owner, close: () => void): void {
  const watched = open.get(owner);
  const leaks = watched === undefined ? [] : owner.leaks();
  try {
    close();
  } finally {
    if (watched !== undefined && owner.closed) {
      open.delete(owner);
      if (open.size === 0) globalThis.process?.off?.("exit", tellOpen);
      if (leaks.length > 0) warnOfLeaks(`${watched.title} was closed with ${named(leaks)}`);
    }
  }
}

/** What was live when a heap was closed all the same. */
export function warnOfLeaks(said: string): void {
  warn("DMA_WINDOW_LEAKS", `${said}. End these first: closing what they are of did it now`);
}

/** A warning would come too late. */
function tellOpen(): void {
  for (const [owner, { title, site }] of open) {
    const has = owner.leaks();
    const more = has.length === 0 ? "" : `, with ${named(has)}`;
    const where = site === undefined ? "" : ` (${site})`;
    globalThis.process.stderr.write(`DMA_WINDOW_LEAKS: ${title}${where} was never closed${more}\n`);
  }
}

function named(leaks: readonly Leak[]): string {
  const shown = leaks
    .slice(0, SHOWN)
    .map(({ what, callSite: site }) => `${what}${site === undefined ? "" : ` (${site})`}`);
  return `${shown.join(", ")}${leaks.length > SHOWN ? ` and ${leaks.length - SHOWN} more` : ""}`;
}
