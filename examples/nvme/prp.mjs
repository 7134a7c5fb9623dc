// @ts-check
/**
 * Physical region pages: how a command says where its data lies (NVMe 1.4, 4.3).
 *
 *     one page       PRP1 -> data                    PRP2 is 0
 *     two pages      PRP1 -> data, PRP2 -> data
 *     more           PRP1 -> data, PRP2 -> list:     | page 1 | page 2 | ... | last page |
 *     and more       a list that fills its page has the address of the next one as its last entry
 *
 * Only PRP1 may point into the middle of a page; every other entry is the beginning of one.
 *
 * A window that never changes keeps every IOVA as it is, so the lists of a buffer are written once, when the buffer is made. A command
 * copies two addresses, each as two halves of 32 bits: elements of a Uint32Array are plain numbers in every tier of the engine, while
 * a 64-bit one would be a bigint, and garbage, in code that is not optimised.
 */
import { NvmeError } from "./errors.mjs";

/** @typedef {import("dma-window").DmaHeap} DmaHeap */

/** Bytes of an entry. */
const ENTRY = 8;

/**
 * How many pages `bytes` bytes from `offset` in a page on lie in.
 *
 * @param {number} offset @param {number} bytes @param {number} pageBytes
 */
export const pagesOf = (offset, bytes, pageBytes) => Math.ceil((offset + bytes) / pageBytes);

/**
 * Bytes of the list for a transfer over so many pages: 0 where PRP1 and PRP2 are enough. Each further list costs an entry of the one
 * before.
 *
 * @param {number} pages @param {number} pageBytes
 */
export function listBytes(pages, pageBytes) {
  if (pages <= 2) return 0;
  const perList = pageBytes / ENTRY;
  const entries = pages - 1;
  if (entries <= perList) return entries * ENTRY;
  const lists = Math.ceil((entries - 1) / (perList - 1));
  return (entries + lists - 1) * ENTRY;
}

/**
 * PRP1 and PRP2 of a transfer, whose list, if it has one, is written to `list`: memory of the device's, as long as {@link listBytes}
 * says, whose beginning is a multiple of 8, and of a page where it is longer than one; one that is shorter crosses no page's border.
 *
 * IOVAs are added up as bigint, so nothing wraps: the memory is contiguous, and its last byte has an IOVA below 2^64.
 *
 * @param {bigint} iova A multiple of 4. @param {number} bytes At least 1. @param {number} pageBytes
 * @param {{ readonly words: BigUint64Array, readonly iova: bigint } | undefined} list
 * @returns {{ readonly prp1: bigint, readonly prp2: bigint }}
 */
export function describe(iova, bytes, pageBytes, list) {
  if (iova % 4n !== 0n) {
    throw new NvmeError(
      "ERR_NVME_ALIGNMENT",
      `IOVA 0x${iova.toString(16)} is no multiple of 4: the controller takes whole words`,
    );
  }
  const page = BigInt(pageBytes);
  const offset = Number(iova % page);
  const pages = pagesOf(offset, bytes, pageBytes);
  const second = iova - BigInt(offset) + page;
  if (pages === 1) return { prp1: iova, prp2: 0n };
  if (pages === 2) return { prp1: iova, prp2: second };
  const wanted = listBytes(pages, pageBytes);
  const has = (list?.words.length ?? 0) * ENTRY;
  if (list === undefined || has < wanted) {
    throw new NvmeError("ERR_NVME_PRP_LIST", `a list for ${pages} pages has ${wanted} bytes; there are ${has}`);
  }
  const perList = pageBytes / ENTRY;
  let at = 0;
  for (let entry = 1; entry < pages; entry++) {
    const isLastOfPage = at % perList === perList - 1;
    if (isLastOfPage && entry < pages - 1) {
      list.words[at] = list.iova + BigInt((at + 1) * ENTRY);
      at++;
    }
    list.words[at++] = second + BigInt(entry - 1) * page;
  }
  return { prp1: iova, prp2: list.iova };
}

/**
 * None of its slots is at IOVA 0, which in PRP2 would mean that there is no second page.
 *
 * @param {DmaHeap} heap @param {{ size: number, count: number, align?: number, boundary?: number }} options
 */
function poolNotAtZero(heap, options) {
  const pool = heap.pool(options);
  if (!pool.iovas.subarray(0, pool.count).includes(0n)) return pool;
  try {
    return heap.pool(options);
  } finally {
    pool.close();
  }
}

/** The most bytes whose list is one page, 2 MiB with pages of 4 KiB. @param {number} pageBytes */
export const buffersMax = (pageBytes) => pageBytes * (pageBytes / ENTRY);

/** Words of a buffer in {@link IoBuffers.prps}: page 0, page 1 and the list, each low and high. */
const PRP_WORDS = 6;

/**
 * Buffers for data, of one size, each with its PRPs. Out of a pool, so a buffer is a handle: a small integer.
 *
 * A list is the same for every length of transfer, which uses its beginning. So it must not go on in another page: what is the address of
 * the next list for a long transfer would be the last page of data for one that ends there.
 */
export class IoBuffers {
  /** @type {import("dma-window").DmaPool} */
  pool;
  /** Bytes of a transfer in each: whole pages of the controller, where a command takes a page at least. */
  bytes;
  pageShift;
  /** See above; at `PRP_WORDS` times the slot. */
  prps;
  #lists;

  /**
   * @param {DmaHeap} heap
   * @param {{ bytes: number, count: number, pageBytes: number, most?: number }} options `pageBytes`: the controller's page. `bytes`: at most
   * {@link buffersMax}. `most`: bytes that the controller takes in a command, which may be less than a page.
   */
  constructor(heap, { bytes, count, pageBytes, most = Number.MAX_SAFE_INTEGER }) {
    this.pageShift = Math.log2(pageBytes);
    const size = Math.ceil(Math.min(bytes, most, buffersMax(pageBytes)) / pageBytes) * pageBytes;
    this.bytes = Math.min(size, most);
    this.pool = poolNotAtZero(heap, { size, count, align: pageBytes });
    this.prps = new Uint32Array(PRP_WORDS * count);
    this.#lists = this.#writeLists(heap, size, pageBytes);
  }

  /** @param {DmaHeap} heap @param {number} size @param {number} pageBytes */
  #writeLists(heap, size, pageBytes) {
    const { iovas, count } = this.pool;
    const each = listBytes(size / pageBytes, pageBytes);
    const lists = each === 0 ? undefined : poolNotAtZero(heap, { size: each, count, boundary: pageBytes });
    const addresses = new BigUint64Array(3);
    const halves = new Uint32Array(addresses.buffer);
    for (let slot = 0; slot < count; slot++) {
      const iova = /** @type {bigint} */ (iovas[slot]);
      const list = lists === undefined ? undefined : takeList(lists, each);
      const { prp2 } = describe(iova, size, pageBytes, list);
      addresses[0] = iova;
      addresses[1] = size > pageBytes ? iova + BigInt(pageBytes) : 0n;
      addresses[2] = prp2;
      this.prps.set(halves, PRP_WORDS * slot);
    }
    return lists;
  }

  /** The device must be done with all of them. */
  close() {
    this.#lists?.close({ force: true });
    this.pool.close({ force: true });
  }
}

/** @param {import("dma-window").DmaPool} lists @param {number} bytes */
function takeList(lists, bytes) {
  const handle = lists.get();
  const view = lists.bytes(handle);
  const words = new BigUint64Array(view.buffer, view.byteOffset, bytes / ENTRY);
  return { words, iova: /** @type {bigint} */ (lists.iovas[lists.slot(handle)]) };
}

/**
 * Copies the PRPs of a transfer's first `pages` pages into an entry. No garbage.
 *
 * @param {Uint32Array} entry The ring. @param {number} at Where the entry's word 6 is in it.
 * @param {Uint32Array} prps @param {number} slot @param {number} pages
 */
export function copyPrps(entry, at, prps, slot, pages) {
  const first = PRP_WORDS * slot;
  entry[at] = /** @type {number} */ (prps[first]);
  entry[at + 1] = /** @type {number} */ (prps[first + 1]);
  if (pages === 1) {
    entry[at + 2] = 0;
    entry[at + 3] = 0;
    return;
  }
  const second = pages === 2 ? first + 2 : first + 4;
  entry[at + 2] = /** @type {number} */ (prps[second]);
  entry[at + 3] = /** @type {number} */ (prps[second + 1]);
}
