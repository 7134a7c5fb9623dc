// Whether a build would make what is there already. Beside what it made, in dist/made.json, a build leaves the digests of what it read and of
// what it wrote; where both are those of now, there is nothing to do.

import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { documentsOf } from "./documents.mjs";

const NOTE = "made.json";

/** What a build reads. Versions of compilers stand in the lock file. */
const sources = ["assembly", "src", "tools", "package.json", "package-lock.json", "README.md"];
const settings = /^(?:asconfig|tsconfig)\b.*\.json$/;

/** True where dist/ and lib/ are whole, and of the sources that are there. */
export function isMade(root) {
  try {
    const { of, made } = JSON.parse(readFileSync(join(root, "dist", NOTE), "utf8"));
    return of === digestOf(root, readBy(root)) && made === digestOf(root, ["dist", "lib"]);
  } catch {
    return false;
  }
}

/** To be called when all has been put in place. */
export function noteMade(root) {
  const note = { of: digestOf(root, readBy(root)), made: digestOf(root, ["dist", "lib"]) };
  writeFileSync(join(root, "dist", NOTE), `${JSON.stringify(note)}\n`);
}

/** To be called where a part was made alone. */
export function forgetMade(root) {
  rmSync(join(root, "dist", NOTE), { force: true });
}

function readBy(root) {
  return [...sources, ...readdirSync(root).filter((name) => settings.test(name)), ...documentsOf(root)];
}

/** Of names and bytes of all files below these places, but the note. One that is not there has no bytes. */
function digestOf(root, places) {
  const digest = createHash("sha256");
  const add = (place) => {
    const path = join(root, place);
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
      for (const name of readdirSync(path).sort()) add(join(place, name));
    } else if (place !== join("dist", NOTE)) {
      const bytes = existsSync(path) ? readFileSync(path) : "";
      digest.update(`${place}\0${bytes.length}\0`).update(bytes);
    }
  };
  for (const place of places) add(place);
  return digest.digest("hex");
}
