/**
 * The unmap that this library's design grew out of, beside ours. It hands the kernel the struct of a map, in which an unmap
 * finds its fields at other places:
 *
 *     bytes         0      4      8        16       24
 *     of a map      argsz  flags  vaddr    iova     size
 *     of an unmap   argsz  flags  iova     size
 *
 * With vaddr 0 the kernel unmaps everything from IOVA 0 up to the page that was meant, and leaves that one as it was.
 */
import * as assert from "uvu/assert";
import type { Container } from "../../../src/index.ts";
import { VfioCall } from "../../../src/syscalls.ts";
import type { Edu } from "./edu.ts";
import { report, test } from "./say.ts";
import { MiB, type Site, windowFor } from "./site.ts";
import { type Place, Traffic } from "./traffic.ts";

const TABLE = "Three pages are live, A below B below T, and B is unmapped: what the device reaches then";

/** Fills two rows of a table, and tests that they say what is claimed. Gives the wrong bytes. */
export function showOldUnmap(site: Site, container: Container, device: Edu): number {
  const oldWay = reached(site, container, device, (_, b) => {
    const struct = new Uint8Array(32);
    const view = new DataView(struct.buffer);
    view.setUint32(0, 32, true);
    view.setBigUint64(16, b.iova, true);
    view.setBigUint64(24, site.page, true);
    return site.kernel.ioctlStruct(site.kernel.container, VfioCall.IOMMU_UNMAP_DMA, struct, 0);
  });
  const ours = reached(site, container, device, (window, b) => {
    window.unmap({ iova: b.iova, length: site.page });
    return 0;
  });
  const words = (way: string, { answer, pages, wrongBytes: _ }: Reached) => ({
    way,
    answer: String(answer),
    ...Object.fromEntries(Object.entries(pages).map(([page, live]) => [page, live ? "reached" : "stopped"])),
  });
  report({ kind: "row", table: TABLE, cells: words("the struct of a map", oldWay) });
  report({ kind: "row", table: TABLE, cells: words("this library", ours) });
  test("an unmap with a map's struct takes what lies below its page, and leaves the page", () => {
    assert.equal([oldWay.answer, oldWay.pages], [0, { A: false, B: true, T: true }]);
  });
  test("this library's unmap takes its page, and no other", () => {
    assert.equal(ours.pages, { A: true, B: false, T: true });
  });
  return oldWay.wrongBytes + ours.wrongBytes;
}

interface Reached {
  readonly answer: number;
  readonly pages: { readonly A: boolean; readonly B: boolean; readonly T: boolean };
  readonly wrongBytes: number;
}

function reached(
  site: Site,
  container: Container,
  device: Edu,
  unmap: (window: ReturnType<typeof windowFor>, b: Place) => number,
): Reached {
  const { page } = site;
  using window = windowFor(container, 16n * MiB, page);
  const va = site.memory(4n * page);
  const places = [1n, 3n, 5n, 7n].map((index, i) => ({ va: va + BigInt(i) * page, iova: window.start + index * page }));
  const [a, b, t, scratch] = places as [Place, Place, Place, Place];
  window.mapMany(places.map((place) => ({ ...place, length: page })));
  const answer = unmap(window, b);
  const traffic = new Traffic(site.kernel, device, scratch);
  const pages = { A: traffic.writes(a), B: traffic.writes(b), T: traffic.writes(t) };
  window.unmapMany([...window.maps()].map(({ iova, length }) => ({ iova, length })));
  site.kernel.munmap(va, 4n * page);
  return { answer, pages, wrongBytes: traffic.wrongBytes };
}
