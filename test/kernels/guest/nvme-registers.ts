/**
 * Whether an access to a register is one access of its width for the device: QEMU writes down what its controller sees, and the host
 * looks at that when the machine is off. What is said here comes before or behind it.
 *
 *     read of 4 at 0xf00 | read8 read16 read32 ... | read of 4 at 0xf04 | driver | read of 4 at 0xf08
 */
import * as assert from "uvu/assert";
import { type Access, type Expected, MARKS } from "../accesses.ts";
import { withNvme } from "./nvme-session.ts";
import { report, testLater } from "./say.ts";
import type { Site } from "./site.ts";

/** Where the controller has no register: it gives 0, and drops what is written. */
const NOWHERE = 0xe00;
const VERSION = 8;
/** Blocks of nobody else's. */
const WRITTEN = 28_000;
/** Often enough that the engine has made machine code of the loop, and would leave out what it can. */
const OFTEN = 3000;

let marks = 0;

/** Runs accesses between two marks, and tells the host what it is to find there. */
async function between(
  test: string,
  bar: () => { read32(offset: number): number },
  run: () => unknown,
  expected: Omit<Expected, "mark">,
): Promise<void> {
  const mark = marks;
  marks += 2;
  bar().read32(MARKS + 4 * mark);
  await run();
  bar().read32(MARKS + 4 * (mark + 1));
  report({ kind: "accesses", test, mark, ...expected });
}

const access = (kind: Access["kind"], at: number, width: number): Access => ({ kind, at, width });

export async function registers(site: Site): Promise<void> {
  const session = site.openNvme();
  try {
    const bar = session.device.bar(0);
    const whole = () => bar;
    await between(
      "every access to a register of 2, 4 and 8 bytes is one of that width, in the program's order",
      whole,
      () => {
        bar.read16(NOWHERE);
        bar.read32(NOWHERE + 4);
        bar.read64(NOWHERE + 8);
        bar.read64LoHi(NOWHERE + 16);
        bar.write16(NOWHERE, 0xffff);
        bar.write32(NOWHERE + 4, 0xffff_ffff);
        bar.write64(NOWHERE + 8, 0xffff_ffff_ffff_ffffn);
        bar.write64LoHi(NOWHERE + 16, 0x1_0000_0000n);
      },
      {
        accesses: [
          access("read", NOWHERE, 2),
          access("read", NOWHERE + 4, 4),
          access("read", NOWHERE + 8, 8),
          access("read", NOWHERE + 16, 4),
          access("read", NOWHERE + 20, 4),
          access("write", NOWHERE, 2),
          access("write", NOWHERE + 4, 4),
          access("write", NOWHERE + 8, 8),
          access("write", NOWHERE + 16, 4),
          access("write", NOWHERE + 20, 4),
        ],
      },
    );
    // QEMU's controller takes 2 bytes at least, and is given the byte's place.
    await between(
      "every access to a register of one byte is one access",
      whole,
      () => {
        bar.read8(NOWHERE + 1);
        bar.write8(NOWHERE + 3, 0xff);
      },
      { accesses: [access("read", NOWHERE + 1, 2), access("write", NOWHERE + 3, 2)] },
    );
    await between(
      `a register whose value nobody uses is read as often as the program says, ${OFTEN} times`,
      whole,
      () => {
        for (let i = 0; i < OFTEN; i++) bar.read32(VERSION);
      },
      { widths: [4], least: OFTEN, most: OFTEN },
    );
    await between(
      `two reads of one register in a row are two, and so are two writes: ${OFTEN} of each`,
      whole,
      () => {
        for (let i = 0; i < OFTEN / 2; i++) {
          bar.write32(NOWHERE, bar.read32(VERSION));
          bar.write32(NOWHERE, bar.read32(VERSION));
        }
      },
      { widths: [4], least: 2 * OFTEN, most: 2 * OFTEN },
    );
  } finally {
    session.close();
  }
  for (const completions of ["poll", "msix", "intx"] as const) {
    await testLater(`the driver works by ${completions} while QEMU writes down what the controller sees`, () =>
      withNvme(site, { completions }, async (driven) => {
        await between(
          `every access of the NVMe driver to the controller's registers, doorbells too, is one of 4 bytes: ${completions}`,
          () => driven.device.bar(0),
          async () => {
            for (let i = 0; i < 8; i++) assert.is(await driven.read(16 * i, 16), 0, "wrong bytes");
            await driven.write(WRITTEN, 16);
            await driven.disk.flush();
            await driven.controller.reset();
          },
          { widths: [4], least: 20 },
        );
      }),
    );
  }
}
