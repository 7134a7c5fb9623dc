/** docs/errors.md says all of the table, and the table has every code that the source can throw. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { codeOf, Status } from "../../src/core.ts";
import { codes } from "../../src/explain/codes.ts";
import { errorsPage, PAGE } from "./errors-page.ts";

const root = fileURLToPath(new URL("../../src", import.meta.url));

/** Not ours: Node's own, which is recognised. */
const OTHERS = ["ERR_ACCESS_DENIED", "ERR_DLOPEN_DISABLED"];

function thrown(): readonly string[] {
  const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
  const named = files
    .filter((name) => name !== join("explain", "codes.ts"))
    .flatMap((name) => readFileSync(join(root, name), "utf8").match(/(?<=")ERR_[A-Z0-9_]+(?=")/g) ?? []);
  const ofCore = Object.values(Status)
    .filter((status) => status !== Status.OK)
    .map(codeOf);
  return [...new Set([...named, ...ofCore])].filter((code) => !OTHERS.includes(code)).sort();
}

test("every code that the source can throw is in the table, and no other", () => {
  assert.equal(Object.keys(codes).sort(), thrown());
});

test("docs/errors.md is what the table says; npx tsx test/explain/errors-page.ts writes it", () => {
  assert.is(readFileSync(PAGE, "utf8"), errorsPage());
});

test.run();
