import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { NvmeOptions } from "../../../src/model/index.ts";
import { Random } from "../../support/random.ts";
import { MEMORY } from "./fake-bus.ts";
import { COMPARE, type Fields, io, PAGE, type Pair, READ, Rig, WRITE } from "./rig.ts";

const SEED = Number(process.env.DMA_WINDOW_SEED ?? 1);
const ROUNDS = Number(process.env.DMA_WINDOW_COMMANDS ?? 50);

const test = suite("random commands on the software NVMe");

const ZEROES = 8;
const DATASET = 9;
/** Commands of a round: each on blocks and in memory of its own, since those on their way have no order. */
const LANES = 16;
const LANE_BYTES = 128 << 10;
const LANE_PAGES = LANE_BYTES / PAGE + 1;
const UNMAPPED = 0x1000n;

interface Lane {
  readonly first: number;
  readonly pages: readonly bigint[];
  readonly lists: readonly bigint[];
}

/** What the host's memory and the disk should be, made by as little thought as possible: a byte at a time. */
class Twin {
  readonly rig: Rig;
  readonly blockBytes: number;
  readonly disk: Uint8Array;
  readonly memory: Uint8Array;
  /** By page: which bytes the device may read or write in this round. */
  readonly allowed = new Map<bigint, [number, number]>();

  constructor(rig: Rig, blockBytes: number) {
    this.rig = rig;
    this.blockBytes = blockBytes;
    this.disk = new Uint8Array(LANES * LANE_BYTES);
    this.memory = rig.bus.memory.slice();
  }

  allow(iova: bigint, bytes: number): void {
    const page = iova & ~0xfffn;
    const from = Number(iova - page);
    const [a, b] = this.allowed.get(page) ?? [from, from + bytes];
    this.allowed.set(page, [Math.min(a, from), Math.max(b, from + bytes)]);
  }

  /** The status of a transfer whose bytes lie at these addresses, and what it leaves behind. */
  move(opcode: number, first: number, bytes: number, prps: readonly bigint[]): number {
    let status = 0;
    for (let done = 0, piece = 0; done < bytes; piece++) {
      const iova = prps[piece] as bigint;
      if (iova === UNMAPPED) return 0x4;
      const length = Math.min(bytes - done, PAGE - Number(iova & 0xfffn));
      this.allow(iova, length);
      const [disk, memory] = [first * this.blockBytes + done, Number(iova - MEMORY)];
      if (opcode === READ) this.memory.set(this.disk.subarray(disk, disk + length), memory);
      if (opcode === WRITE) this.disk.set(this.memory.subarray(memory, memory + length), disk);
      const same = Buffer.compare(
        this.memory.subarray(memory, memory + length),
        this.disk.subarray(disk, disk + length),
      );
      if (opcode === COMPARE && same !== 0) status = 0x285;
      done += length;
    }
    return status;
  }
}

/** Puts a list somewhere: near the end of a page, so that it goes on in the next one, or anywhere. */
function writeList(random: Random, rig: Rig, twin: Twin, lane: Lane, prps: readonly bigint[]): bigint {
  const put = (at: bigint, prp: bigint) => {
    rig.view(at, 8).setBigUint64(0, prp, true);
    new DataView(twin.memory.buffer).setBigUint64(Number(at - MEMORY), prp, true);
    twin.allow(at, 8);
  };
  let page = 0;
  const start =
    (lane.lists[0] as bigint) + BigInt(8 * (random.once(2) ? 512 - 1 - random.below(40) : random.below(512)));
  let at = start;
  for (let i = 0; i < prps.length; i++) {
    if ((at & 0xfffn) === 0xff8n && i < prps.length - 1) {
      page++;
      put(at, lane.lists[page] as bigint);
      at = lane.lists[page] as bigint;
    }
    put(at, prps[i] as bigint);
    at += 8n;
  }
  return start;
}

/** A command for a lane, and the status that it must have. */
function command(random: Random, rig: Rig, twin: Twin, lane: Lane): { fields: Fields; status: number } {
  const { blockBytes } = twin;
  const perLane = LANE_BYTES / blockBytes;
  const offset = random.below(perLane);
  const blocks = 1 + random.below(perLane - offset);
  const first = lane.first + offset;
  const bytes = blocks * blockBytes;
  if (random.once(12))
    return {
      fields: io(random.pick([READ, WRITE, COMPARE]), LANES * perLane - blocks + 1, blocks, 0n),
      status: 0x4080,
    };
  if (random.once(20)) return { fields: { opcode: 0x70, nsid: 1 }, status: 0x4001 };
  if (random.once(20)) return { fields: io(READ, first, blocks, 0n, 0n, random.pick([0, 999])), status: 0x400b };
  if (random.once(10)) {
    twin.disk.fill(0, first * blockBytes, first * blockBytes + bytes);
    return { fields: io(ZEROES, first, blocks, 0n), status: 0 };
  }
  if (random.once(10)) {
    const at = lane.pages[0] as bigint;
    const range = new Uint8Array(16);
    new DataView(range.buffer).setUint32(4, blocks, true);
    new DataView(range.buffer).setBigUint64(8, BigInt(first), true);
    rig.bytes(at, 16).set(range);
    twin.memory.set(range, Number(at - MEMORY));
    twin.allow(at, 16);
    twin.disk.fill(0, first * blockBytes, first * blockBytes + bytes);
    return { fields: { opcode: DATASET, nsid: 1, prp1: at, dw10: 0, dw11: 4 }, status: 0 };
  }
  const opcode = random.pick([READ, READ, WRITE, WRITE, COMPARE]);
  const within = random.once(2) ? 0 : 4 * random.below(PAGE / 4);
  const pages = Math.ceil((within + bytes) / PAGE);
  const order = [...lane.pages];
  for (let i = order.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [order[i], order[j]] = [order[j] as bigint, order[i] as bigint];
  }
  const prps = order.slice(0, pages);
  prps[0] = (prps[0] as bigint) + BigInt(within);
  const bad = random.once(8) ? random.pick(["offset", "unmapped"] as const) : undefined;
  const where = random.below(pages);
  if (bad === "offset") prps[where] = ((prps[where] as bigint) & ~0xfffn) + (where === 0 ? BigInt(within) + 2n : 8n);
  else if (bad === "unmapped" && where > 0) prps[where] = UNMAPPED;
  const prp2 = pages > 2 ? writeList(random, rig, twin, lane, prps.slice(1)) : (prps[1] ?? 0n);
  const fields = io(opcode, first, blocks, prps[0] as bigint, prp2);
  return { fields, status: bad === "offset" ? 0x4013 : twin.move(opcode, first, bytes, prps) };
}

function storm(seed: number, options: NvmeOptions, blockBytes: 512 | 4096): void {
  const random = new Random(seed);
  const disk = random.once(2) ? new Uint8Array(LANES * LANE_BYTES) : { blocks: (LANES * LANE_BYTES) / blockBytes };
  const rig = new Rig({
    ...options,
    ...(disk instanceof Uint8Array ? { disk, blockBytes } : { disk: { ...disk, blockBytes } }),
  }).start();
  const pairs: Pair[] = [1, 2, 3].map((id) =>
    rig.pair(id, { entries: 4 + random.below(20), cqEntries: 3 + random.below(20) }),
  );
  const lanes: Lane[] = Array.from({ length: LANES }, (_, at) => ({
    first: (at * LANE_BYTES) / blockBytes,
    pages: Array.from({ length: LANE_PAGES }, () => rig.memory(PAGE)),
    lists: Array.from({ length: 2 }, () => rig.memory(PAGE)),
  }));
  const data = lanes[0]?.pages[0] ?? 0n;
  const begin = Number(data - MEMORY);
  for (let at = begin; at < rig.bus.memory.length; at++) rig.bus.memory[at] = random.below(256);
  const twin = new Twin(rig, blockBytes);
  for (let round = 0; round < ROUNDS; round++) {
    const what = `seed ${seed}, round ${round}`;
    twin.allowed.clear();
    rig.bus.transfers.length = 0;
    const expected = new Map<number, number>();
    const waiting: { fields: Fields; status: number }[] = [];
    for (const lane of lanes) if (random.below(4) > 0) waiting.push(command(random, rig, twin, lane));
    let guard = 0;
    const room = (pair: Pair) => onTheirWay.filter(({ queue }) => queue === pair.id).length < pair.entries - 1;
    let onTheirWay: { id: number; queue: number }[] = [];
    while (waiting.length > 0 || onTheirWay.length > 0) {
      assert.ok(guard++ < 1e4, `${what}: no end`);
      const rung = new Set<Pair>();
      for (const pair of pairs) {
        while (waiting.length > 0 && room(pair) && random.below(3) > 0) {
          const { fields, status } = waiting.pop() as { fields: Fields; status: number };
          const id = rig.submit(fields, pair);
          expected.set(id, status);
          onTheirWay.push({ id, queue: pair.id });
          rung.add(pair);
        }
      }
      for (const pair of rung) rig.ring(pair);
      rig.bus.turn();
      for (const pair of pairs) {
        for (const { id, status, queue } of random.once(2) ? rig.reapAll(pair) : []) {
          assert.is(`0x${status.toString(16)}`, `0x${expected.get(id)?.toString(16)}`, what);
          assert.ok(
            onTheirWay.some((one) => one.id === id && one.queue === queue),
            `${what}: ${id} twice, or elsewhere`,
          );
          onTheirWay = onTheirWay.filter((one) => one.id !== id);
        }
      }
    }
    assert.ok(
      Buffer.compare(rig.bus.memory.subarray(begin), twin.memory.subarray(begin)) === 0,
      `${what}: the host's memory`,
    );
    for (const { way, iova, bytes } of rig.bus.transfers) {
      if (iova < data || iova === UNMAPPED) continue;
      const page = iova & ~0xfffn;
      const [from, to] = twin.allowed.get(page) ?? [0, 0];
      const at = Number(iova - page);
      assert.ok(at >= from && at + bytes <= to, `${what}: ${way} of ${bytes} at 0x${iova.toString(16)}`);
    }
  }
  if (disk instanceof Uint8Array) assert.ok(Buffer.compare(disk, twin.disk) === 0, `seed ${seed}: the disk`);
}

for (const [name, options] of [
  ["now", { completions: "now" }],
  ["later", { completions: "later" }],
  ["in an order of their own", { completions: { seed: SEED } }],
] as const) {
  for (const blockBytes of [512, 4096] as const) {
    test(`completed ${name}, blocks of ${blockBytes}: status, disk and every byte of memory are the twin's`, () => {
      for (let run = 0; run < 2; run++) storm(SEED * 100 + run, { ...options, mdts: 0 }, blockBytes);
    });
  }
}

test.run();
