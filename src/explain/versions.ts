/** Which versions of Linux a cause is of. */
import type { Cause } from "./cause.ts";
import { isBefore, versionOf } from "./machine.ts";

export function isOfVersion({ since, before }: Pick<Cause, "since" | "before">, release: readonly number[]): boolean {
  return (since === undefined || has(since, release)) && (before === undefined || !has(before, release));
}

/** Whether a kernel has a change: by its own series where the change was carried back to that, else by the release. */
function has(change: string, release: readonly number[]): boolean {
  const releases = change.split(", ").map((one) => versionOf(one) ?? []);
  const own = releases.find(([major, minor]) => major === release[0] && minor === release[1]);
  return !isBefore(release, own ?? releases[0] ?? []);
}
