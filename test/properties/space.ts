/** Which pages of address space are taken: ranges that do not touch, in order. Few at a time, so a plain array. */
export class Space {
  #ranges: { start: number; end: number }[] = [];

  add(start: number, pages: number): void {
    let [from, to] = [start, start + pages];
    const apart = this.#ranges.filter((range) => {
      if (range.end < from || range.start > to) return true;
      from = Math.min(from, range.start);
      to = Math.max(to, range.end);
      return false;
    });
    this.#ranges = [...apart, { start: from, end: to }].sort((a, b) => a.start - b.start);
  }

  remove(start: number, pages: number): void {
    const end = start + pages;
    this.#ranges = this.#ranges.flatMap((range) =>
      [
        { start: range.start, end: Math.min(range.end, start) },
        { start: Math.max(range.start, end), end: range.end },
      ].filter((part) => part.start < part.end),
    );
  }

  get ranges(): readonly { readonly start: number; readonly end: number }[] {
    return this.#ranges;
  }

  get pages(): number {
    return this.#ranges.reduce((sum, { start, end }) => sum + end - start, 0);
  }
}
