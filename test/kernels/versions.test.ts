import { test } from "uvu";
import * as assert from "uvu/assert";
import { compare, isBelow, isOf, linuxOf } from "./versions.ts";

test("Linux's version is read from a package's", () => {
  const versions = ["6.12.107-1", "6.12.95-1~bpo12+1", "6.1.176-1", "1:7.3-1", "7.3.4+1-1"];
  assert.equal(versions.map(linuxOf), ["6.12.107", "6.12.95", "6.1.176", "7.3", "7.3.4"]);
  assert.is(linuxOf("unknown"), "");
});

test("a version is of its series, and of none that only looks like it", () => {
  for (const series of ["6", "6.12", "6.12.107"]) assert.ok(isOf("6.12.107", series), series);
  for (const series of ["6.1", "6.12.1", "6.12.10", "6.12.107.1", "7"]) assert.not(isOf("6.12.107", series), series);
});

test("versions are ordered by their numbers", () => {
  const sorted = ["6.1.176", "6.12", "6.12.95", "6.12.107", "6.12.117", "7.3.4"];
  assert.equal([...sorted].reverse().sort(compare), sorted);
  assert.is(compare("6.12", "6.12.0"), 0);
});

test("a Node is held against what the package asks for", () => {
  for (const node of ["v20.11.0", "v20.18.9", "v18.20.4"]) assert.ok(isBelow(node, ">=20.19"), node);
  for (const node of ["v20.19.0", "v20.20.2", "v22.0.0", "v26.1.0"]) assert.not(isBelow(node, ">=20.19"), node);
});

test.run();
