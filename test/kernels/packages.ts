/** What apt prints, read: mirrors in its sources, and the files that it would fetch. */

/** A package's file, as `--print-uris` names it. */
export interface PackageFile {
  readonly name: string;
  readonly version: string;
  /** The file's name; a `:` in the version is `%3a` in it. */
  readonly file: string;
  /** Bytes. */
  readonly size: number;
}

/**
 * The files in apt's answer to `--print-uris`, one a line:
 *
 *     'http://mirror.example/debian/pool/main/b/busybox/busybox-static_1.37.0-6_ppc64el.deb' busybox-static_1%3a1.37.0-6_ppc64el.deb 988788 SHA256:...
 */
export function packageFilesIn(text: string): PackageFile[] {
  return [...text.matchAll(/^'[^']+' (\S+\.deb) (\d+)(?: \S+)?$/gm)].map(([, file = "", size]) => {
    const [name = "", version = ""] = file.split("_");
    return { name, version: decodeURIComponent(version), file, size: Number(size) };
  });
}

/** The package with a version that a kernel's package without one depends on, in the answer of `apt-cache depends`. */
export function kernelIn(text: string): string | undefined {
  return text.match(/^\s*Depends: (linux-image-\d\S*)$/m)?.[1];
}

/**
 * The first Debian mirror in apt's sources, one-line (`deb [options] URI suite ...`) or in paragraphs (`URIs: URI ...`).
 * Not the one for security updates, which has no architecture's whole archive.
 */
export function mirrorIn(sources: readonly string[]): string | undefined {
  for (const text of sources) {
    for (const line of text.split("\n")) {
      const uris = line.match(/^deb\s+(?:\[[^\]]*\]\s+)?(\S+)/)?.[1] ?? line.match(/^URIs:\s*(.*)$/i)?.[1];
      const mirror = uris?.split(/\s+/).find((uri) => /^(https?|mirror\+\S+|file):.*\/debian\/?$/.test(uri));
      if (mirror !== undefined) return mirror.replace(/\/$/, "");
    }
  }
  return undefined;
}
