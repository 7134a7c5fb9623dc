import { test } from "uvu";
import * as assert from "uvu/assert";
import { needsOf } from "../conformance/run-on.ts";
import { bootsOf, harmfulRows } from "./boots.ts";
import { type Guest, guests } from "./guests.ts";

const named = (name: string) => guests.find((guest) => guest.name === name) as Guest;

test("a guest is booted for its parts, and once more for each row that harms its kernel", () => {
  for (const guest of guests) {
    const [usual, ...harmful] = bootsOf(guest);
    assert.equal(usual?.parts, guest.parts);
    assert.is(usual?.harm, undefined);
    assert.equal(
      harmful.map(({ harm }) => harm),
      harmfulRows(guest),
    );
    assert.is(new Set(bootsOf(guest).map(({ name }) => name)).size, 1 + harmful.length);
  }
});

test("every row that harms a kernel has a guest, and those about another machine or page size have not", () => {
  const counts = Object.fromEntries(guests.map((guest) => [guest.name, harmfulRows(guest).length]));
  assert.is(counts.x86, 0);
  assert.ok((counts["pseries-4k"] ?? 0) >= 6);
  assert.ok((counts["powernv-4k"] ?? 0) > (counts["powernv-64k"] ?? 0), "one row is about 4K pages only");
  for (const { row } of harmfulRows(named("powernv-64k"))) assert.ok(row[1].covers("powernv", 65536));
  assert.ok(guests.flatMap(harmfulRows).every(({ row }) => needsOf(row).reboot));
});

test("a crashed call keeps a processor, so a harmful row has two", () => {
  for (const boot of bootsOf(named("pseries-4k"))) assert.is(boot.cpus, boot.harm === undefined ? 1 : 2);
});

test("parts are chosen by name, and the boots for harmful rows are one of the names", () => {
  const guest = named("pseries-4k");
  assert.equal(
    bootsOf(guest, ["random", "dma"]).map(({ parts }) => parts.map(({ name }) => name)),
    [["dma", "random"]],
  );
  assert.is(bootsOf(guest, ["harm"]).length, harmfulRows(guest).length);
  assert.is(bootsOf(guest, ["harm", "dma"]).length, harmfulRows(guest).length + 1);
  assert.equal(bootsOf(named("x86"), ["harm"]), []);
});

test("a machine is stopped only after all of its parts had their time", () => {
  for (const { name, parts, seconds } of guests.flatMap((guest) => bootsOf(guest))) {
    const sum = parts.reduce((all, part) => all + part.seconds, 0);
    assert.ok(seconds > sum, `${name} has ${seconds} s for ${sum} s of parts`);
  }
});

test("every limit is multiplied, that of a boot and those of its parts", () => {
  for (const guest of guests) {
    const usual = bootsOf(guest);
    const patient = bootsOf(guest, undefined, 4);
    assert.is(patient.length, usual.length);
    patient.forEach((boot, i) => {
      assert.is(boot.seconds, (usual[i]?.seconds ?? 0) * 4);
      assert.equal(
        boot.parts.map(({ seconds }) => seconds),
        usual[i]?.parts.map(({ seconds }) => seconds * 4),
      );
    });
  }
});

test.run();
