/** What a window says is mapped: runs, merged wherever IOVAs and memory go on together, however they were mapped. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { agree } from "../support/agreement.ts";
import { failure } from "../support/failure.ts";
import { MiB, ready } from "../support/program.ts";

const PAGE = 4096n;

test("two adjacent maps are one run, and so are five", () => {
  for (const pieces of [2, 5]) {
    const { window, va } = ready();
    for (let i = 0; i < pieces; i++) {
      const at = BigInt(i) * PAGE;
      window.map({ va: va + at, length: PAGE, iova: MiB + at });
    }
    assert.equal([...window.maps()], [{ va, iova: MiB, length: BigInt(pieces) * PAGE }]);
  }
});

test("adjacent maps are one run in whatever order they came", () => {
  const { window, va } = ready();
  for (const i of [3n, 0n, 4n, 2n, 1n]) window.map({ va: va + i * PAGE, length: PAGE, iova: i * PAGE });
  assert.equal([...window.maps()], [{ va, iova: 0n, length: 5n * PAGE }]);
});

test("neighbours in IOVA that are not neighbours in memory are two runs, and the other way round", () => {
  const { window, va } = ready();
  window.map({ va, length: PAGE, iova: 0n });
  window.map({ va: va + 2n * PAGE, length: PAGE, iova: PAGE });
  window.map({ va: va + PAGE, length: PAGE, iova: 4n * PAGE });
  assert.equal(
    [...window.maps()],
    [
      { va, iova: 0n, length: PAGE },
      { va: va + 2n * PAGE, iova: PAGE, length: PAGE },
      { va: va + PAGE, iova: 4n * PAGE, length: PAGE },
    ],
  );
});

test("an unmap in the middle of a run makes two of it", () => {
  const { window, va } = ready();
  window.map({ va, length: 5n * PAGE });
  window.unmap({ iova: 2n * PAGE, length: PAGE });
  assert.equal(
    [...window.maps()],
    [
      { va, iova: 0n, length: 2n * PAGE },
      { va: va + 3n * PAGE, iova: 3n * PAGE, length: 2n * PAGE },
    ],
  );
});

test("an unmap across a hole is refused, though both sides are mapped", () => {
  const { program, window, va } = ready();
  window.map({ va, length: PAGE, iova: 0n });
  window.map({ va: va + 2n * PAGE, length: PAGE, iova: 2n * PAGE });
  failure("ERR_NOT_LIVE", () => window.unmap({ iova: 0n, length: 3n * PAGE }));
  agree(program, window);
  assert.is(window.liveBytes, 2n * PAGE);
});

test("an unmap whose memory is at different offsets is refused, with and without the va", () => {
  const { program, window, va } = ready();
  window.map({ va, length: PAGE, iova: 0n });
  window.map({ va: va + 2n * PAGE, length: PAGE, iova: PAGE });
  failure("ERR_VA_MISMATCH", () => window.unmap({ iova: 0n, length: 2n * PAGE, va }));
  failure("ERR_VA_MISMATCH", () => window.unmap({ iova: 0n, length: 2n * PAGE }));
  failure("ERR_VA_MISMATCH", () => window.unmap({ iova: PAGE, length: PAGE, va: va + PAGE }));
  agree(program, window);
  assert.is(window.liveBytes, 2n * PAGE);
});

test("there is no limit to how many maps there are: 3000, of which no two belong together", () => {
  const { program, window } = ready();
  const count = 3000n;
  const va = program.allocate(2n * count * PAGE);
  for (let i = 0n; i < count; i++) window.map({ va: va + 2n * i * PAGE, length: PAGE, iova: i * PAGE });
  const runs = [...window.maps()];
  assert.is(runs.length, Number(count));
  assert.equal(runs.at(-1), { va: va + 2n * (count - 1n) * PAGE, iova: (count - 1n) * PAGE, length: PAGE });
  agree(program, window);
  window.close();
  assert.equal(program.seen.windows, []);
  assert.equal(program.seen.registrations, []);
});

test("runs are read as they were when asked for, though the window changes meanwhile", () => {
  const { window, va } = ready();
  for (const i of [0n, 2n, 4n]) window.map({ va: va + i * PAGE, length: PAGE, iova: i * PAGE });
  const seen: bigint[] = [];
  for (const { iova, length } of window.maps()) {
    seen.push(iova);
    window.unmap({ iova, length });
  }
  assert.equal(seen, [0n, 2n * PAGE, 4n * PAGE]);
  assert.equal([...window.maps()], []);
});

test("nothing is left of a window's maps in the next window of the container", () => {
  const { program, window, va } = ready();
  window.map({ va, length: 4n * PAGE });
  window.close();
  const next = program.window(16n * MiB);
  assert.equal([...next.maps()], []);
  assert.is(next.translate(va), undefined);
  assert.is(next.vaOf(0n), undefined);
  assert.is(next.map({ va, length: 4n * PAGE }), 0n);
  agree(program, next);
});

test("nothing is left of a container's maps in the next container of the group", () => {
  const { program, window, va } = ready();
  window.map({ va, length: 4n * PAGE });
  program.container.close();
  assert.equal(program.model.leaks(), []);
  const again = ready();
  assert.equal([...again.window.maps()], []);
  assert.is(again.window.translate(va), undefined);
});

test.run();
