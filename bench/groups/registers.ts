/** A register read or written, on memory that answers at once: what the way to it costs, and not the device. */
import { strict as assert } from "node:assert";
import { modelKernel, openContainer, softwareNvme } from "../../src/index.ts";
import { shimAvailable } from "../../src/linux/shim.ts";
import type { Registers } from "../../src/syscalls.ts";
import { short } from "../harness/format.ts";
import { garbageOf } from "../harness/garbage.ts";
import { plainRow, type Row, type RowName, row } from "../harness/goals.ts";
import { type Bench, exactly, figures, type Group, type Outcome } from "../harness/group.ts";
import { inJavaScript, type Work } from "../harness/loop.ts";
import type { Addon } from "../rivals/native.ts";
import { type MappedFile, mappedFile } from "../tables/mapped-file.ts";

const ACCESSES = 4096;
const BYTES = 4096;
const ADDRESS = "0000:01:00.0";
/** VS of the software NVMe, a register that can only be read: 1.4.0. */
const VERSION = { offset: 8, value: 0x10400 };

type Accesses = Pick<Registers, "read32" | "read64"> & {
  write32(offset: number, value: number): unknown;
  write64(offset: number, value: bigint): unknown;
};

/** A loop over all registers of a width, again and again; `access` is made of `offset`, `i` and the scope. */
function loop(
  name: string,
  width: number,
  access: string,
  scope: Work["scope"],
): Pick<Work, "name" | "once" | "scope"> {
  const once = `for (let i = 0; i < ${ACCESSES}; i++) { const offset = (i * ${width}) & ${BYTES - 1}; ${access} }`;
  return { name, once, scope };
}

/** What each loop over 32-bit registers reads, and leaves. */
const LAST = Uint32Array.from({ length: BYTES / 4 }, (_, at) => ACCESSES - BYTES / 4 + at);

/** The four accesses through one of the ways to the file's memory. */
function accesses(file: MappedFile, name: string, registers: Accesses): Work[] {
  const values = BigUint64Array.from({ length: BYTES / 8 }, (_, at) => (BigInt(at) << 40n) | 7n);
  const scope = { registers, values };
  const filled = (words: Uint32Array | BigUint64Array) => new Uint8Array(words.buffer, 0, words.byteLength);
  const empty = () => file.write(new Uint8Array(BYTES));
  const holds = (words: Uint32Array | BigUint64Array) => () =>
    assert.ok(Buffer.from(filled(words)).equals(file.read()), `${name} did not write what it was given`);
  const sum = LAST.reduce((all, value) => all + value, 0) * (ACCESSES / LAST.length);
  return [
    {
      ...loop(`${name}.read32`, 4, "sum += registers.read32(offset);", scope),
      expected: sum,
      spoil: () => file.write(filled(LAST)),
    },
    {
      ...loop(`${name}.write32`, 4, "registers.write32(offset, i); sum++;", scope),
      expected: ACCESSES,
      spoil: empty,
      verify: holds(LAST),
    },
    {
      ...loop(`${name}.read64`, 8, "sum += registers.read64(offset) === values[offset >> 3] ? 1 : 0;", scope),
      expected: ACCESSES,
      spoil: () => file.write(filled(values)),
    },
    {
      ...loop(`${name}.write64`, 8, "registers.write64(offset, values[offset >> 3]); sum++;", scope),
      expected: ACCESSES,
      spoil: empty,
      verify: holds(values),
    },
  ];
}

const NOTHING = { two: "a native call that does nothing, two arguments", three: "the same, three arguments" };

function nothing({ nothing: call, second }: Addon): Work[] {
  const scope = { nothing: call, second };
  const expected = ACCESSES;
  return [
    { ...loop(NOTHING.two, 4, "sum += nothing(1, offset) === undefined ? 1 : 0;", scope), expected },
    { ...loop(NOTHING.three, 4, "sum += nothing(1, offset, i) === undefined ? 1 : 0;", scope), expected },
    {
      ...loop(
        "a native call that takes two numbers and gives one",
        4,
        "sum += second(1, offset) === offset ? 1 : 0;",
        scope,
      ),
      expected,
    },
  ];
}

const MODEL = "the software kernel: Bar.read32 of its NVMe controller";

async function model(): Promise<{ work: Work; close: () => void }> {
  const kernel = modelKernel({ devices: [softwareNvme({ address: ADDRESS })] });
  const container = openContainer({ kernel, devices: [ADDRESS] });
  const device = await container.openDevice(ADDRESS);
  const scope = { bar: device.bar(0), at: VERSION.offset };
  return {
    work: { ...loop(MODEL, 4, "sum += bar.read32(at);", scope), expected: ACCESSES * VERSION.value },
    close: () => container.close(),
  };
}

async function run(bench: Bench): Promise<Outcome> {
  const addon = bench.rivals.native?.addon;
  if (!shimAvailable()) bench.leaveOut("registers of a mapped file: the shim is not built");
  const file = shimAvailable() ? mappedFile(BYTES) : undefined;
  const software = await model();
  try {
    const ours = file ? [...accesses(file, "Bar", file.bar), ...accesses(file, "the seam", file.registers)] : [];
    const works = [...(addon ? nothing(addon) : []), ...ours, software.work];
    const found = figures(await bench.compete("registers", works.map(inJavaScript)), ACCESSES);
    const garbage = new Map(
      works.map((work) => {
        work.spoil?.();
        return [work.name, garbageOf(work, ACCESSES)];
      }),
    );
    const against = (name: RowName, access: string, rival: string): Row[] => {
      const [mine, theirs] = [exactly(found, `Bar.${access}`), exactly(found, rival)];
      return mine && theirs ? [row(name, mine.minimum, theirs.minimum, rival)] : [];
    };
    const [read, write] = [garbage.get("Bar.read32"), garbage.get("Bar.write32")];
    return {
      figures: found,
      rows: [
        ...against("register-read32-vs-native", "read32", NOTHING.two),
        ...against("register-write32-vs-native", "write32", NOTHING.three),
        ...against("register-read64-vs-native", "read64", NOTHING.two),
        ...against("register-write64-vs-native", "write64", NOTHING.three),
        ...(read !== undefined && write !== undefined ? [plainRow("register-garbage", Math.max(read, write))] : []),
      ],
      notes: [...garbage].map(([name, bytes]) => `${name}: ${short(bytes)} bytes of garbage per access`),
    };
  } finally {
    software.close();
    file?.close();
  }
}

export const registers: Group = {
  name: "registers",
  title: "A register of a BAR read and written, on memory that answers at once",
  unit: "ns per access",
  rows: [
    "register-read32-vs-native",
    "register-write32-vs-native",
    "register-read64-vs-native",
    "register-write64-vs-native",
    "register-garbage",
  ],
  run,
};
