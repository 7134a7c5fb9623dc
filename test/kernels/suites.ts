/** Debian's suites, and the order in which they are asked. */

export interface Suite {
  readonly name: string;
  /** Security updates have an archive of their own. */
  readonly archive: "debian" | "debian-security";
}

function release(name: string): readonly [main: Suite, security: Suite, updates: Suite] {
  return [
    { name, archive: "debian" },
    { name: `${name}-security`, archive: "debian-security" },
    { name: `${name}-updates`, archive: "debian" },
  ];
}

const [trixie, trixieSecurity, trixieUpdates] = release("trixie");
const [bookworm, bookwormSecurity, bookwormUpdates] = release("bookworm");
const backports = (name: string): Suite => ({ name: `${name}-backports`, archive: "debian" });

/**
 * Where a kernel is looked for. Debian 13 first, for Linux 6.12; then what Debian 12 has of it, beside its own 6.1; last what is
 * newer than Debian 13, where other series have to be asked for.
 */
export const kernelSuites: readonly Suite[] = [
  ...[trixie, trixieSecurity, trixieUpdates],
  backports("bookworm"),
  ...[bookworm, bookwormSecurity, bookwormUpdates],
  backports("trixie"),
];

/** A program that stands alone, as busybox does, may be of any release. */
export const programSuites: readonly Suite[] = [trixie, bookworm];

/**
 * Packages that need each other come from the suites of one release: from all of them; from the release alone where an update
 * is named and cannot be had.
 */
const whole: readonly (readonly Suite[])[] = [[trixie, trixieSecurity, trixieUpdates], [trixie]];

/** Where Debian's Node is looked for, with its libraries. Debian 12 has Node 18, which is too old. */
export const nodeSuites = whole;

/** Where the C and C++ libraries under another build of Node are looked for. */
export const librarySuites: readonly (readonly Suite[])[] = [
  [bookworm, bookwormSecurity, bookwormUpdates],
  [bookworm],
  ...whole,
];
