/** TCEs by their number, gathered into runs of neighbours. They come in order. */
export class Runs {
  readonly found: { readonly first: number; count: number }[] = [];

  add(index: number): void {
    const last = this.found[this.found.length - 1];
    if (last !== undefined && last.first + last.count === index) last.count++;
    else this.found.push({ first: index, count: 1 });
  }
}
