/**
 * Random commands on the software controller and on QEMU's, side by side: the same status, the same result, the same bytes in the host's
 * memory and on the disk. What is known to differ (the rows of answers.ts with a reason) is not asked here.
 */
import { spawnSync } from "node:child_process";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Random } from "../../support/random.ts";
import { NAMESPACES } from "./answers.ts";
import { Host, type Ring } from "./host.ts";
import { type Machine, qemuMachine, softwareMachine } from "./machines.ts";
import { type Fields, PAGE } from "./rig.ts";

const SEED = Number(process.env.DMA_WINDOW_SEED ?? 1);
const COMMANDS = Number(process.env.DMA_WINDOW_COMMANDS ?? 250);

const test = suite("random NVMe commands beside QEMU's");

/** Pages of data, and then two for lists. Commands name them by number: each machine has them elsewhere. */
const DATA_PAGES = 12;
const LISTS = DATA_PAGES;
const EVERY = 0xffff_ffff;

/** A place in the host's memory: a page, and an offset in it. */
interface Place {
  readonly page: number;
  readonly offset: number;
}

interface Question {
  readonly queue: number;
  readonly fields: Omit<Fields, "prp1" | "prp2">;
  readonly prp1: Place;
  readonly prp2: Place;
  /** PRPs that lie somewhere before the command is made, and bytes. */
  readonly prps: readonly (readonly [Place, Place])[];
  readonly bytes: readonly (readonly [Place, Uint8Array])[];
}

const NOWHERE: Place = { page: 0, offset: 0 };

function lbaOf(random: Random, blocks: number, count: number): { dw10: number; dw11: number } {
  if (random.once(30)) return { dw10: random.below(2 ** 32), dw11: random.below(3) };
  if (random.once(8)) return { dw10: Math.max(0, blocks - count + random.below(3) - 1), dw11: 0 };
  return { dw10: random.below(Math.max(1, blocks - count)), dw11: 0 };
}

function namespaceFor(random: Random): number {
  return random.once(12) ? random.pick([0, 3, 256, 257, EVERY]) : random.pick([1, 2]);
}

function shuffled(random: Random, many: number): number[] {
  const order = Array.from({ length: many }, (_, at) => at);
  for (let at = many - 1; at > 0; at--) {
    const other = random.below(at + 1);
    [order[at], order[other]] = [order[other] as number, order[at] as number];
  }
  return order;
}

/** Read, Write, Compare: by one page, two, or a list in one page or two. */
function transfer(random: Random): Question {
  const nsid = namespaceFor(random);
  const { blocks, blockBytes } = NAMESPACES[nsid === 2 ? 1 : 0];
  const most = ((DATA_PAGES - 1) * PAGE) / blockBytes;
  const count = random.once(40) ? (1 << 20) / blockBytes : 1 + random.below(random.once(2) ? most : Math.min(16, most));
  const offset = random.once(3) ? 4 * random.below(PAGE / 4) : 0;
  const pages = Math.min(DATA_PAGES, Math.ceil((offset + count * blockBytes) / PAGE));
  const places: Place[] = shuffled(random, DATA_PAGES)
    .slice(0, pages)
    .map((page, at) => ({ page, offset: at === 0 ? offset : 0 }));
  if (pages > 1 && random.once(8)) {
    const at = 1 + random.below(pages - 1);
    places[at] = { page: places[at]?.page ?? 0, offset: 8 * (1 + random.below(511)) };
  }
  const fields = {
    opcode: random.pick([1, 1, 2, 2, 5]),
    nsid,
    ...lbaOf(random, blocks, count),
    dw12: (count - 1) & 0xffff,
  };
  const question = { queue: 1, fields, prp1: places[0] as Place, bytes: [] };
  if (pages < 3) return { ...question, prp2: places[1] ?? NOWHERE, prps: [] };
  const start = random.once(2) ? 512 - random.below(pages + 1) - 1 : random.below(512);
  const prps: [Place, Place][] = [];
  let at = start;
  for (const [index, place] of places.slice(1).entries()) {
    if (at === 511 && index < pages - 2) {
      prps.push([
        { page: LISTS, offset: at * 8 },
        { page: LISTS + 1, offset: 0 },
      ]);
      at = 512;
    }
    prps.push([{ page: LISTS + (at >> 9), offset: (at & 511) * 8 }, place]);
    at++;
  }
  return { ...question, prp2: { page: LISTS, offset: start * 8 }, prps };
}

function ranges(random: Random): Question {
  const nsid = random.pick([1, 2]);
  const { blocks } = NAMESPACES[nsid === 2 ? 1 : 0];
  const many = 1 + random.below(4);
  const bytes = new Uint8Array(many * 16);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += 16) {
    const first = random.below(blocks);
    view.setUint32(at + 4, random.below(Math.min(40, blocks - first)), true);
    view.setBigUint64(at + 8, BigInt(first), true);
  }
  const place = { page: LISTS, offset: 0 };
  const fields = { opcode: 9, nsid, dw10: many - 1, dw11: random.pick([4, 4, 4, 0, 3]) };
  return { queue: 1, fields, prp1: place, prp2: NOWHERE, prps: [], bytes: [[place, bytes]] };
}

function plain(queue: number, fields: Omit<Fields, "prp1" | "prp2">, prp1: Place = NOWHERE): Question {
  return { queue, fields, prp1, prp2: { page: 1, offset: 0 }, prps: [], bytes: [] };
}

function other(random: Random): Question {
  const nsid = namespaceFor(random);
  const { blocks } = NAMESPACES[nsid === 2 ? 1 : 0];
  const count = 1 + random.below(64);
  switch (random.below(4)) {
    case 0:
      return plain(1, { opcode: 8, nsid, ...lbaOf(random, blocks, count), dw12: count - 1 });
    case 1:
      return plain(1, { opcode: 0, nsid });
    case 2:
      return plain(1, { opcode: random.pick([3, 4, 6, 7, 0x0b, 0x0d, 0x20, 0x55, 0x80, 0xff]), nsid });
    default:
      return plain(1, { opcode: random.pick([1, 2, 5]), flags: 1 + random.below(3), nsid, dw10: random.below(blocks) });
  }
}

/** Features and queues beside the one that is in use: its numbers are left alone. */
function admin(random: Random): Question {
  const nsid = random.pick([0, 0, 0, 1, 2, 3, 257, EVERY]);
  const id = random.pick([0, 2, 2, 3, 3, 64, 65, 999]);
  const size = random.pick([0, 1, 15, 63, 2047, 2048, 65535]);
  const at = { page: random.below(DATA_PAGES), offset: random.once(4) ? 8 * random.below(512) : 0 };
  switch (random.below(8)) {
    case 0:
      return plain(0, {
        opcode: 0x0a,
        nsid,
        dw10: random.pick([1, 2, 4, 5, 7, 8, 10, 11, 12, 13]),
        dw11: random.pick([0, 0x10_0000]),
      });
    case 1:
      return plain(0, { opcode: 9, nsid, dw10: random.pick([4, 5, 6, 7, 8, 9, 10, 11]), dw11: random.below(400) });
    case 2:
      return plain(0, { opcode: 5, dw10: id + size * 65536, dw11: random.pick([0, 1, 1, 1, 3, 1 + 65 * 65536]) }, at);
    case 3: {
      const fields = {
        opcode: 1,
        dw10: id + size * 65536,
        dw11: random.pick([0, 1, 1, 1]) + random.pick([0, 1, 2, 3, 4]) * 65536,
      };
      return plain(0, fields, at);
    }
    case 4:
      return plain(0, { opcode: 0, dw10: id });
    case 5:
      return plain(0, { opcode: 4, dw10: random.pick([1, 2, 3]) });
    case 6:
      return plain(0, { opcode: 8, dw10: random.pick([0, 1, 999]) + 77 * 65536 });
    default:
      return plain(0, { opcode: 6, nsid, dw10: random.pick([2, 2, 0x20, 0xfe]) }, at);
  }
}

function question(random: Random): Question {
  const kind = random.below(20);
  if (kind < 11) return transfer(random);
  if (kind < 12) return ranges(random);
  return kind < 15 ? other(random) : admin(random);
}

/** A row of answers.ts says why. */
function isExplained({ queue, fields }: Question, our: string | undefined, their: string | undefined): boolean {
  const deletes = queue === 0 && fields.opcode === 4;
  return deletes && our === "0x4101, result 0x0" && their === "0x4100, result 0x0";
}

/** One of the two, and where it has its pages. */
class Side {
  readonly host: Host;
  readonly base: bigint;
  readonly #rings: Ring[];

  constructor(host: Host) {
    this.host = host;
    this.#rings = [host.ring(0), host.ring(1)];
    this.base = host.pages(DATA_PAGES + 2);
  }

  async start(): Promise<void> {
    const [, ring] = this.#rings as [Ring, Ring];
    assert.is(await this.host.start(), 1);
    await this.host.machine.store(ring.cq, new Uint8Array(PAGE));
    const cq = await this.host.command({ opcode: 5, prp1: ring.cq, dw10: 1 | (15 << 16), dw11: 1 });
    const sq = await this.host.command({ opcode: 1, prp1: ring.sq, dw10: 1 | (15 << 16), dw11: 1 | (1 << 16) });
    assert.equal([cq?.status, sq?.status], [0, 0]);
  }

  at({ page, offset }: Place): bigint {
    return this.base + BigInt(page * PAGE + offset);
  }

  async ask({ queue, fields, prp1, prp2, prps, bytes }: Question) {
    const { machine } = this.host;
    for (const [place, content] of bytes) await machine.store(this.at(place), content);
    for (const [place, to] of prps) {
      const prp = new Uint8Array(8);
      new DataView(prp.buffer).setBigUint64(0, this.at(to), true);
      await machine.store(this.at(place), prp);
    }
    const said = await this.host.command({ ...fields, prp1: this.at(prp1), prp2: this.at(prp2) }, queue);
    return said && `0x${said.status.toString(16)}, result 0x${said.result.toString(16)}`;
  }

  data(): Promise<Uint8Array> {
    return this.host.machine.load(this.base, DATA_PAGES * PAGE);
  }
}

async function compare(seed: number, machines: readonly [Machine, Machine]): Promise<Record<string, number>> {
  const random = new Random(seed);
  const [ours, theirs] = machines.map((machine) => new Side(new Host(machine))) as [Side, Side];
  const fill = Uint8Array.from({ length: DATA_PAGES * PAGE }, () => random.below(256));
  for (const side of [ours, theirs]) {
    await side.start();
    await side.host.machine.store(side.base, fill);
  }
  const seen: Record<string, number> = {};
  for (let at = 0; at < COMMANDS; at++) {
    const asked = question(random);
    const [our, their] = [await ours.ask(asked), await theirs.ask(asked)];
    const where = `seed ${seed}, command ${at}: ${JSON.stringify(asked, (_, value) => (value instanceof Uint8Array ? [...value] : value))}`;
    if (!isExplained(asked, our, their)) assert.is(our, their, where);
    assert.ok(our !== undefined, where);
    const status = our?.split(",")[0] ?? "";
    seen[status] = (seen[status] ?? 0) + 1;
    assert.ok(Buffer.compare(await ours.data(), await theirs.data()) === 0, `${where}: the host's memory`);
  }
  for (const [index, { blocks, blockBytes }] of NAMESPACES.entries()) {
    const many = (2 * PAGE) / blockBytes;
    for (let first = 0; first < blocks; first += many) {
      const read = { opcode: 2, nsid: index + 1, dw10: first, dw12: many - 1 };
      for (const side of [ours, theirs]) assert.is(await side.ask(plain(1, read)), "0x0, result 0x0");
      assert.ok(
        Buffer.compare(await ours.data(), await theirs.data()) === 0,
        `seed ${seed}: namespace ${index + 1}, block ${first}`,
      );
    }
  }
  return seen;
}

if (spawnSync("qemu-system-x86_64", ["--version"]).status === 0) {
  test(`have the same status, and leave the same bytes (DMA_WINDOW_SEED=${SEED})`, async () => {
    const theirs = await qemuMachine(NAMESPACES);
    try {
      const seen = await compare(SEED, [softwareMachine({ namespaces: NAMESPACES }, 1 << 20), theirs]);
      const kinds = ["0x0", "0x2", "0x4001", "0x4002", "0x400b", "0x4013", "0x4080"];
      if (COMMANDS >= 400)
        for (const kind of kinds) assert.ok((seen[kind] ?? 0) > 0, `no ${kind} among ${JSON.stringify(seen)}`);
    } finally {
      await theirs.close();
    }
  });
}

test.run();
