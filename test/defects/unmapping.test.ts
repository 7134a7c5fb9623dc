/**
 * What this library grew out of gets some things wrong (the numbers count its known defects). One test for each: it fails
 * if our code has the defect too.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { agree, refusedUnseen } from "../support/agreement.ts";
import { failure } from "../support/failure.ts";
import { GROUP, MiB, ready } from "../support/program.ts";

const PAGE = 4096n;

// Defect 1. The struct of a map was passed to UNMAP: the kernel read 0 as the IOVA and the IOVA as the size.
test("unmapping in the middle clears that range and no other: what is below it and above it stays live", () => {
  const { program, window, va } = ready();
  const [a, b, top] = [MiB, 2n * MiB, 3n * MiB];
  for (const [i, iova] of [a, b, top].entries()) window.map({ va: va + BigInt(i) * 2n * PAGE, length: PAGE, iova });
  const cleared: unknown[] = [];
  program.model.watch((range) => cleared.push([range.iova, range.length]));
  window.unmap({ iova: b, length: PAGE });
  const reach = (iova: bigint) => program.model.tceAt(GROUP, iova)?.va;
  assert.equal([reach(a), reach(b), reach(top)], [va, undefined, va + 4n * PAGE]);
  assert.equal(cleared, [[b, PAGE]]);
  agree(program, window);
});

// Defect 2. The end of a request was formed by adding, and an end past 2^64 looked small.
test("a request whose end wraps around 2^64 is outside the window, whichever way it is asked", () => {
  const { program, window, va } = ready();
  const iova = (1n << 64n) - PAGE;
  assert.not(window.contains(iova, 2n * PAGE));
  assert.not(window.contains(PAGE, (1n << 64n) - PAGE));
  refusedUnseen(program, window, "ERR_WRAPS", () => window.map({ va, length: 2n * PAGE, iova }));
  refusedUnseen(program, window, "ERR_WRAPS", () => window.map({ va, length: (1n << 64n) - PAGE, iova: PAGE }));
  refusedUnseen(program, window, "ERR_WRAPS", () => window.unmap({ iova, length: 2n * PAGE }));
  refusedUnseen(program, window, "ERR_WRAPS", () => window.unmap({ iova: 2n * PAGE, length: (1n << 64n) - PAGE }));
});

// Defect 10, its first part. Joining neighbours passed over the first pair of the list.
test("the first two neighbours become one run, as every other pair does", () => {
  const { window, va } = ready();
  window.map({ va, length: PAGE, iova: 0n });
  window.map({ va: va + PAGE, length: PAGE, iova: PAGE });
  assert.equal([...window.maps()], [{ va, iova: 0n, length: 2n * PAGE }]);
});

// Defect 10, the rest. Holes and other offsets were accepted, there was room for 256, and closing left them all.
test("a program's unmap is all of what it names, and nothing else: no holes, no other memory, no limit of 256, nothing stale", () => {
  const { program, window } = ready();
  const va = program.allocate(2000n * PAGE);
  for (let i = 0n; i < 600n; i++) window.map({ va: va + 3n * i * PAGE, length: PAGE, iova: 2n * i * PAGE });
  assert.is([...window.maps()].length, 600);
  failure("ERR_NOT_LIVE", () => window.unmap({ iova: 0n, length: 3n * PAGE }));
  window.map({ va: va + PAGE, length: PAGE, iova: PAGE });
  window.unmap({ iova: 0n, length: 2n * PAGE });
  window.map({ va: va + PAGE, length: PAGE, iova: 0n });
  window.map({ va, length: PAGE, iova: PAGE });
  failure("ERR_VA_MISMATCH", () => window.unmap({ iova: 0n, length: 2n * PAGE, va: va + PAGE }));
  agree(program, window);
  program.container.close();
  const next = ready();
  assert.equal([...next.window.maps()], []);
  assert.is(next.window.translate(va), undefined);
});

test.run();
