import { ANY, o, POWERNV, type Section, SPAPR } from "../row.ts";
import * as from from "./sources.ts";
import { zombie, zombieBytes } from "./support.ts";

/** What stays when descriptors go, and in which order they may go. */
export const close: Section = {
  call: "close, and what it leaves",
  begin: "container",
  // biome-ignore format: a table is read by its columns
  rows: [
    ["the container first, then the group", ANY, o(from.detachGroup), "0, 0, opened", (p) => [p.close(p.container), p.close(p.group), p.opens(p.groupPath())]],
    ["the group first, then the container", ANY, o(from.detachGroup), "0, 0, opened", (p) => [p.close(p.group), p.close(p.container), p.opens(p.groupPath())]],
    ["the group first: the container has no IOMMU any more, and takes the group anew", ANY, o(from.detachGroup), "0, EINVAL, 0, 0", (p) => { const closed = p.close(p.group); const after = p.unmap(0n, p.page); return [closed, after, p.setContainer(p.openGroup()), p.setIommu()]; }],
    ["the container's descriptor only: all that it holds stays, for the group is in it", SPAPR, o(from.detachGroup), "0, VmLck +0, 0, VmLck -1 page", (p) => { p.register(p.va, p.page); p.chargedPages(); return [p.close(p.container), p.charged(), p.close(p.group), p.chargedPages()]; }],
    ["the container's descriptor, with live maps: charges go with the group", SPAPR, o(from.tceRelease), "0, 0, VmLck +0", (p) => { p.register(p.va, 8n * p.page); p.map(p.va, 0n, 8n * p.page); return [p.close(p.container), p.close(p.group), p.charged()]; }],
    ["the group's descriptor, with live maps and both windows", SPAPR, o(from.tceRelease), "0, 0, 0, VmLck +0", (p) => { p.register(p.va, p.page); return [p.create(16, 2n ** 31n), p.map(p.va, 0n, p.page), p.close(p.group), p.charged()]; }],
    ["with memory registered that was munmapped", SPAPR, o(from.tcePreregFree), "0, 0, 0, VmLck +0", (p) => [p.register(p.va, p.page), p.munmap(p.va, p.page), p.close(p.container) || p.close(p.group), p.charged()]],
    ["with memory mapped that was munmapped", SPAPR, o(from.tcePreregFree), "0, 0, 0, VmLck +0", (p) => [p.register(p.va, p.page) || p.map(p.va, 0n, p.page), p.munmap(p.va, p.page), p.close(p.container) || p.close(p.group), p.charged()]],
    ["memory that a closed container had registered: free for another, by part too", SPAPR, o(from.tcePreregFree), "0, 0, 0", (p) => { p.register(p.va, 8n * p.page); p.close(p.container); p.close(p.group); p.begin("container"); return [p.register(p.va, p.page), p.register(p.va + p.page, 2n * p.page), p.register(p.va + 3n * p.page, 13n * p.page)]; }],
    ["one of two containers that registered the same: the other's maps and charge stay", SPAPR, o(from.mmPut), "0, 0, 0, VmLck +1 page, 0", (p) => { const other = p.another(); p.register(p.va, p.page); other.register(p.va, p.page); p.map(p.va, 0n, p.page); return [p.close(p.container), p.close(p.group), other.info(), p.chargedPages(), other.unregister(p.va, p.page)]; }, { groups: 2 }],
    ["one of two containers, while the other maps what it had registered: a zombie", SPAPR, o(from.mmPut), "0, 0; 64 KiB stay charged", (p) => { const other = p.another(); const mine = p.mmapAt(p.nowhere, p.page); other.register(mine, p.page); p.register(p.va, zombieBytes); other.map(p.va, 0n, zombieBytes); return [p.close(p.container), p.close(p.group)]; }, { groups: 2 }],
    ["after a zombie was made: the group can be opened again, the charge stays", SPAPR, o(from.mmPut), "0, 0, opened, VmLck +64 KiB; 64 KiB stay charged", (p) => { const before = p.locked; zombie(p); const closed = [p.close(p.container), p.close(p.group)]; return [...closed, p.opens(p.groupPath()), p.locked - before === zombieBytes ? "VmLck +64 KiB" : "VmLck otherwise"]; }],
    ["after a zombie was unmapped in time: it stays nevertheless", SPAPR, o(from.mmPut), "0; 64 KiB stay charged", (p) => zombie(p).unmap(0n, zombieBytes)],
    ["a group that was in use, in a new container: an empty default window", SPAPR, o(from.tceRelease), "0, 0", (p) => { p.register(p.va, p.page); p.map(p.va, 0n, p.page); p.close(p.container); p.close(p.group); p.begin("container"); return [p.register(p.va, p.page), p.unregister(p.va, p.page)]; }],
    ["after a window of its own was at 0: the default window is back for the next", POWERNV, o(from.tceAttach), "0, 0, start 0x0, 0, VmLck +8 MiB", (p) => { const made = [p.remove(0n), p.creates(21, 2n ** 40n)]; p.close(p.container); p.close(p.group); p.begin("container"); p.register(p.va, p.page); p.charged(); return [...made, p.map(p.va, 2n ** 31n - p.page, p.page), p.charged()]; }],
  ],
};
