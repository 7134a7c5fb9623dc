/** A listener of the model that throws, or calls back, changes nothing: neither the kernel nor what the library knows. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { agree } from "../support/agreement.ts";
import { GiB, ready } from "../support/program.ts";

const PAGE = 4096n;

/** Runs with the process's own listeners for uncaught exceptions away, and gives what would have been one. */
async function uncaughtBy(run: () => void): Promise<unknown[]> {
  const before = process.listeners("uncaughtException");
  const caught: unknown[] = [];
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", (error) => caught.push(error));
  try {
    run();
    await new Promise((resolve) => setTimeout(resolve, 5));
  } finally {
    process.removeAllListeners("uncaughtException");
    for (const listener of before) process.on("uncaughtException", listener);
  }
  return caught;
}

const machines: readonly ModelOptions[] = [
  { platform: "powernv" },
  { platform: "pseries", pageSize: 4096 },
  { platform: "type1" },
];

for (const options of machines) {
  test(`${options.platform}: what a listener throws is an uncaught exception, and the calls are answered as without it`, async () => {
    const day = (listens: boolean) => {
      const { program, window, va } = ready(options);
      if (listens) {
        program.model.watch(() => {
          throw new Error("a listener broke");
        });
      }
      const placed = window.mapMany([0n, 4n, 8n].map((at) => ({ va: va + at * PAGE, length: PAGE })));
      window.unmapMany(placed.map((iova) => ({ iova, length: PAGE })));
      window.map({ va, length: 2n * PAGE });
      if (program.container.kind === "spapr") agree(program, window);
      const states = [program.model.hash()];
      window.close();
      program.container.close();
      assert.equal(program.model.leaks(), []);
      return [...states, program.model.hash()];
    };
    const quiet = day(false);
    let loud: string[] = [];
    const caught = await uncaughtBy(() => {
      loud = day(true);
    });
    assert.equal(loud, quiet);
    assert.ok(caught.length >= 4, `${caught.length} were heard`);
    assert.ok(caught.every((error) => (error as Error).message === "a listener broke"));
  });
}

test("the other listeners hear of it all the same", async () => {
  const { program, window, va } = ready();
  const heard: bigint[] = [];
  program.model.watch(() => {
    throw new Error("a listener broke");
  });
  program.model.watch(({ iova }) => void heard.push(iova));
  window.map({ va, length: PAGE, iova: 0n });
  const caught = await uncaughtBy(() => window.unmap({ iova: 0n, length: PAGE }));
  assert.equal(heard, [0n]);
  assert.is(caught.length, 1);
});

test("a listener sees the kernel as the call has left it, and may make calls itself", () => {
  const { program, window, va } = ready({}, GiB);
  const { model } = program;
  const seen: unknown[] = [];
  const stop = model.watch(({ iova, length }) => {
    stop();
    seen.push(iova, length, model.tceAt(program.group, iova));
    const fd = model.open("/dev/vfio/vfio");
    seen.push(model.close(fd));
  });
  window.map({ va, length: 4n * PAGE, iova: 0n });
  window.unmap({ iova: 0n, length: 4n * PAGE });
  assert.equal(seen, [0n, 4n * PAGE, undefined, 0]);
  agree(program, window);
});

test("a listener that ends the process ends it behind the call", () => {
  const model = modelKernel();
  const fd = model.open("/dev/vfio/vfio");
  model.watch(() => model.exit());
  assert.is(model.close(fd), 0);
});

test.run();
