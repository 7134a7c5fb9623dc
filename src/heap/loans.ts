/**
 * Memory of a heap that workers have for heaps of their own. A loan is a segment: it stays the heap's, which holds it, and its allocator
 * does not have it meanwhile.
 *
 *     new pages, or a loan that came back and is free ── lend ──> reserved ── a worker opens its heap ──> joined
 *     the heap's, as any other segment of it <── settle ── returned <── it closes its heap, or has ended and is recovered
 *
 * Whether it came back is a word of shared memory (worker/seat.ts). That is looked at when the heap needs memory, lends, trims, or is
 * asked: a worker that gives back sends no message, and waits for nobody.
 */

import { Seat } from "../alloc-shared.ts";
import { argumentRangeError, DmaWindowError } from "../errors.ts";
import { bytes as inBytes } from "../hex.ts";
import { readable } from "../inspect.ts";
import { spaceOf } from "../syscalls.ts";
import { size } from "../validate.ts";
import { type HeapToken, makeHeapToken } from "../worker/heap-token.ts";
import { leave, reserve, revoke, SEAT_BYTES, stateOf, threadOf } from "../worker/seat.ts";
import { thisThread } from "../worker/thread.ts";
import { checkSpace } from "../worker/token.ts";
import type { Blocks } from "./blocks.ts";
import { checkEnded, isWorker, Tokens, type WorkerThread } from "./ended.ts";
import type { Held } from "./held.ts";
import type { HeapPlan } from "./options.ts";
import { wasm } from "./wasm.ts";

/** A part of a heap's memory that a worker has, or may come for. */
export interface HeapLoan {
  /** As `token.loan`. */
  readonly loan: number;
  /** `reserved`: nobody came with the token. `returned`: the heap has it again in a moment. */
  readonly state: "reserved" | "joined" | "returned";
  /** Bytes. */
  readonly length: bigint;
}

interface Loan {
  readonly id: number;
  readonly seat: number;
  readonly ticket: number;
  readonly held: Held;
}

const STATES = { [Seat.RESERVED]: "reserved", [Seat.JOINED]: "joined", [Seat.NOBODY]: "returned" } as const;

/** Seats that nobody needs: those of former loans, whose tickets are void. */
const idle: number[] = [];
const windows = new WeakMap<object, string>();
let windowsSeen = 0;

export class Loans {
  readonly #blocks: Blocks;
  readonly #plan: HeapPlan;
  readonly #tokens = new Tokens();
  readonly #loans = new Map<number, Loan>();
  #last = 0;

  constructor(blocks: Blocks, plan: HeapPlan) {
    this.#blocks = blocks;
    this.#plan = plan;
  }

  /** Those that are not the heap's again. */
  get list(): readonly HeapLoan[] {
    return [...this.#loans.values()].map(({ id, seat, held }) =>
      readable({
        loan: id,
        state: STATES[stateOf(wasm.memory, seat) as keyof typeof STATES],
        length: held.segment.length,
      }),
    );
  }

  lend(bytes: bigint | number, worker?: WorkerThread): HeapToken {
    const wanted = size("bytes", bytes);
    if (wanted === 0n) throw argumentRangeError("bytes", "at least 1", bytes);
    if (worker !== undefined) isWorker(worker);
    const { memory, list, window } = this.#plan;
    const { title, segments, growth } = this.#blocks;
    checkSpace(memory.kernel && spaceOf(memory.kernel), `memory of ${title} cannot be lent to other threads`);
    this.settle();
    const seat = takeSeat();
    let held: Held;
    try {
      held = segments.lendAgain(wanted) ?? segments.lendNew(growth.room(wanted));
    } catch (error) {
      idle.push(seat);
      throw error;
    }
    const { va, length } = held.segment;
    growth.lent += length;
    growth.arm();
    const ticket = reserve(wasm.memory, seat);
    const id = ++this.#last;
    this.#loans.set(id, { id, seat, ticket, held });
    if (worker !== undefined) this.#tokens.add(worker, id);
    const runs = held.runs.map((run) => ({ va: run.va, iova: run.iova, length: run.size }));
    return makeHeapToken({
      ...{ loan: id, length, memory: wasm.memory, seat, ticket, title, va, pageSize: list.pageSize, runs },
      window: { start: window.start, size: window.size, id: idOf(window) },
    });
  }

  /** What came back is the heap's: gives whether anything is. What cannot be now will be tried again. */
  settle(): boolean {
    let came = false;
    for (const loan of this.#loans.values()) {
      if (stateOf(wasm.memory, loan.seat) === Seat.NOBODY && this.#takeBack(loan.held)) {
        this.#loans.delete(loan.id);
        idle.push(loan.seat);
        this.#blocks.growth.lent -= loan.held.segment.length;
        came = true;
      }
    }
    if (came) this.#blocks.growth.arm();
    return came;
  }

  /** Where the allocator has no room for it, it goes back to the memory. */
  #takeBack(held: Held): boolean {
    const { segments, prepare } = this.#blocks;
    try {
      segments.takeBack(held, prepare);
      return true;
    } catch (error) {
      if ((error as { code?: unknown }).code !== "ERR_OUT_OF_MEMORY") return false;
    }
    try {
      segments.discard(held);
    } catch {
      // What is left of it is said when the heap is closed, which tries again.
    }
    return held.segment.freed;
  }

  recover(worker: number | WorkerThread): bigint {
    const { title } = this.#blocks;
    const ids = typeof worker === "number" ? [this.#numberOf(worker)] : this.#tokens.ofEnded(worker, title);
    const loans = ids.flatMap((id) => this.#loans.get(id) ?? []);
    for (const { id, seat } of loans) {
      if (stateOf(wasm.memory, seat) === Seat.JOINED)
        checkEnded(() => threadOf(wasm.memory, seat), title, `the thread with loan ${id}`);
    }
    let bytes = 0n;
    for (const { seat, ticket, held } of loans) {
      if (stateOf(wasm.memory, seat) === Seat.JOINED) leave(wasm.memory, seat);
      else if (!revoke(wasm.memory, seat, ticket)) continue;
      bytes += held.segment.length;
    }
    this.settle();
    return bytes;
  }

  #numberOf(id: number): number {
    if (Number.isInteger(id) && id >= 1 && id <= this.#last) return id;
    throw argumentRangeError("worker", "the number of a loan, as its token says it", id);
  }

  /** Makes tokens void. @throws `ERR_HELD` while workers have loans: they see the pages. */
  checkNobody(): void {
    for (const { seat, ticket } of this.#loans.values()) revoke(wasm.memory, seat, ticket);
    const loans = this.list.filter(({ state }) => state === "joined");
    if (loans.length === 0) return;
    throw new DmaWindowError(
      "ERR_HELD",
      `${this.#blocks.title} has lent memory to heaps in other threads: ${namesOf(loans)}. Let them close(), or end them and call recover(token.loan)`,
      { facts: { loans: loans.map(({ loan }) => loan) } },
    );
  }

  /** What others have, in words. */
  get about(): string | undefined {
    const loans = this.list.filter(({ state }) => state !== "returned");
    return loans.length === 0 ? undefined : `${namesOf(loans)} lent to other threads`;
  }

  /** The heap is closed, and nobody has any. */
  end(): void {
    for (const { seat } of this.#loans.values()) idle.push(seat);
    this.#loans.clear();
  }
}

function namesOf(loans: readonly HeapLoan[]): string {
  return loans.map(({ loan, length }) => `loan ${loan} (${inBytes(length)})`).join(", ");
}

function takeSeat(): number {
  const seat = idle.pop() ?? wasm.arenaTake(SEAT_BYTES);
  if (seat !== 0) return seat;
  throw new DmaWindowError("ERR_OUT_OF_MEMORY", "no room for a loan in the allocator's memory");
}

/** Of a window, in all threads of this process. */
function idOf(window: object): string {
  const known = windows.get(window);
  if (known !== undefined) return known;
  const id = `${thisThread()}-${++windowsSeen}`;
  windows.set(window, id);
  return id;
}
