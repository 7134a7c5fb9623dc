/** What apt prints, read: mirrors in its sources, the packages that a suite names, the files that it would fetch, and why not. */

/** A package's file, as `--print-uris` names it. */
export interface PackageFile {
  readonly name: string;
  readonly version: string;
  /** The file's name; a `:` in the version is `%3a` in it. */
  readonly file: string;
  /** Bytes. */
  readonly size: number;
}

/** A package in a version. */
export interface Package {
  readonly name: string;
  readonly version: string;
}

/**
 * The files in apt's answer to `--print-uris`, one a line:
 *
 *     'http://mirror.example/debian/pool/main/b/busybox/busybox-static_1.37.0-6_ppc64el.deb' busybox-static_1%3a1.37.0-6_ppc64el.deb 988788 SHA256:...
 */
export function packageFilesIn(text: string): PackageFile[] {
  return [...text.matchAll(/^'[^']+' (\S+\.deb) (\d+)(?: \S*)?$/gm)].map(([, file = "", size]) => {
    return { ...packageOf(file), file, size: Number(size) };
  });
}

/** The package that a file is of, by its name: `busybox-static_1%3a1.37.0-6_ppc64el.deb`. */
export function packageOf(file: string): Package {
  const [name = "", version = ""] = file.split("_");
  return { name, version: decodeURIComponent(version) };
}

/**
 * The packages in apt's answer to `madison`, one a line:
 *
 *     busybox-static | 1:1.37.0-6+b9 | http://mirror.example/debian trixie/main ppc64el Packages
 */
export function packagesIn(text: string): Package[] {
  return [...text.matchAll(/^ *(\S+) \| +(\S+) \| .* Packages$/gm)].map(([, name = "", version = ""]) => {
    return { name, version };
  });
}

/** Why apt or npm gave up, in one line, from all that it printed. */
export function reasonIn(text: string): string {
  const lines = text.split("\n").map((line) => line.trim());
  const named = lines.filter((line) => /^(E:|W: Failed|npm error (?!code|A complete log)\S)/.test(line));
  const most = named.filter((line) => !/^E: (Some index files|Unable to fetch some archives)/.test(line));
  const words = (most.length > 0 ? most : lines.filter((line) => line !== "").slice(-1)).map((line) =>
    line.replace(/^(E:|W:|npm error) */, "").replace(/ *\[IP: [^\]]*\]/g, ""),
  );
  const [first = "nothing was said", ...more] = [...new Set(words)].map((line) => line.replace(/\s+/g, " "));
  return more.length === 0 ? first : `${first} (and ${more.length} more)`;
}

/**
 * Whether the answer is a no that stays one: the mirror has no such file, the index no such package. Everything else may pass:
 * an index that is being replaced, a file that arrives torn, a connection that breaks.
 */
export function isFinal(text: string): boolean {
  return /^.*\b4\d\d {2}[A-Z]|File not found|Unable to locate package|Version '.*' for .* was not found|no installation candidate|unmet dependencies|does not have a Release file|npm error code (E40[0-9]|ETARGET|ENOVERSIONS)/im.test(
    text,
  );
}

/** Whether a reason says that nobody answered. */
export function isSilence(reason: string): boolean {
  return /Could not (connect|resolve)|Connection (failed|timed out)|Temporary failure resolving|without an answer/i.test(
    reason,
  );
}

/**
 * The first Debian mirror in apt's sources, one-line (`deb [options] URI suite ...`) or in paragraphs (`URIs: URI ...`).
 * Not the one for security updates, which has no architecture's whole archive: that one for `archive` "debian-security".
 */
export function mirrorIn(
  sources: readonly string[],
  archive: "debian" | "debian-security" = "debian",
): string | undefined {
  const pattern = new RegExp(`^(https?|mirror\\+\\S+|file):.*/${archive}/?$`);
  for (const text of sources) {
    for (const line of text.split("\n")) {
      const uris = line.match(/^deb\s+(?:\[[^\]]*\]\s+)?(\S+)/)?.[1] ?? line.match(/^URIs:\s*(.*)$/i)?.[1];
      const mirror = uris?.split(/\s+/).find((uri) => pattern.test(uri));
      if (mirror !== undefined) return mirror.replace(/\/$/, "");
    }
  }
  return undefined;
}
