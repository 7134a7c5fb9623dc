import { test } from "uvu";
import * as assert from "uvu/assert";
import { guests } from "./guests.ts";
import { optionsFrom, usage } from "./options.ts";

const names = (...parameters: readonly string[]) => optionsFrom(parameters).chosen.map(({ name }) => name);

function refusal(...parameters: readonly string[]): string {
  try {
    optionsFrom(parameters);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error(`${parameters.join(" ")} was accepted`);
}

test("without options all guests are booted, with all parts, for people", () => {
  const { chosen, ...others } = optionsFrom([]);
  assert.equal(
    chosen.map(({ name }) => name),
    guests.filter(({ isExtra }) => !isExtra).map(({ name }) => name),
  );
  assert.equal(names("--only", "arm"), ["arm"]);
  const off = { json: false, keep: false, fresh: false, insist: false, needs: false, help: false };
  assert.equal(others, { ...off, parts: undefined, linux: undefined, patience: 1, shell: undefined, files: [] });
});

test("guests are named one by one, or by their machine, and keep their order", () => {
  assert.equal(names("--only", "x86"), ["x86"]);
  assert.equal(names("--only", "powernv"), ["powernv-64k", "powernv-4k"]);
  assert.equal(names("--only=x86,pseries"), ["pseries-4k", "x86"]);
  assert.equal(names("--only", "powernv-4k,powernv-4k"), ["powernv-4k"]);
});

test("switches and parts are taken in any order", () => {
  const { json, keep, parts, chosen } = optionsFrom(["--parts", "dma,harm", "--keep", "--only", "x86", "--json"]);
  assert.equal(
    { json, keep, parts, guests: chosen.length },
    { json: true, keep: true, parts: ["dma", "harm"], guests: 1 },
  );
});

test("a kernel is chosen by its version or the beginning of one, or the mirror is asked anew", () => {
  assert.is(optionsFrom(["--linux", "6.12.107"]).linux, "6.12.107");
  assert.is(optionsFrom(["--linux=6.1"]).linux, "6.1");
  assert.is(optionsFrom(["--fresh"]).fresh, true);
  assert.is(optionsFrom(["--linux", "6.12", "--shell", "x86"]).linux, "6.12");
  for (const wrong of ["v6.12", "6.", "newest", ""]) assert.match(refusal("--linux", wrong), /--linux needs a version/);
  assert.match(refusal("--linux"), /--linux needs a version/);
});

test("time limits are multiplied for a busy host", () => {
  assert.is(optionsFrom(["--patience", "4"]).patience, 4);
  for (const wrong of ["0", "-1", "1.5", "100", "much"])
    assert.match(refusal("--patience", wrong), /a number from 1 to 99/);
});

test("a shell is for one guest, with files or without", () => {
  const { shell, chosen, files } = optionsFrom(["--shell", "powernv", "--with", "probe.ts,/tmp/data"]);
  assert.is(shell?.name, "powernv-64k");
  assert.equal(chosen, [shell]);
  assert.equal(files, ["probe.ts", "/tmp/data"]);
  assert.is(optionsFrom([]).shell, undefined);
  assert.match(refusal("--shell", "s390"), /--shell s390.*pseries-4k.*x86/);
  assert.match(refusal("--with", "probe.ts"), /--shell/);
  assert.match(refusal("--shell"), /--shell needs names/);
});

test("what cannot be is refused with the choices", () => {
  assert.match(refusal("--only", "s390"), /--only s390.*pseries-4k.*x86/);
  assert.match(refusal("--parts", "nothing"), /--parts nothing/);
  assert.match(refusal("--only"), /--only needs names/);
  assert.match(refusal("--only", "--json"), /--only needs names/);
  assert.match(refusal("--only", ","), /--only needs names/);
  assert.match(refusal("--fast"), /--fast is no option/);
  assert.match(refusal("--json=yes"), /--json=yes is no option/);
  assert.match(refusal("pseries"), /pseries is no option/);
});

test("the help names every guest and every part", () => {
  for (const { name, parts } of guests) {
    assert.match(usage, name);
    for (const part of parts) assert.match(usage, part.name);
  }
});

test.run();
