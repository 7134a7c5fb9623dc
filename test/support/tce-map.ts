/** A window of 4 KiB pages, of which spans are made live and set aside, without an IOMMU: so no call is to be answered. */
import * as assert from "uvu/assert";
import { type Core, Owner, Status } from "../../src/core.ts";
import { IommuType } from "../../src/syscalls.ts";
import type { Span } from "../reference/spans.ts";

export const PAGE_SHIFT = 12;
/** Where the window begins. */
export const START = 1n << 59n;
/** The memory that is mapped where pages are live. */
export const VA = 1n << 40n;

/** Bytes of so many pages. */
export function bytes(pages: number): bigint {
  return BigInt(pages) << BigInt(PAGE_SHIFT);
}

/** A span of pages, and what a request for it says. */
export interface Pages extends Span {
  readonly iova: bigint;
  readonly length: bigint;
}

export function pagesOf({ first, end }: Span): Pages {
  return { first, end, iova: START + bytes(first), length: bytes(end - first) };
}

function mustBe(actual: number, expected: number, what: string): void {
  if (actual !== expected) assert.is(actual, expected, what);
}

export class TceMap {
  readonly core: Core;
  readonly window: number;
  readonly #container: number;
  #iova: BigUint64Array = new BigUint64Array(1);
  #length: BigUint64Array = this.#iova;

  constructor(core: Core, pages: number) {
    this.core = core;
    this.#container = core.containerOpen(PAGE_SHIFT, IommuType.NOIOMMU);
    this.window = core.windowOpen(this.#container, START, bytes(pages), PAGE_SHIFT);
    assert.ok(this.window > 0);
    assert.is(core.reserveRequests(1), 1);
  }

  close(): void {
    mustBe(this.core.windowClose(this.window), Status.OK, "windowClose");
    mustBe(this.core.containerClose(this.#container), Status.OK, "containerClose");
  }

  reserve({ iova, length }: Pages): void {
    mustBe(this.core.windowReserve(this.window, iova, length), Status.OK, "windowReserve");
  }

  unreserve({ iova, length }: Pages): void {
    mustBe(this.core.windowUnreserve(this.window, iova, length), Status.OK, "windowUnreserve");
  }

  map(pages: Pages): void {
    this.aim(VA, 3);
    mustBe(this.prepareMap(pages, Owner.WINDOW), Status.OK, "prepareMaps");
    mustBe(this.core.settleMaps(this.window), 1, "settleMaps");
  }

  unmap(pages: Pages): void {
    this.aim(VA, 0);
    mustBe(this.prepareUnmap(pages), Status.OK, "prepareUnmaps");
    mustBe(this.core.settleUnmaps(this.window), 1, "settleUnmaps");
  }

  /** The memory and the permission of the requests that follow. */
  aim(va: bigint, permission: number): void {
    const { core } = this;
    core.u64(core.vaColumn(), 1)[0] = va;
    core.u32(core.permissionColumn(), 1)[0] = permission;
    // The memory may have grown since the last time, which ends the views of it.
    this.#iova = core.u64(core.iovaColumn(), 1);
    this.#length = core.u64(core.lengthColumn(), 1);
  }

  prepareMap({ iova, length }: Pages, owner: number): number {
    this.#iova[0] = iova;
    this.#length[0] = length;
    return this.core.prepareMaps(this.window, 1, owner);
  }

  prepareUnmap({ iova, length }: Pages): number {
    this.#iova[0] = iova;
    this.#length[0] = length;
    return this.core.prepareUnmaps(this.window, 1, Owner.WINDOW);
  }
}
