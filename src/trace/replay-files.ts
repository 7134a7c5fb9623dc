/** The descriptors of a replay: what stands, in this process, for those of the one that was recorded. */
import type { Syscalls } from "../syscalls.ts";
import { malformed } from "./problems.ts";

/** No process has a descriptor of this number: the kernel says EBADF to it. */
const NO_DESCRIPTOR = 2 ** 31 - 1;

export class ReplayFiles {
  /** Behind a real kernel a number that the trace does not name may be a file of this very process. */
  readonly #isReal: boolean;
  /** By their names; also the closed ones. */
  readonly #numbers = new Map<string, number>();
  /** What the open ones are named, in the order in which they were opened. */
  readonly #open = new Map<number, string>();

  constructor(kernel: Syscalls) {
    this.#isReal = kernel.name === "linux";
  }

  /** @throws `ERR_TRACE_MALFORMED` for a name that no call of the trace gave. */
  numberOf(name: string | number, line: number): number {
    const number = typeof name === "number" ? name : this.#numbers.get(name);
    if (number === undefined) throw malformed(line, `nothing before it opened ${name}`);
    const owner = this.#open.get(number);
    if (owner !== undefined) return owner === name ? number : NO_DESCRIPTOR;
    return this.#isReal ? NO_DESCRIPTOR : number;
  }

  /** The trace had a descriptor here; `number` is below 0 where the replay got none. */
  opened(name: string, number: number): void {
    this.#numbers.set(name, number < 0 ? NO_DESCRIPTOR : number);
    if (number >= 0) this.#open.set(number, name);
  }

  closed(number: number): void {
    this.#open.delete(number);
  }

  /** The latest first. */
  get open(): readonly number[] {
    return [...this.#open.keys()].reverse();
  }
}
