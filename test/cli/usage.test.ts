import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseChoice, parseCount, parseSize, UsageError } from "../../src/cli/usage.ts";
import { thrownBy } from "../support/failure.ts";

/** The words of the UsageError that `run` throws. */
function refusal(run: () => unknown): string {
  const error = thrownBy(run);
  assert.instance(error, UsageError);
  return error.message;
}

const sizes = suite("a size");

const goodSizes: readonly (readonly [string, bigint])[] = [
  ["0", 0n],
  ["1", 1n],
  ["4096", 4096n],
  ["4096B", 4096n],
  ["64K", 64n << 10n],
  ["2M", 2n << 20n],
  ["64G", 64n << 30n],
  ["64g", 64n << 30n],
  ["64GiB", 64n << 30n],
  ["64GB", 64n << 30n],
  ["1T", 1n << 40n],
  ["16P", 16n << 50n],
  ["0x100000000", 1n << 32n],
  ["0xFFFFFFFFFFFFFFFF", 0xffff_ffff_ffff_ffffn],
  ["18446744073709551615", 0xffff_ffff_ffff_ffffn],
  ["16383P", 16383n << 50n],
  // B is a digit there.
  ["0x1B", 27n],
  ["0x10G", 16n << 30n],
  [" 64G ", 64n << 30n],
];

sizes("is a number of bytes, with a unit or in hexadecimal, and exact up to 2^64 - 1", () => {
  for (const [text, value] of goodSizes) assert.is(parseSize("grow-to", text), value, text);
});

sizes("that is none is refused with the option's name, examples, and what was given", () => {
  const none = [
    "",
    " ",
    "-1",
    "-0x10",
    "+1",
    "1.5G",
    "64 G",
    "G",
    "64Q",
    "64E",
    "64GG",
    "0x",
    "0xg",
    "1e3",
    "NaN",
    "1n",
  ];
  for (const text of none) {
    const message = refusal(() => parseSize("grow-to", text));
    assert.match(message, /^--grow-to takes a size such as 64G, 2M, 4096 or 0x100000000; got /);
    assert.ok(message.endsWith(JSON.stringify(text)), message);
  }
});

sizes("from 2^64 on is refused, however it is written", () => {
  const tooLarge = ["18446744073709551616", "0x10000000000000000", "16384P", "16777216T", `1${"0".repeat(400)}`];
  for (const text of tooLarge) {
    assert.match(
      refusal(() => parseSize("highest-ram", text)),
      /^--highest-ram takes at most 2\^64 - 1 bytes; got /,
    );
  }
});

sizes.run();

const counts = suite("a count");

counts("is a whole number within its bounds, the bounds among them", () => {
  for (const [text, value] of [
    ["3", 3],
    ["10", 10],
    ["007", 7],
  ] as const) {
    assert.is(parseCount("steps", text, 3, 10), value);
  }
  assert.is(parseCount("seed", "4294967295", 0, 2 ** 32 - 1), 4294967295);
});

counts("outside its bounds, or no whole number, is refused with the bounds and what was given", () => {
  for (const text of ["2", "11", "", " 5", "5 ", "5.0", "1e1", "0x5", "-5", "+5", "five", "9".repeat(400)]) {
    assert.is(
      refusal(() => parseCount("steps", text, 3, 10)),
      `--steps takes a whole number from 3 to 10; got ${JSON.stringify(text)}`,
    );
  }
});

counts.run();

const choices = suite("a choice");

choices("is one of the words, exactly", () => {
  assert.is(parseChoice("kernel", "linux", ["model", "linux"]), "linux");
  for (const text of ["Linux", "", "lin", "model,linux", "constructor"]) {
    assert.is(
      refusal(() => parseChoice("kernel", text, ["model", "linux"])),
      `--kernel takes model, linux; got ${JSON.stringify(text)}`,
    );
  }
});

choices.run();
