/** Where every handle and every magazine of a shared pool is, read from its memory: drawn in assembly/alloc/shared-layout.ts. */

/** What a module for shared pools exports, as far as the tests use it. */
export interface SharedModule {
  arenaTake(bytes: number): number;
  sharedOpen(count: number, workers: number, seats: number): number;
  sharedClose(pool: number): number;
  sharedReserve(pool: number): number;
  sharedJoin(self: number, seat: number, ticket: number): number;
  sharedLeave(self: number): number;
  sharedRecover(self: number): number;
  sharedGet(self: number): number;
  sharedPut(self: number, handle: number): number;
  sharedGetMany(self: number, at: number, count: number): number;
  sharedPutMany(self: number, at: number, count: number): number;
  sharedAdopt(self: number, handle: number): number;
  sharedCheckHandle(pool: number, handle: number): number;
  sharedFlush(self: number): void;
  sharedHeld(pool: number, id: number): number;
}

const HEADS = 128;
const WANTED = 512;
const RECORDS = 640;
const RECORD_BYTES = 2048;
const SEEN = 256;
const MAGAZINE_BYTES = 256;
const INDEX_MASK = (1 << 22) - 1;
export const STACKS = ["full", "partial", "empty"] as const;

export interface Cell {
  readonly handle: number;
  readonly free: boolean;
  readonly worker: number;
}

/** A look at a pool while nobody works on it. */
export class Audit {
  readonly #words: Uint32Array;
  readonly #heads: BigUint64Array;
  readonly pool: number;
  readonly count: number;
  readonly workers: number;
  readonly first: number;
  readonly size: number;
  readonly #magazines: number;

  constructor(memory: WebAssembly.Memory, pool: number) {
    this.#words = new Uint32Array(memory.buffer);
    this.#heads = new BigUint64Array(memory.buffer);
    this.pool = pool;
    const fact = (at: number) => this.#words[(pool >> 2) + at] as number;
    [this.count, this.workers, this.first, this.size, this.#magazines] = [fact(0), fact(1), fact(2), fact(3), fact(4)];
  }

  word(at: number): number {
    return this.#words[at >> 2] as number;
  }

  /** The record of a worker, from 1 on. */
  record(id: number): number {
    return this.pool + RECORDS + (id - 1) * RECORD_BYTES;
  }

  /** Where the state of a worker is. */
  seat(self: number): number {
    return this.word(self);
  }

  /** A ticket << 2, and 1: reserved, 2: joined. */
  state(self: number): number {
    return this.word(this.seat(self));
  }

  /** Whether a worker has joined, and has not left. */
  isThere(self: number): boolean {
    return (this.state(self) & 3) === 2;
  }

  cell(slot: number): Cell {
    const at = this.word(this.pool + 20) + (this.first + slot) * 8;
    const low = this.word(at);
    return { handle: low & 0x7fff_ffff, free: low >>> 31 === 1, worker: this.word(at + 4) };
  }

  /** How many magazines there are: by the formula that is proven in shared-pool.ts. */
  get magazines(): number {
    return Math.ceil(this.count / this.size) + 3 * this.workers + 1;
  }

  handlesIn(magazine: number): number[] {
    const at = this.#magazines + magazine * MAGAZINE_BYTES;
    return Array.from({ length: this.word(at) }, (_, i) => this.word(at + 16 + 4 * i));
  }

  /** The numbers of the magazines in a stack, from its top. */
  stack(index: number): number[] {
    const found: number[] = [];
    let number = Number((this.#heads[(this.pool + HEADS + 128 * index) >> 3] as bigint) & 0x3ffffn);
    for (; number !== 0; number = this.word(this.#magazines + number * MAGAZINE_BYTES + 4)) {
      found.push(number);
      if (found.length > this.magazines) throw new Error(`the stack of ${STACKS[index]} magazines is a ring`);
    }
    return found;
  }

  /** The numbers of the two magazines that a worker gets from and puts to. */
  magazinesOf(id: number): number[] {
    return [12, 16].map((at) => (this.word(this.record(id) + at) - this.#magazines) / MAGAZINE_BYTES);
  }

  /** Whether a worker has an attempt at a stack. */
  isExchanging(id: number): boolean {
    return this.word(this.record(id) + 40) + this.word(this.record(id) + 44) !== 0;
  }

  /** Where the words are that operations change. */
  changing(): number[] {
    const found: number[] = [];
    const see = (at: number, bytes: number) => {
      for (let i = 0; i < bytes; i += 4) found.push(at + i);
    };
    for (let stack = 0; stack < STACKS.length; stack++) see(this.pool + HEADS + 128 * stack, 8);
    see(this.pool + WANTED, 12);
    for (let id = 1; id <= this.workers; id++) {
      see(this.seat(this.record(id)), 4);
      see(this.record(id), 64);
      for (let stack = 0; stack < STACKS.length; stack++)
        see(this.record(id) + SEEN + 512 * stack, 8 * (this.workers + 1));
    }
    see(this.word(this.pool + 20) + this.first * 8, this.count * 8);
    for (let number = 1; number <= this.magazines; number++) {
      see(this.#magazines + number * MAGAZINE_BYTES, 16 + 4 * this.size);
    }
    return found;
  }

  /** What is wrong: nothing, where each magazine is in one place, each free handle in one magazine, and each live one in none. */
  problems(): string[] {
    const problems: string[] = [];
    const magazines = new Map<number, string>();
    const handles = new Map<number, string>();
    const see = (number: number, where: string) => {
      const before = magazines.get(number);
      if (before !== undefined) problems.push(`magazine ${number} is in ${before} and in ${where}`);
      magazines.set(number, where);
      for (const handle of this.handlesIn(number)) {
        const other = handles.get(handle & INDEX_MASK);
        if (other !== undefined)
          problems.push(`a handle of index ${handle & INDEX_MASK} is in ${other} and in ${where}`);
        handles.set(handle & INDEX_MASK, where);
        const { free, handle: current } = this.cell((handle & INDEX_MASK) - this.first);
        if (!free) problems.push(`handle ${handle} is live and in ${where}`);
        if (current !== handle) problems.push(`handle ${handle} is in ${where}, and its cell has ${current}`);
      }
    };
    for (const [index, name] of STACKS.entries()) {
      for (const number of this.stack(index)) {
        const { length } = this.handlesIn(number);
        if (index === 0 ? length !== this.size : index === 1 ? length === 0 || length === this.size : length !== 0) {
          problems.push(`magazine ${number} of ${length} handles is in ${name}`);
        }
        see(number, name);
      }
    }
    for (let id = 1; id <= this.workers; id++) {
      const record = this.record(id);
      const places = { loaded: 12, previous: 16, third: 20, hand: 24 };
      for (const [name, at] of Object.entries(places)) {
        const pointer = this.word(record + at);
        if (pointer !== 0) see((pointer - this.#magazines) / MAGAZINE_BYTES, `${name} of worker ${id}`);
      }
      if (this.word(record + 28) !== 0) problems.push(`worker ${id} is putting a handle`);
      if (this.isExchanging(id)) problems.push(`worker ${id} has an attempt`);
    }
    if (magazines.size !== this.magazines) problems.push(`${magazines.size} of ${this.magazines} magazines are there`);
    for (let slot = 0; slot < this.count; slot++) {
      const { free, handle } = this.cell(slot);
      if (free && !handles.has(handle & INDEX_MASK)) problems.push(`slot ${slot} is free and nowhere`);
    }
    return problems;
  }

  /** The slots that are live, by the worker that has them. */
  live(): Map<number, number[]> {
    const found = new Map<number, number[]>();
    for (let slot = 0; slot < this.count; slot++) {
      const { free, worker } = this.cell(slot);
      if (!free) found.set(worker, [...(found.get(worker) ?? []), slot]);
    }
    return found;
  }
}
