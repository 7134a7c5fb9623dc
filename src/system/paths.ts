/** Paths of Linux, whatever the program runs on. */

/** The path of something below a directory. */
export function join(directory: string, ...names: readonly string[]): string {
  return [directory.replace(/(?<=.)\/+$/, ""), ...names].join("/").replace(/^\/\//, "/");
}

/** The last name of a path: what a link of sysfs leads to is known by it. */
export function basename(path: string): string {
  return /([^/]*)\/*$/.exec(path)?.[1] ?? path;
}

/** The directory that a path's last name is in. */
export function dirname(path: string): string {
  return /^(.*[^/])\/+[^/]+\/*$/.exec(path)?.[1] ?? (path.startsWith("/") ? "/" : ".");
}
