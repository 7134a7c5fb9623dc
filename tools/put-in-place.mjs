// What a tool made, in the place of what was there.

import { existsSync, renameSync, rmSync } from "node:fs";

/**
 * Two renames: there is no moment at which a directory is half of what was made now and half of what was made before. Where the second one
 * fails what was there is put back. Both on one file system.
 */
export function putInPlace(fresh, place) {
  const former = `${fresh}-former`;
  if (existsSync(place)) renameSync(place, former);
  try {
    renameSync(fresh, place);
  } catch (error) {
    if (existsSync(former)) renameSync(former, place);
    throw error;
  }
  rmSync(former, { recursive: true, force: true });
}
