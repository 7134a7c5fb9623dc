import { test } from "uvu";
import * as assert from "uvu/assert";
import { NO_ADDRESS } from "../../src/core.ts";
import { failure } from "../support/failure.ts";
import { GiB, HIGH, MiB, Program, ready } from "../support/program.ts";

const PAGE = 4096n;
const TOP = 1n << 64n;

test("translate and vaOf answer for every byte, and undefined for what is not mapped", () => {
  const { window, va } = ready();
  window.map({ va, length: 2n * PAGE, iova: MiB });
  assert.is(window.translate(va), MiB);
  assert.is(window.translate(va + 2n * PAGE - 1n), MiB + 2n * PAGE - 1n);
  assert.is(window.translate(va + 2n * PAGE), undefined);
  assert.is(window.translate(va - 1n), undefined);
  assert.is(window.vaOf(MiB + 4097n), va + 4097n);
  assert.is(window.vaOf(MiB - 1n), undefined);
  assert.is(window.vaOf(0n), undefined);
  for (const edge of [0n, TOP - 1n, 1n << 63n]) {
    assert.is(window.translate(edge), undefined);
    assert.is(window.vaOf(edge), undefined);
  }
});

test("iovaOf throws where translate gives undefined, and names the address", () => {
  const { window, va } = ready();
  window.map({ va, length: PAGE });
  assert.is(window.iovaOf(va + 1n), 1n);
  const error = failure("ERR_NOT_LIVE", () => window.iovaOf(va + PAGE));
  assert.match(error.message, `0x${(va + PAGE).toString(16)}`);
  assert.equal(error.facts, { va: va + PAGE });
});

test("translateInto translates what it can, marks what it cannot, and counts", () => {
  const { window, va } = ready();
  window.map({ va, length: 2n * PAGE, iova: MiB });
  const vas = BigUint64Array.of(va + 1n, va - 1n, va + PAGE, 0n, TOP - 1n);
  const iovas = new BigUint64Array(7).fill(5n);
  assert.is(window.translateInto(vas, iovas), 2);
  assert.equal([...iovas], [MiB + 1n, NO_ADDRESS, MiB + PAGE, NO_ADDRESS, NO_ADDRESS, 5n, 5n]);
  assert.is(window.translateInto(new BigUint64Array(0), iovas), 0);
});

test("translateInto takes more addresses than one crossing does, and may write over what it reads", () => {
  const { window, va } = ready();
  window.map({ va, length: 64n * PAGE });
  const addresses = BigUint64Array.from({ length: 10_000 }, (_, i) => va + BigInt((i * 977) % (80 * 4096)));
  const expected = addresses.map((address) => window.translate(address) ?? NO_ADDRESS);
  const found = window.translateInto(addresses, addresses);
  assert.equal(addresses, expected);
  assert.is(found, expected.filter((iova) => iova !== NO_ADDRESS).length);
  assert.ok(found > 7000 && found < 9000);
});

test("contains and headroom at the edges of a window at 0", () => {
  const { window } = ready();
  const size = 16n * MiB;
  assert.ok(window.contains(0n, size));
  assert.ok(window.contains(size - 1n, 1));
  assert.not(window.contains(size - 1n, 2));
  assert.not(window.contains(size, 1n));
  assert.not(window.contains(0n, size + 1n));
  assert.not(window.contains(0n, 0n));
  assert.not(window.contains(TOP - PAGE, 2n * PAGE));
  assert.not(window.contains(PAGE, TOP - PAGE));
  assert.equal([window.headroom(0n), window.headroom(size - 1n), window.headroom(size)], [size, 1n, 0n]);
});

test("contains and headroom at the edges of a window at 1 << 59", () => {
  const window = new Program({ platform: "pseries" }).window(4n * GiB);
  assert.ok(window.contains(HIGH, 4n * GiB));
  assert.not(window.contains(HIGH - 1n, 2n));
  assert.not(window.contains(0n, 1n));
  assert.not(window.contains(HIGH, 4n * GiB + 1n));
  assert.equal(
    [window.headroom(HIGH + 1n), window.headroom(HIGH - 1n), window.headroom(TOP - 1n)],
    [4n * GiB - 1n, 0n, 0n],
  );
});

test("largestHole and liveBytes follow every map and unmap", () => {
  const { window, va } = ready();
  assert.equal([window.largestHole, window.liveBytes], [16n * MiB, 0n]);
  window.map({ va, length: PAGE, iova: 8n * MiB });
  assert.equal([window.largestHole, window.liveBytes], [8n * MiB, PAGE]);
  window.map({ va: va + PAGE, length: PAGE, iova: 4n * MiB });
  assert.equal([window.largestHole, window.liveBytes], [8n * MiB - PAGE, 2n * PAGE]);
  window.unmap({ iova: 8n * MiB, length: PAGE });
  assert.equal([window.largestHole, window.liveBytes], [12n * MiB - PAGE, PAGE]);
});

test.run();
