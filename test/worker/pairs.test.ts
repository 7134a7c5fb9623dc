/**
 * Every meeting of two workers in a small pool, without chance: one is suspended behind every access to memory of every operation,
 * the other does something whole there, and the first is killed behind every access from there on, or ends. Then it is recovered,
 * and everything is in one place. What a worker that is killed leaves is the memory as it is then, so one run shows all these kills.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Audit } from "./audit.ts";
import { instance, sharedMemory, sharedWasm, stepped } from "./modules.ts";

const test = suite("two workers that meet");

const memory = sharedMemory();
const words = new Uint32Array(memory.buffer);
/** Anywhere that nobody else uses. */
const seats = 1024;
const WORKERS = 2;
let onStep = () => {};
const module = instance(stepped(sharedWasm()), memory, () => onStep());

const INDEX_MASK = (1 << 22) - 1;

/** What is told of a worker: what it got and has not put. */
interface Player {
  readonly self: number;
  readonly id: number;
  held: number[];
}

/** A pool, and what is in its memory at some time. */
class Pool {
  readonly audit: Audit;
  readonly first: Player;
  readonly second: Player;
  readonly #where: Uint32Array;

  constructor(count: number) {
    const pool = module.sharedOpen(count, WORKERS, seats);
    assert.ok(pool > 0);
    this.audit = new Audit(memory, pool);
    this.#where = Uint32Array.from(this.audit.changing(), (at) => at >> 2);
    this.first = this.join();
    this.second = this.join();
  }

  join(): Player {
    const self = module.sharedReserve(this.audit.pool);
    assert.is(module.sharedJoin(self, this.audit.seat(self), this.audit.state(self)), 1);
    return { self, id: this.audit.word(self + 4), held: [] };
  }

  /** All that operations on the pool change. */
  seen(): Uint32Array {
    const seen = new Uint32Array(this.#where.length);
    for (let i = 0; i < seen.length; i++) seen[i] = words[this.#where[i] as number] as number;
    return seen;
  }

  isAs(seen: Uint32Array): boolean {
    for (let i = 0; i < seen.length; i++) if (words[this.#where[i] as number] !== seen[i]) return false;
    return true;
  }

  restore(seen: Uint32Array): void {
    for (let i = 0; i < seen.length; i++) words[this.#where[i] as number] = seen[i] as number;
  }

  close(): void {
    for (const { self } of [this.first, this.second]) module.sharedRecover(self);
    assert.is(module.sharedClose(this.audit.pool), 0);
  }
}

/** One operation, on the handle that the meeting is about where it takes one. It says what it was told. */
type Operation = (player: Player, handle: number) => void;

function get(player: Player): boolean {
  const handle = module.sharedGet(player.self);
  if (handle > 0) player.held.push(handle);
  return handle > 0;
}

function put(player: Player, handle: number): void {
  module.sharedPut(player.self, handle);
  player.held = player.held.filter((other) => other !== handle);
}

const OPERATIONS: Readonly<Record<string, Operation>> = {
  get,
  put,
  adopt: (player, handle) => {
    if (module.sharedAdopt(player.self, handle) === 0) player.held = [...new Set([...player.held, handle])];
  },
  flush: ({ self }) => module.sharedFlush(self),
  leave: (player) => {
    module.sharedLeave(player.self);
    player.held = [];
  },
};

/** The other one may do more while the first is suspended: what it takes from the depot comes back to it, or does not. */
const MEANWHILE: Readonly<Record<string, Operation>> = {
  ...OPERATIONS,
  "get all": (player) => {
    while (get(player)) {}
  },
  "get all, put all": (player) => {
    while (get(player)) {}
    for (const handle of player.held) put(player, handle);
  },
};

/** What a worker that is killed leaves, wherever that was. */
interface Left {
  readonly seen: Uint32Array;
  /** What the other one was told that it has. */
  readonly held: readonly number[];
}

/** What was left already, found by a sum of its words and then word by word: most meetings leave what others did. */
class Known {
  readonly #bySum = new Map<number, Left[]>();
  count = 0;

  /** False: it was there. */
  add(left: Left): boolean {
    let sum = left.held.length;
    for (let i = 0; i < left.seen.length; i++) sum = (Math.imul(sum, 31) + (left.seen[i] as number)) | 0;
    const alike = this.#bySum.get(sum) ?? [];
    if (alike.some(({ seen, held }) => isSame(seen, left.seen) && isSame(held, left.held))) return false;
    this.#bySum.set(sum, [...alike, left]);
    this.count++;
    return true;
  }
}

function isSame(some: ArrayLike<number>, others: ArrayLike<number>): boolean {
  for (let i = 0; i < some.length; i++) if (some[i] !== others[i]) return false;
  return some.length === others.length;
}

const nothing = () => {};

/** Runs `operation` of the first; the other one acts behind `at` accesses. What is left behind each access from there on. */
function meet(pool: Pool, at: number, operation: () => void, meanwhile: () => void): Left[] | undefined {
  const left: Left[] = [];
  let steps = 0;
  const look = () => {
    const last = left.at(-1);
    if (last === undefined || !pool.isAs(last.seen)) left.push({ seen: pool.seen(), held: pool.second.held });
  };
  const step = () => {
    if (steps++ < at) return;
    if (steps === at + 1) {
      onStep = nothing; // what the other one does is whole
      meanwhile();
      onStep = step;
    }
    look();
  };
  onStep = step;
  operation();
  onStep = nothing;
  if (steps <= at) return undefined;
  look();
  return left;
}

/** The first is recovered: what it had is free, what the other one has is that one's, and each handle can be got once. */
function recover(pool: Pool, { seen, held }: Left, handle: number, how: string): void {
  const { audit, first, second } = pool;
  pool.restore(seen);
  module.sharedRecover(first.self);
  assert.equal(audit.problems(), [], how);
  const live = audit.live();
  assert.is(live.get(first.id), undefined, how);
  // Whether the handle that both had to do with is live depends on which was first.
  const others = (slots: readonly number[]) => slots.filter((slot) => slot !== slotOf(handle)).sort((a, b) => a - b);
  const slotOf = (some: number) => (some & INDEX_MASK) - audit.first;
  assert.equal(others(live.get(second.id) ?? []), others(held.map(slotOf)), how);
  const last = pool.join();
  for (const slots of live.values()) {
    for (const slot of slots) assert.is(module.sharedPut(last.self, audit.cell(slot).handle), 0, how);
  }
  if (audit.isThere(second.self)) module.sharedLeave(second.self);
  const got = new Set<number>();
  for (let i = 0; i < audit.count; i++) got.add(slotOf(module.sharedGet(last.self)));
  assert.is(got.size, audit.count, how);
  assert.is(module.sharedGet(last.self), -1, how);
}

/** What each has when they meet, as it is in memory, and as they know it. */
interface Situation {
  readonly how: string;
  readonly seen: Uint32Array;
  readonly had: readonly number[];
  readonly others: readonly number[];
}

/**
 * The first got some and put some of them, the other one has none, one, or all of the rest. One situation for each way in which both
 * have their magazines empty, in the middle, or full.
 */
function situations(pool: Pool): Situation[] {
  const { audit, first, second } = pool;
  const begin = pool.seen();
  const found = new Map<string, Situation>();
  for (let got = 0; got <= 2 * audit.size + 1; got++) {
    for (let putBack = 0; putBack <= got; putBack++) {
      for (const other of [0, 1, audit.count - got]) {
        pool.restore(begin);
        for (const player of [first, second]) player.held = [];
        for (let i = 0; i < got; i++) get(first);
        for (let i = 0; i < other; i++) get(second);
        for (const handle of first.held.slice(0, putBack)) put(first, handle);
        const tops = [first, second].map(({ id }) =>
          audit.magazinesOf(id).map((number) => audit.handlesIn(number).length),
        );
        const isNew = [tops, first.held.length > 0, second.held.length > 0, audit.stack(0).length > 0];
        const how = `got ${got}, put ${putBack}, the other one got ${other}`;
        const situation = { how, seen: pool.seen(), had: first.held, others: second.held };
        if (!found.has(JSON.stringify(isNew))) found.set(JSON.stringify(isNew), situation);
      }
    }
  }
  return [...found.values()];
}

/** All meetings in a situation: how many, and how many different things were left. */
function meetAll(pool: Pool, { seen, had, others, how }: Situation): { meetings: number; kills: number } {
  const { first, second } = pool;
  let [meetings, kills] = [0, 0];
  for (const handle of [had[0], others[0]]) {
    if (handle === undefined) continue;
    const known = new Known();
    for (const [name, operation] of Object.entries(OPERATIONS)) {
      for (const [otherName, meanwhile] of Object.entries(MEANWHILE)) {
        for (let at = 0; ; at++) {
          pool.restore(seen);
          [first.held, second.held] = [[...had], [...others]];
          const act = () => operation(first, handle);
          const left = meet(pool, at, act, () => meanwhile(second, handle));
          if (left === undefined) break;
          meetings++;
          for (const one of left) {
            if (known.add(one)) recover(pool, one, handle, `${how}; ${name}, and ${otherName} behind access ${at}`);
          }
        }
      }
    }
    kills += known.count;
  }
  return { meetings, kills };
}

for (const count of [3, 16]) {
  test(`leave ${count} slots in one place each, wherever one is killed`, () => {
    const pool = new Pool(count);
    const begin = pool.seen();
    const all = situations(pool);
    const done = all.map((situation) => meetAll(pool, situation));
    const sum = (name: "meetings" | "kills") => done.reduce((sum, one) => sum + one[name], 0);
    assert.ok(sum("meetings") > 1000 && sum("kills") > 1000, `${sum("meetings")} meetings, ${sum("kills")} kills`);
    pool.restore(begin);
    pool.close();
  });
}

test.run();
