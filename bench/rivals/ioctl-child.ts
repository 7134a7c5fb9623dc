/**
 * Batches of ioctls, in a process of its own: through the shim, and as the same loop in C.
 *
 * A batch ends at the first call that fails, so the calls have to succeed, and nothing may happen. No driver does that for
 * VFIO_IOMMU_MAP_DMA; a seccomp filter does (filter.h). It stays for good and sees every system call of the process, so the
 * process is this one, and both contenders are in it. What the filter costs is measured too, before it is there.
 *
 *     node --expose-gc --import tsx bench/rivals/ioctl-child.ts ADDON SEED ROUNDS SAMPLE WARM-UP     one line of JSON
 */
import { strict as assert } from "node:assert";
import { createRequire } from "node:module";
import { shim } from "../../src/linux/shim.ts";
import { BATCH_ENTRY_BYTES, VfioCall } from "../../src/syscalls.ts";
import { inJavaScript } from "../harness/loop.ts";
import { Random } from "../harness/random.ts";
import { type Contender, compete, type Timing } from "../harness/rounds.ts";
import type { Addon } from "./native.ts";

/** How this process says what it found. */
export interface IoctlTimings {
  readonly timings: readonly Timing[];
  /** Why there are none. */
  readonly refused?: string;
}

/** Calls in a batch. */
export const IOCTLS = 1024;
const STRUCT_BYTES = 32;
const ENOTTY = -25;

const [addonFile = "", seed, rounds, sample, warmUp] = process.argv.slice(2);
const addon = createRequire(import.meta.url)(addonFile) as Addon;
const native = shim();
const effort = { rounds: Number(rounds), sample: Number(sample), warmUp: Number(warmUp) };
const random = new Random(Number(seed));

/** The table and its structs, in wasm memory as the core has them: entries first, then the structs. */
const memory = new Uint8Array(new WebAssembly.Memory({ initial: 1 }).buffer);
const words = new DataView(memory.buffer);
for (let i = 0; i < IOCTLS; i++) {
  const struct = IOCTLS * BATCH_ENTRY_BYTES + i * STRUCT_BYTES;
  words.setUint32(i * BATCH_ENTRY_BYTES, VfioCall.IOMMU_MAP_DMA, true);
  words.setUint32(i * BATCH_ENTRY_BYTES + 4, struct, true);
  words.setUint32(struct, STRUCT_BYTES, true);
  words.setUint32(struct + 4, 3, true);
}

/** Writes answers that nobody gives. */
function spoil(): void {
  for (let i = 0; i < IOCTLS; i++) words.setInt32(i * BATCH_ENTRY_BYTES + 8, 77, true);
}

function verify(wanted: number): void {
  for (let i = 0; i < IOCTLS; i++) assert.equal(words.getInt32(i * BATCH_ENTRY_BYTES + 8, true), wanted);
}

function inC(name: string, fd: number, succeed: boolean): Contender {
  const answer = new BigUint64Array(2);
  return {
    name,
    time: (repeats) => {
      spoil();
      addon.loopIoctls(fd, addon.vfioMapRequest(), memory, 0, IOCTLS, repeats, answer);
      assert.equal(answer[1], succeed ? BigInt(repeats * IOCTLS) : 0n);
      verify(succeed ? 0 : ENOTTY);
      return Number(answer[0]);
    },
  };
}

function throughShim(fd: number): Contender[] {
  return [
    inJavaScript({
      name: "ioctlBatch, 1024 ioctls",
      once: `sum += native.ioctlBatch(fd, memory, 0, ${IOCTLS});`,
      scope: { native, fd, memory },
      expected: IOCTLS,
      spoil,
      verify: () => verify(0),
    }),
    inJavaScript({
      name: "ioctlStruct, one crossing each",
      once: `for (let i = 0; i < ${IOCTLS}; i++) sum += native.ioctlStruct(fd, call, memory, ${IOCTLS * BATCH_ENTRY_BYTES}) === 0 ? 1 : 0;`,
      scope: { native, fd, memory, call: VfioCall.IOMMU_MAP_DMA },
      expected: IOCTLS,
    }),
  ];
}

async function main(): Promise<IoctlTimings> {
  const fd = native.open("/dev/null");
  assert.ok(fd >= 0, "/dev/null");
  const before = await compete([inC("C, refused by /dev/null, without a filter", fd, false)], effort, random);
  const refusal = addon.answerIoctls(addon.vfioMapRequest());
  if (refusal !== 0) return { timings: [], refused: `the kernel takes no seccomp filter (errno ${-refusal})` };
  const after = await compete([...throughShim(fd), inC("C, the same loop", fd, true)], effort, random);
  return { timings: [...after, ...before] };
}

process.stdout.write(`${JSON.stringify(await main())}\n`);
