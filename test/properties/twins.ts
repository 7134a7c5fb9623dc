/** What there should be: kept by the programs themselves, from what the library promised and not from what it keeps. */
import type { Container } from "../../src/container/container.ts";
import type { Window } from "../../src/container/window.ts";
import type { Segment } from "../../src/memory/segment.ts";
import type { MemsegTable } from "../../src/memory/table.ts";
import type { MemsegList } from "../../src/memory/types.ts";

/** Pages of 4 KiB, for IOVAs and memory alike: numbers below 2^52, exact. */
export const pageOf = (address: bigint): number => Number(address >> 12n);
export const addressOf = (page: number): bigint => BigInt(page) << 12n;

/** A live page of a window: where its memory begins, what the device may do (1 read, 2 write), and whose map it is. */
export interface Entry {
  readonly vaPage: number;
  readonly access: number;
  /** 0: the program's. Otherwise the number of the table that it was mapped for. */
  readonly owner: number;
}

export class WindowTwin {
  readonly seat: Seat;
  readonly window: Window;
  readonly startPage: number;
  readonly endPage: number;
  /** Pages of 4 KiB in one of its pages. */
  readonly unit: number;
  /** Pages of its own that are live. */
  live = 0;
  /** Bytes of its largest hole while nothing is mapped in it, or set aside. */
  readonly hole: bigint;
  /** An error said that IOVAs stay set aside, or left something mapped that had some. */
  keepsAside = false;

  constructor(seat: Seat, window: Window) {
    this.seat = seat;
    this.window = window;
    this.startPage = pageOf(window.start);
    this.endPage = this.startPage + pageOf(window.size);
    this.unit = 2 ** (window.pageShift - 12);
    this.hole = window.largestHole;
  }

  has(iovaPage: number): boolean {
    return iovaPage >= this.startPage && iovaPage < this.endPage;
  }
}

/** A place for a container: one group of the machine. */
export class Seat {
  readonly group: number;
  container: Container | undefined;
  windows: WindowTwin[] = [];
  /** Starts of windows that could not be removed again. */
  strays: bigint[] = [];
  /** The window that is there at first. `lazy`: the kernel makes it when it is first needed. */
  defaultWindow: "lazy" | "made" | "gone" = "lazy";
  /** By the page of the IOVA. Windows of a container do not overlap. */
  readonly live = new Map<number, Entry>();
  /** Pages of IOVA that changed, or should have, since they were last looked at. */
  readonly touched = new Set<number>();
  /** How many live pages begin at a page of memory. */
  readonly backing = new Map<number, number>();
  /** Registrations that an error said are left behind: page and length. */
  readonly idle = new Map<number, number>();

  constructor(group: number) {
    this.group = group;
  }

  windowAt(iovaPage: number): WindowTwin | undefined {
    return this.windows.find((window) => window.has(iovaPage));
  }

  set(iovaPage: number, entry: Entry): void {
    this.delete(iovaPage);
    this.touched.add(iovaPage);
    this.live.set(iovaPage, entry);
    this.backing.set(entry.vaPage, (this.backing.get(entry.vaPage) ?? 0) + 1);
    const window = this.windowAt(iovaPage);
    if (window !== undefined) window.live++;
  }

  delete(iovaPage: number): void {
    const entry = this.live.get(iovaPage);
    if (entry === undefined) return;
    this.live.delete(iovaPage);
    this.touched.add(iovaPage);
    const left = (this.backing.get(entry.vaPage) ?? 0) - 1;
    if (left > 0) this.backing.set(entry.vaPage, left);
    else this.backing.delete(entry.vaPage);
    const window = this.windowAt(iovaPage);
    if (window !== undefined) window.live--;
  }

  /** The container has gone, and with it all that it held. */
  empty(): void {
    this.container = undefined;
    this.windows = [];
    this.strays = [];
    this.defaultWindow = "lazy";
    this.live.clear();
    this.backing.clear();
    this.idle.clear();
    this.touched.clear();
  }
}

/** Memory that a table knows of. */
export interface Piece {
  readonly vaPage: number;
  readonly pages: number;
  /** Given by the program, for IOVA mode `pa`. */
  readonly iova?: bigint;
  /** Of `allocate`. */
  readonly segment?: Segment;
}

export interface ListTwin {
  readonly list: MemsegList;
  /** Where the table keeps address space of its own. */
  readonly kept: boolean;
  pieces: Piece[];
}

/** A table in a window, and where the first page of each list's address space is mapped, once that is known. */
export interface AttachmentTwin {
  readonly window: WindowTwin;
  readonly regions: Map<ListTwin, number>;
}

export class TableTwin {
  readonly number: number;
  readonly table: MemsegTable;
  lists: ListTwin[] = [];
  readonly attachments = new Map<Seat, AttachmentTwin>();

  constructor(number: number, table: MemsegTable) {
    this.number = number;
    this.table = table;
  }

  get pieces(): { readonly list: ListTwin; readonly piece: Piece }[] {
    return this.lists.flatMap((list) => list.pieces.map((piece) => ({ list, piece })));
  }
}
