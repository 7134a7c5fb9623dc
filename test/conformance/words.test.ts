import { constants } from "node:os";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { size, words } from "./words.ts";

test("answers are in the words of the field", () => {
  assert.is(words(-constants.errno.EINVAL), "EINVAL");
  assert.is(words(-constants.errno.EAGAIN), "EAGAIN");
  assert.is(words(-77), "EBADFD");
  assert.is(words(-4000), "errno 4000");
  assert.is(words([0, 16, 0x77n, true, false, "opened"]), "0, 16, 0x77, yes, no, opened");
});

test("sizes are exact sums of units", () => {
  assert.is(size(0n), "0");
  assert.is(size(1n), "1 bytes");
  assert.is(size((1n << 32n) - 4096n), "3 GiB + 1023 MiB + 1020 KiB");
  assert.is(size((64n << 20n) + (32n << 10n)), "64 MiB + 32 KiB");
  assert.is(size(-(8n << 20n)), "-(8 MiB)");
});

test.run();
