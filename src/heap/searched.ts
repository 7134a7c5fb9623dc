/** What was looked for in vain: while nothing came back, nobody who asks for it again, or for more of it, waits for another search. */
export class Searched {
  /** How often blocks had come back by then. */
  #returns = 0n;
  /** The fewest bytes, by alignment and boundary: where a block does not fit for those, one without them may. */
  readonly #inVain = new Map<number, number>();

  /** Whether a search may find something, now that blocks have come back so often. `align` and `boundary` are shifts, below 128. */
  mayHelp(returns: bigint, bytes: number, align: number, boundary: number): boolean {
    if (returns !== this.#returns) this.clear();
    const least = this.#inVain.get(keyOf(align, boundary));
    return least === undefined || bytes < least;
  }

  /** It did not. `returns` counts what the search itself took and gave back. */
  failed(returns: bigint, bytes: number, align: number, boundary: number): void {
    this.#returns = returns;
    this.#inVain.set(keyOf(align, boundary), bytes);
  }

  clear(): void {
    this.#inVain.clear();
  }
}

function keyOf(align: number, boundary: number): number {
  return align * 128 + boundary;
}
