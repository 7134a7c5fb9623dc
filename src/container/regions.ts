/**
 * Where the lists of an attached memory lie in its window: a region of IOVAs each, set aside as long as the list is there.
 *
 *     window    [ A          ][ B     ]( D  )[ C    ] ...
 *                 in placing order         |    came later
 *                                          has gone: free meanwhile, and remembered (places.ts)
 *
 * `rebased`: a region is the lowest free one, in the placing order of the plan for lists that are there when it is attached, and
 * in the order of adding for those that come later; contiguous memory stays contiguous for the device. A list that was in this
 * window before goes back to its place while that is free. `va`: the region is where the list is. `pa`: no region can be known;
 * IOVAs are set aside memseg by memseg.
 */
import { codeOf, core, NO_ADDRESS, Status } from "../core.ts";
import { DmaWindowError } from "../errors.ts";
import { bytes, hex } from "../hex.ts";
import type { MemsegList } from "../memory/types.ts";
import { isServed } from "../plan/needs.ts";
import { inPlacingOrder } from "../plan/order.ts";
import { lastPlace, rememberPlace } from "./places.ts";
import { isForbidden, outsideRanges } from "./refusals.ts";
import type { Window } from "./window.ts";

export class Regions {
  readonly #window: Window;
  /** Where each begins. */
  readonly #first = new Map<MemsegList, bigint>();

  constructor(window: Window) {
    this.#window = window;
  }

  /** The first IOVA of a list's region; undefined where it has none. */
  of(list: MemsegList): bigint | undefined {
    return this.#first.get(list);
  }

  /** Those that were here before first, each where it was. All anew, where that leaves no room for the others. */
  placeAll(unordered: readonly MemsegList[]): void {
    const lists = inPlacingOrder(unordered, this.#window.target.kind);
    const anew = lists.filter((list) => !this.#putBack(list));
    try {
      for (const list of anew) this.#placeAnew(list);
    } catch (error) {
      if (anew.length === lists.length || !(error instanceof DmaWindowError) || error.code !== "ERR_NO_HOLE")
        throw error;
      this.drop();
      for (const list of lists) this.#placeAnew(list);
    }
  }

  /** A region for a list that comes. @throws `ERR_NO_HOLE` where the window has no room for it; what `setAside` throws. */
  place(list: MemsegList): void {
    if (!this.#putBack(list)) this.#placeAnew(list);
  }

  /** The list goes, and gives its region back. */
  remove(list: MemsegList): void {
    const region = this.#first.get(list);
    if (region === undefined) return;
    release(this.#window, region, list.length);
    this.#first.delete(list);
    rememberPlace(this.#window, list, region); // another listener may refuse, and it comes back
  }

  /** Gives all of them back. */
  drop(): void {
    for (const [list, region] of this.#first) release(this.#window, region, list.length);
    this.#first.clear();
  }

  /** For when the memory is attached to this window again. */
  remember(): void {
    for (const [list, region] of this.#first) rememberPlace(this.#window, list, region);
  }

  /** Whether the list's last place in this window was still free, and is set aside for it again. */
  #putBack(list: MemsegList): boolean {
    const region = lastPlace(this.#window, list);
    if (region === undefined) return false;
    if (core.windowReserve(this.#window.target.window, region, list.length) !== Status.OK) return false;
    this.#first.set(list, region);
    return true;
  }

  #placeAnew(list: MemsegList): void {
    if (!isServed(list) || this.#window.iovaMode === "pa") return;
    const { window } = this.#window.target;
    const region =
      this.#window.iovaMode === "va"
        ? list.base
        : core.windowFirstFit(window, list.length, core.log2Floor(list.pageSize));
    if (region === NO_ADDRESS) {
      throw new DmaWindowError(
        "ERR_NO_HOLE",
        `the window has no room for a list of ${bytes(list.length)}: its largest hole has ${bytes(this.#window.largestHole)}; ` +
          "plan the window with growTo, for all the memory that will ever be there",
      );
    }
    setAside(this.#window, region, list.length, `the list at ${hex(list.base)}`);
    this.#first.set(list, region);
  }
}

/** For one owner: nothing else is placed there. @throws `ERR_OUTSIDE_RANGES`, and the codes of the core's refusals. */
export function setAside(window: Window, iova: bigint, length: bigint, what: string): void {
  const status = core.windowReserve(window.target.window, iova, length);
  if (status === Status.OK) return;
  const { start, size, target } = window;
  const needs = `${what} needs IOVAs ${hex(iova)}-${hex(iova + length - 1n)}`;
  if (status === Status.RESERVED && isForbidden(iova, length, target.forbidden)) {
    throw outsideRanges(needs, { iova, length }, target.allowed);
  }
  throw new DmaWindowError(
    codeOf(status),
    `${needs}: ${
      status === Status.OUTSIDE_WINDOW
        ? `the window is ${hex(start)}-${hex(start + size - 1n)}; plan it with growTo, for all the memory that will ever be there`
        : "part of them is taken, or not on the window's page borders"
    }`,
    { facts: { iova, length } },
  );
}

export function release(window: Window, iova: bigint, length: bigint): void {
  core.windowUnreserve(window.target.window, iova, length);
}
