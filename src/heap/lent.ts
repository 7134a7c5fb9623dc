/** Memory that another thread has lent, as the heap of a worker stands on it: it is seen through the worker's own kernel. */
import { DmaWindowError } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import type { JointView } from "../memory/segment.ts";
import { LONGEST_VIEW, type Sight, type Syscalls, sightIn } from "../syscalls.ts";
import type { HeapToken } from "../worker/heap-token.ts";
import { leave, take } from "../worker/seat.ts";
import { thisThread } from "../worker/thread.ts";
import { exhaustedLoan } from "./exhausted.ts";
import type { Asked, Ground, Piece, Place, Run } from "./ground.ts";

/** One loan. */
class Lent implements Piece {
  readonly token: HeapToken;
  readonly va: bigint;
  readonly length: bigint;
  readonly #kernel: Syscalls;
  readonly #views = new Map<string, Uint8Array>();
  /** Over this one and its neighbours; each of them has it. */
  readonly #joints = new Set<Uint8Array>();
  /** What still leads to the memory though its array has ended. */
  #sights: Sight[] = [];
  #freed = false;

  constructor(token: HeapToken, kernel: Syscalls) {
    this.token = token;
    this.va = token.va;
    this.length = token.length;
    this.#kernel = kernel;
  }

  get freed(): boolean {
    return this.#freed;
  }

  view(offset: bigint, length: bigint | number): Uint8Array {
    const key = `${offset}+${length}`;
    const known = this.#views.get(key);
    if (known !== undefined && known.byteLength > 0) return known;
    return exclusively("heap.bytes", () => {
      if (known !== undefined) this.#unview(known); // its buffer was moved away
      const view = this.#kernel.view(this.va + offset, BigInt(length));
      this.#views.set(key, view);
      return view;
    });
  }

  read(offset: bigint, into: Uint8Array): void {
    this.#copy(offset, into, this.#kernel.read, (shown) => into.set(shown));
  }

  write(offset: bigint, from: Uint8Array): void {
    this.#copy(offset, from, this.#kernel.write, (shown) => shown.set(from));
  }

  #copy(
    offset: bigint,
    bytes: Uint8Array,
    copy: ((va: bigint, bytes: Uint8Array) => void) | undefined,
    byView: (shown: Uint8Array) => void,
  ): void {
    if (copy !== undefined) exclusively("heap.copy", () => copy.call(this.#kernel, this.va + offset, bytes));
    else byView(this.#around(offset, bytes.byteLength));
  }

  /** By whole windows, so that there are few views. */
  #around(offset: bigint, length: number): Uint8Array {
    const first = offset - (offset % LONGEST_VIEW);
    const rest = this.length - first;
    const whole = this.view(first, rest < LONGEST_VIEW ? rest : LONGEST_VIEW);
    const start = Number(offset - first);
    return start + length <= whole.byteLength ? whole.subarray(start, start + length) : this.view(offset, length);
  }

  joined(view: Uint8Array): void {
    this.#joints.add(view);
  }

  #unview(view: Uint8Array): void {
    const sight = sightIn(this.#kernel.unview(view));
    if (sight !== undefined) this.#sights.push(sight);
  }

  /** Ends all that shows it; gives whether nothing leads to it any more. */
  hush(): boolean {
    for (const [key, view] of this.#views) {
      this.#unview(view);
      this.#views.delete(key);
    }
    for (const view of this.#joints) {
      this.#unview(view); // another time does nothing
      this.#joints.delete(view);
    }
    this.#sights = this.#sights.filter((sight) => sight.seen());
    if (this.#sights.length > 0) {
      this.#sights[0]?.collect?.();
      this.#sights = this.#sights.filter((sight) => sight.seen());
    }
    return this.#sights.length === 0;
  }

  /** It is the lender's again. */
  end(): void {
    this.#freed = true;
    leave(this.token.memory, this.token.seat);
  }
}

export class LentGround implements Ground {
  readonly pageSize: bigint;
  readonly length = 0n;
  readonly #title: string;
  readonly #kernel: Syscalls;
  readonly #window: string;
  readonly #loans = new Set<Lent>();

  constructor(title: string, kernel: Syscalls, { pageSize, window }: HeapToken) {
    this.pageSize = pageSize;
    this.#title = title;
    this.#kernel = kernel;
    this.#window = window.id;
  }

  /** The numbers of those that it has. */
  get loans(): readonly number[] {
    return [...this.#loans].map(({ token }) => token.loan);
  }

  /** @throws `ERR_TOKEN_USED`, `ERR_OTHER_WINDOW`. */
  accept(token: HeapToken): Piece {
    const { memory, seat, ticket, loan, title, window } = token;
    if (window.id !== this.#window) {
      const said = `loan ${loan} of ${title} has IOVAs of another window than ${this.#title}: open another heap with it`;
      throw new DmaWindowError("ERR_OTHER_WINDOW", said, { facts: { loan } });
    }
    if (!take(memory, seat, ticket, thisThread())) {
      throw new DmaWindowError(
        "ERR_TOKEN_USED",
        `the token of loan ${loan} of ${title} is not good any more: it was used, or recovered, or the heap is closed. Each heap needs memory of its own: lend(bytes)`,
        { facts: { loan } },
      );
    }
    const lent = new Lent(token, this.#kernel);
    this.#loans.add(lent);
    return lent;
  }

  /** Nobody lends more because of this: a worker is given memory, and takes none. */
  take(): Piece {
    throw new DmaWindowError("ERR_HEAP_MAXIMUM", `${this.#title} has what it was lent, and no more: add(token)`);
  }

  runsOf(piece: Piece): Run[] {
    return (piece as Lent).token.runs.map(({ va, iova, length }) => ({ va, iova, size: length }));
  }

  checkFree(): void {} // it goes back to its lender, and not to the system

  /** @throws `ERR_HELD` while something still leads to it. */
  free(piece: Piece): void {
    const lent = piece as Lent;
    if (!lent.hush()) throw this.#seen(lent);
    lent.end();
    this.#loans.delete(lent);
  }

  together(pieces: readonly Piece[]): JointView {
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0n);
    const { va } = pieces[0] as Piece;
    if (length > LONGEST_VIEW) throw new DmaWindowError("ERR_TOO_LARGE", "more than one array shows");
    const view = exclusively("heap.bytes", () => this.#kernel.view(va, length));
    for (const piece of pieces) (piece as Lent).joined(view);
    return { va, view };
  }

  exhausted(asked: Asked, place: Place): DmaWindowError {
    return exhaustedLoan(asked, place);
  }

  /** Ends all arrays. @throws `ERR_HELD` while something still leads to the memory; then nothing goes back. */
  hush(): void {
    const seen = [...this.#loans].filter((lent) => !lent.hush());
    if (seen[0] !== undefined) throw this.#seen(seen[0]);
  }

  #seen({ token }: Lent): DmaWindowError {
    return new DmaWindowError(
      "ERR_HELD",
      `loan ${token.loan} of ${token.title} cannot go back: an array of ${this.#title} was moved away, or is in use by input and output. Drop it, and try again`,
      { facts: { loan: token.loan } },
    );
  }
}
