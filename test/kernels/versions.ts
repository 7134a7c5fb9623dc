/** Versions of Linux and of Node: `6.12.107`, as far as they are numbers. */

/** Linux's own version in that of a Debian package: `6.12.95` of `6.12.95-1~bpo12+1`. */
export function linuxOf(debianVersion: string): string {
  return /^(?:\d+:)?(\d+(?:\.\d+)*)/.exec(debianVersion)?.[1] ?? "";
}

/** Whether a version is the one that is meant, or one of a series: `6.12.107` is of `6.12`, and `6.121` is not. */
export function isOf(version: string, meant: string): boolean {
  return version === meant || version.startsWith(`${meant}.`);
}

/** Negative where `a` is older, 0 where they are the same. */
export function compare(a: string, b: string): number {
  const [left, right] = [numbers(a), numbers(b)];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Whether a Node is older than `engines` says: `>=20.19`. */
export function isBelow(node: string, engines: string): boolean {
  return compare(node.replace(/^v/, ""), engines.replace(/^>=\s*v?/, "")) < 0;
}

function numbers(version: string): number[] {
  return (/^\d+(?:\.\d+)*/.exec(version)?.[0] ?? "").split(".").map(Number);
}
