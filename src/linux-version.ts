/** The version of a Linux kernel, of its stable series too: 6.12.107. */
export interface LinuxVersion {
  readonly major: number;
  readonly minor: number;
  /** 0 where none is named: the release itself. */
  readonly patch: number;
}

/**
 * Where a kernel's behaviour changed: the release that brought it, and behind it the releases of older series that it was
 * carried back to: `["7.3", "7.2.8", "6.12.113"]`.
 */
export type Change = readonly [release: string, ...carriedBackTo: string[]];

/** No zero before a number; what follows tells a version from the beginning of another word. */
const NUMBERS = String.raw`(0|[1-9]\d{0,4})\.(0|[1-9]\d{0,4})(?:\.(0|[1-9]\d{0,4}))?(?:\.\d+)?(?![\w.])(?=$|[-+~\s)])`;

/**
 * The version in any of the texts that a kernel is called by; `undefined` when there is none.
 *
 *     6.12.107                                            as kernel.org counts; 6.12 is 6.12.0
 *     6.12.107+deb13-powerpc64le, 7.3.0-rc4               `uname -r`
 *     Linux version 6.1.0-40-amd64 (...) Debian 6.1.153-1 `/proc/version`: the name of Debian's older kernels counts its
 *                                                         interfaces and not the stable series, which stands at the end
 *     6.12.95-1~bpo12+1                                   a package's version
 *
 * A release candidate counts as its release: what a release changes is in its first candidate.
 */
export function linuxVersionIn(text: string): LinuxVersion | undefined {
  const found =
    text.match(new RegExp(String.raw`^Linux version .* #\d+ .*\bDebian ${NUMBERS}`)) ??
    text.match(new RegExp(`^(?:Linux version )?${NUMBERS}`));
  if (found === null) return undefined;
  return { major: Number(found[1]), minor: Number(found[2]), patch: Number(found[3] ?? 0) };
}

export function linuxVersionText({ major, minor, patch }: LinuxVersion): string {
  return patch === 0 ? `${major}.${minor}` : `${major}.${minor}.${patch}`;
}

/** Below 0 when `a` is the older one, 0 when they are the same. */
export function compareLinux(a: LinuxVersion, b: LinuxVersion): number {
  return a.major - b.major || a.minor - b.minor || a.patch - b.patch;
}

/**
 * Whether a kernel has a change: by its own series where the change was carried back to it, else by the release.
 *
 *     ["7.3", "7.2.8", "6.12.113"]   6.12.107 no   6.12.117 yes   6.18.15 no   7.2.13 yes   7.3.4 yes
 */
export function hasChange(version: LinuxVersion, change: Change): boolean {
  const releases = change.map(versionFrom);
  const own = releases.find(({ major, minor }) => major === version.major && minor === version.minor);
  return compareLinux(version, own ?? (releases[0] as LinuxVersion)) >= 0;
}

function versionFrom(text: string): LinuxVersion {
  const version = linuxVersionIn(text);
  if (version === undefined) throw new Error(`no version of Linux: ${text}`);
  return version;
}
