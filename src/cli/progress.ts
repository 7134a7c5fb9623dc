/** Long work, seen: nothing for the first second, then a line on stderr every second. */
export class Progress {
  readonly #what: string;
  readonly #total: number;
  readonly #write: (line: string) => void;
  readonly #now: () => number;
  #next: number;

  constructor(
    what: string,
    total: number,
    write: (line: string) => void = (line) => process.stderr.write(line),
    now: () => number = () => performance.now(),
  ) {
    this.#what = what;
    this.#total = total;
    this.#write = write;
    this.#now = now;
    this.#next = now() + 1000;
  }

  /** `done` of the total are done. */
  step(done: number): void {
    const now = this.#now();
    if (now < this.#next) return;
    this.#next = now + 1000;
    this.#write(`${this.#what}: ${done} of ${this.#total} (${Math.floor((100 * done) / this.#total)} %)\n`);
  }
}
