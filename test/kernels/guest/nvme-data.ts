/** Blocks of the disk through every window that there can be, and every way to hear of an end. */
import * as assert from "uvu/assert";
import { type NvmeSession, type SessionOptions, withNvme } from "./nvme-session.ts";
import { say, test, testLater } from "./say.ts";
import { GiB, HIGH, MiB, type Site } from "./site.ts";

interface Place {
  readonly name: string;
  readonly start: bigint;
  readonly options: SessionOptions;
}

/** The windows that the machine can have. */
function placesOn({ machine }: Site): Place[] {
  const zero: Place = { name: "at 0", start: 0n, options: {} };
  const size = 4n * GiB;
  if (machine.machine === "x86" || machine.machine === "arm")
    return [zero, { name: "at 4 GiB", start: size, options: { windowBytes: size } }];
  const high = { name: "at 1 << 59", start: HIGH };
  if (machine.machine === "pseries") return [zero, { ...high, options: { windowBytes: size } }];
  return [zero, { ...high, options: { beside: true } }];
}

/** More pages than two are a list, whatever the page; larger transfers are several commands. */
const COMMAND_BYTES = Number(256n << 10n);

const WAYS = ["poll", "msix", "intx"] as const;

export async function data(site: Site): Promise<void> {
  let place = 0;
  for (const { name, start, options } of placesOn(site)) {
    for (const completions of WAYS) {
      // Each has blocks of its own.
      const first = 4096 * place++;
      await testLater(`a disk through a window ${name}, by ${completions}: read, compared, written, flushed`, () =>
        withNvme(site, { ...options, completions, queues: 2, transferBytes: COMMAND_BYTES }, async (session) => {
          assert.is(session.window.start, start);
          await readAndWrite(session, first);
          const { interrupts } = session.controller;
          if (completions === "poll") assert.is(interrupts, 0);
          else assert.ok(interrupts > 10, `${interrupts} interrupts`);
        }),
      );
    }
  }
}

async function readAndWrite(session: NvmeSession, first: number): Promise<void> {
  // One block, one page, a page and a half, lists of 64 KiB, 256 KiB, and several commands.
  for (const blocks of [1, 8, 12, 128, 512, 1100]) {
    assert.is(await session.read(first + 3, blocks), 0, `wrong bytes in ${blocks} blocks`);
  }
  assert.is(await session.readDirect(first + 5, 512), 0, "wrong bytes, read without a copy");
  const many = Array.from({ length: 24 }, (_, i) => session.read(first + 16 * i, 16));
  assert.equal(new Set(await Promise.all(many)), new Set([0]));
  await session.write(first + 2000, 1);
  await session.write(first + 2001, 700);
  await session.writeDirect(first + 3000, 257);
  await session.disk.flush();
  assert.is(await session.read(first + 1990, 1300), 0, "wrong bytes in what was written, and around it");
  const last = session.disk.blocks - 1;
  assert.is(await session.read(last, 1), 0, "wrong bytes in the last block");
  await refuses(() => session.disk.read(last, new Uint8Array(1024)), /ERR_NVME_RANGE/);
}

async function refuses(run: () => Promise<unknown>, code: RegExp): Promise<void> {
  try {
    await run();
  } catch (error) {
    return assert.match(String((error as { code?: unknown }).code), code);
  }
  assert.unreachable("nothing was thrown");
}

/** One vector, all of them, and one too many. */
export function vectors(site: Site): void {
  const session = site.openNvme();
  try {
    const { device } = session;
    const { count } = device.info.irqs.msix;
    for (const wanted of [1, count]) {
      test(`MSI-X with ${wanted} of ${count} vectors: each is heard once, and no other`, () => {
        const on = device.irqs.msix(wanted);
        const heard = [...on].map((vector) => {
          vector.trigger();
          return [...on]
            .map((other) => other.poll())
            .reduce((sum, events, i) => sum + (i === vector.index ? events : 100 * events), 0);
        });
        on.disable();
        assert.equal(heard, Array(wanted).fill(1));
      });
    }
    test("MSI-X with one vector more than there are is refused, and none is on", () => {
      assert.throws(
        () => device.irqs.msix(count + 1),
        (error: { code?: unknown }) => error.code === "ERR_TOO_MANY_VECTORS",
      );
      assert.is(device.irqs.mode, "none");
    });
    test("a BAR of 16 KiB has 16 KiB, whatever the CPU's page", () => {
      const bar = device.bar(0);
      assert.is(bar.length, 16384);
      assert.is(bar.isMapped, true);
      assert.is(bar.read32(8), 0x10400);
      assert.throws(
        () => bar.read32(16384),
        (error: { code?: unknown }) => error.code === "ERR_OUT_OF_RANGE",
      );
    });
  } finally {
    session.close();
  }
}

/** Commands under way when the controller is reset: each is rejected or has its data, and afterwards all is as before. */
export async function resetUnderLoad(site: Site): Promise<void> {
  await testLater("the controller is reset with 32 commands under way: none brings wrong data, and it goes on", () =>
    withNvme(site, { completions: "msix", queues: 1, depth: 32, transferBytes: Number(MiB / 16n) }, async (session) => {
      for (let round = 0; round < 3; round++) {
        const reads = Array.from({ length: 64 }, (_, i) => session.read(128 * i, 128).catch(() => "rejected" as const));
        await null;
        await null;
        await session.controller.reset();
        const answers = await Promise.all(reads);
        say(
          `reset ${round + 1}: ${answers.filter((answer) => answer === "rejected").length} of ${answers.length} rejected`,
        );
        assert.equal(
          answers.filter((answer) => answer !== "rejected" && answer !== 0),
          [],
        );
        assert.is(await session.read(1000, 300), 0);
      }
      assert.is(session.controller.resets, 3);
    }),
  );
}
