import { suite } from "uvu";
import * as assert from "uvu/assert";
import { badValues } from "../support/bad-values.ts";
import { thrownBy } from "../support/failure.ts";
import { MiB, ready } from "../support/program.ts";
import { PAGE } from "./refusal-table.ts";

const questions = suite("questions");
questions("bad arguments are refused, and the kernel is never asked", () => {
  const { program, window } = ready();
  const addresses: ((value: never) => unknown)[] = [
    (value) => window.headroom(value),
    (value) => window.iovaOf(value),
    (value) => window.vaOf(value),
  ];
  for (const ask of addresses) {
    for (const [name, value] of [...badValues(), ["an exact number", 4096] as const]) {
      const code = typeof value === "bigint" ? "ERR_OUT_OF_RANGE" : "ERR_INVALID_ARG_TYPE";
      assert.is(thrownBy(() => ask(value as never)).code, code, `${ask}: ${name}`);
    }
  }
  for (const [, value] of badValues()) {
    assert.match(
      thrownBy(() => window.contains(0n, value as never)).code ?? "",
      /^ERR_(INVALID_ARG_TYPE|OUT_OF_RANGE)$/,
    );
    assert.is(thrownBy(() => window.translateInto(value as never, new BigUint64Array(1))).code, "ERR_INVALID_ARG_TYPE");
    assert.is(thrownBy(() => window.translateInto(new BigUint64Array(1), value as never)).code, "ERR_INVALID_ARG_TYPE");
  }
  // Of numbers a page is exact above 2^53 too.
  for (const [, value] of badValues("2^53")) {
    for (const ask of [() => window.contains(value as never, 1n), () => window.contains(0, value as never)]) {
      assert.match(thrownBy(ask).code ?? "", /^ERR_(INVALID_ARG_TYPE|OUT_OF_RANGE)$/);
    }
  }
  const [two, one] = [new BigUint64Array(2), new BigUint64Array(1)];
  assert.is(thrownBy(() => window.translateInto(two, one)).code, "ERR_OUT_OF_RANGE");
  assert.is(thrownBy(() => window.iovaOf(0x1000n)).code, "ERR_NOT_LIVE");
  assert.equal(program.record.calls, []);
});
questions.run();

const words = suite("words");
words("the refusal says what was asked, what the limit is, and where", () => {
  const { window, va } = ready();
  window.map({ va, length: PAGE });
  const message = (run: () => unknown) => thrownBy(run).message;
  assert.match(
    message(() => window.map({ va: va + PAGE, length: 2n * PAGE, iova: 16n * MiB - PAGE })),
    "cannot map 8 KiB at IOVA 0xfff000: the window is 0x0-0xffffff; 4 KiB are left from there",
  );
  assert.match(
    message(() => window.map({ va: va + PAGE, length: 32n * MiB })),
    "cannot map 32 MiB anywhere: the largest hole of the window has 16773120 bytes; plan it with growTo",
  );
  assert.match(
    message(() =>
      window.mapMany([
        { va: va + PAGE, length: PAGE },
        { va: va + 2n * PAGE, length: PAGE, iova: 0n },
      ]),
    ),
    "(request 1 of 2): part of it is mapped already",
  );
  assert.match(
    message(() => window.unmap({ iova: 0n, length: PAGE, va: va + PAGE })),
    `the memory there is not all of 0x${(va + PAGE).toString(16)}`,
  );
  const { facts } = thrownBy(() => window.map({ va: va + PAGE, length: PAGE, iova: 0n })) as { facts?: unknown };
  assert.equal(facts, { index: 0, count: 1, va: va + PAGE, iova: 0n, length: PAGE });
});
words.run();
