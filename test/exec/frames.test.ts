/** The rules of `.eh_frame`, beside those that readelf reads; expressions, instructions that no compiler here writes, and anything for bytes. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Row, rowAt, rowsOf } from "../../src/exec/unwind/cfa.ts";
import { type Cursor, type ReadMemory, Unreadable } from "../../src/exec/unwind/cursor.ts";
import { type Fde, fdeByTable, fdesOf, frameTable, readIn, tableOf } from "../../src/exec/unwind/eh-frame.ts";
import { type Elf, readElf, type Section, SegmentType, sectionsOf } from "../../src/exec/unwind/elf.ts";
import { evaluate } from "../../src/exec/unwind/expression.ts";
import { linesIn } from "../../src/exec/unwind/lines.ts";
import { functionsAt } from "../../src/exec/unwind/names.ts";
import { unwind } from "../../src/exec/unwind/unwind.ts";
import { hasTool } from "./built.ts";

const judged = suite("rules of frames");

const registers = "rax rdx rcx rbx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 ra".split(" ");
const files = ["libc.so.6", "ld-linux-x86-64.so.2", "libm.so.6", "libstdc++.so.6"].map(
  (name) => `/lib/x86_64-linux-gnu/${name}`,
);

for (const file of process.arch === "x64" && hasTool("readelf") ? files.filter(existsSync) : []) {
  judged(`of ${file} are those of readelf, row for row`, () => {
    const expected = byReadelf(file);
    const { read, frames } = framesIn(file);
    const memory = readIn(read(frames.offset, Number(frames.bytes)), frames.address);
    let rows = 0;
    let functions = 0;
    for (const fde of fdesOf(memory, frames.address, frames.address + frames.bytes)) {
      const judge = expected[functions++];
      assert.is(`${shown(fde.start)}..${shown(fde.end)}`, judge?.range);
      // readelf shows none where nothing is said but what all functions have in common.
      if (judge?.rows.length === 0) continue;
      const ours = rowsIn(fde, judge?.columns ?? []);
      assert.equal(ours, judge?.rows, judge?.range);
      rows += ours.length;
    }
    assert.is(functions, expected.length);
    assert.ok(rows > 1000, `${rows} rows`);
  });

  judged(`of ${file} are found by its table, and by one that is made`, () => {
    const { read, elf, frames } = framesIn(file);
    const bytes = read(frames.offset, Number(frames.bytes));
    const memory: ReadMemory = (address, length) => read(placeOf(elf, address), length);
    const header = elf.segments.find(({ type }) => type === SegmentType.EH_FRAME_TABLE);
    const tables = [frameTable(memory, header?.address ?? 0n), tableOf(bytes, frames.address)];
    for (const fde of fdesOf(readIn(bytes, frames.address), frames.address, frames.address + frames.bytes)) {
      for (const table of tables) {
        for (const address of [fde.start, fde.end - 1n])
          assert.is(fdeByTable(memory, table, address)?.address, fde.address);
      }
    }
  });
}

judged("name functions as nm does", () => {
  if (!hasTool("nm") || !existsSync(files[0] ?? "")) return;
  const { read, sections } = framesIn(files[0] ?? "");
  const { stdout } = spawnSync("nm", ["-D", "-S", "--defined-only", files[0] ?? ""], { encoding: "utf8" });
  const symbols = [...stdout.matchAll(/^([0-9a-f]+) ([0-9a-f]+) [TW] (\w+)@@/gm)].slice(0, 400);
  assert.ok(symbols.length > 300);
  const addresses = symbols.map(([, start]) => BigInt(`0x${start}`));
  for (const [index, found] of functionsAt(read, sections, addresses).entries()) {
    const aliases = symbols.filter((_, other) => addresses[other] === addresses[index]).map(([, , , name]) => name);
    // Those of size 0 name nothing here, and nm says others that begin there.
    if (found === undefined || found.start !== addresses[index]) continue;
    assert.ok(aliases.includes(found.name) || stdout.includes(` ${found.name}@`), `${found.name}: ${aliases}`);
  }
});

judged("restore what functions have in common, remember and restore states, count from where they are", () => {
  const fde = fdeOf([
    ...[0x0e, 16, 0x86, 2], // CFA: rsp + 16; rbp at CFA - 16
    ...[0x41, 0x0a, 0x0d, 6], // advance 1; remember; CFA by rbp
    ...[0x02, 3, 0x0b, 0xc6], // advance 3; restore the state; rbp as in common: not saved
    ...[0x03, 0x10, 0, 0x13, 0x7f, 0x11, 3, 2], // advance 16; CFA offset by -1 * -8; rbx at 2 * -8
    ...[0x04, 0, 1, 0, 0, 0x2f, 12, 1, 0x14, 13, 1, 0x09, 14, 0, 0x08, 15], // advance 256; r12 at CFA + 8, r13 is CFA - 8, ...
  ]);
  const columns = ["rbx", "rbp", "r12", "r13", "r14", "r15"];
  assert.equal(rowsIn(fde, columns), [
    "1000 rsp+16 u c-16 u u u u",
    "1001 rbp+16 u c-16 u u u u",
    "1004 rsp+16 u u u u u u",
    "1014 rsp+8 c-16 u u u u u",
    "1114 rsp+8 c-16 u c+8 v-8 r0 (rax) s",
  ]);
  assert.is(rowAt(fde, 0x1003n)?.start, 0x1001n);
  assert.is(rowAt(fde, 0x2000n), undefined);
});

judged("compute what an expression says, with 64 bits", () => {
  const read: ReadMemory = (address, length) => Uint8Array.from({ length }, (_, at) => Number(address & 0xffn) + at);
  const world = { read, register: (number: number) => BigInt(number) << 32n };
  const cases: readonly (readonly [code: readonly number[], value: bigint])[] = [
    // A stub of a linker's: rsp + 8 + ((rip & 15) >= 11) << 3
    [[0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22], (7n << 32n) + 8n],
    [[0x76, 0x78, 0x06], 0xfffefdfcfbfaf9f8n],
    [[0x09, 0x80], 0xffffffffffffff80n],
    [[0x31, 0x32, 0x1c], 0xffffffffffffffffn],
    [[0x11, 0x7a, 0x33, 0x1b], -2n & 0xffffffffffffffffn],
    [[0x11, 0x7a, 0x31, 0x26], -3n & 0xffffffffffffffffn],
    [[0x11, 0x7a, 0x31, 0x25], 0x7ffffffffffffffdn],
    [[0x31, 0x08, 64, 0x24], 0n],
    [[0x31, 0x32, 0x33, 0x17], 2n], // rot: 3 1 2
    [[0x31, 0x32, 0x16], 1n],
    [[0x31, 0x32, 0x14], 1n],
    [[0x31, 0x11, 0x7f, 0x2d], 0n],
    [[0x31, 0x28, 1, 0, 0x35, 0x37], 7n],
    [[0x30, 0x28, 1, 0, 0x35], 5n],
    [[0x0a, 0x34, 0x12, 0x94, 2], 0x3534n],
    [[0x92, 7, 0], 7n << 32n],
  ];
  for (const [code, value] of cases) assert.is(evaluate(Uint8Array.from(code), world), value, code.join());
  for (const code of [
    [0x2f, 0xfd, 0xff],
    [0x12],
    [0x31, 0x30, 0x1b],
    [0x2f, 9, 0],
    [0x31, 0x12, 0x2f, 0xfc, 0xff],
    [0xf0],
  ])
    assert.throws(
      () => evaluate(Uint8Array.from(code), world),
      (error: Error) => error instanceof Unreadable,
    );
});

judged("read lines as addr2line writes them, of functions that were inlined too", () => {
  const text = [
    ...["0x0000000000001139", "inner", "/src/a.c:12 (discriminator 1)", "main", "/src/a.c:30"],
    ...["0x0000000000001200", "??", "??:0", "0x0000000000001300", "outer(int)", "??:?", ""],
  ].join("\n");
  assert.equal(linesIn(text), [
    [
      { name: "inner", place: "/src/a.c:12" },
      { name: "main", place: "/src/a.c:30" },
    ],
    [],
    [{ name: "outer(int)", place: "??:?" }],
  ]);
});

judged("lead through any stack to an end", () => {
  const code = { start: 0x1000n, end: 0x2000n };
  const stackAt = 0x7000n;
  const places = fc.oneof(
    fc.bigInt({ min: code.start, max: code.end }),
    fc.bigInt({ min: stackAt - 16n, max: stackAt + 1024n }),
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  );
  const rules = fc.uint8Array({ maxLength: 24 });
  fc.assert(
    fc.property(
      fc.array(places, { maxLength: 64 }),
      rules,
      places,
      places,
      fc.boolean(),
      (words, some, pc, sp, hasRules) => {
        const stack = readIn(new Uint8Array(BigUint64Array.from(words).buffer), stackAt);
        const read: ReadMemory = (address, length) =>
          // A call, wherever code is looked at.
          address >= code.start - 8n && address < code.end ? new Uint8Array(length).fill(0xe8) : stack(address, length);
        const isCode = (address: bigint) => code.start <= address && address < code.end;
        const fdeAt = (address: bigint) => (hasRules && isCode(address) ? fdeOf([...some]) : undefined);
        const { frames, why } = unwind({ read, isCode, fdeAt }, pc, sp, 32);
        assert.ok(frames.length <= 32 && (why === undefined || why.length > 0));
        for (const frame of frames.slice(1)) assert.ok(isCode(frame.pc));
      },
    ),
    { numRuns: 500 },
  );
});

/** Runs, and ends with nothing but a value or the one error that such readers have. */
function readable(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof Unreadable, `${error}`);
  }
}

const none: ReadMemory = () => {
  throw new Unreadable("nothing is there");
};

judged("end, whatever the bytes are", () => {
  const bytes = fc.uint8Array({ maxLength: 300 });
  const world = { read: none, register: () => 1n };
  fc.assert(
    fc.property(bytes, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (some, address) => {
      const read = readIn(some, address);
      readable(() => evaluate(some, world));
      readable(() => [...rowsOf(fdeOf([...some]))]);
      readable(() => [...fdesOf(read, address, address + BigInt(some.length))].map((fde) => [...rowsOf(fde)]));
      readable(() => frameTable(read, address));
      readable(() => tableOf(some, address));
      readable(() => readElf(readIn(some, 0n)));
    }),
    { numRuns: 2000 },
  );
});

judged("end, whatever is changed in a file, and wherever it is torn", () => {
  const file = readFileSync(process.arch === "x64" && existsSync(files[1] ?? "") ? (files[1] ?? "") : process.execPath);
  const whole = Uint8Array.from(file.subarray(0, 1 << 20));
  const elf = readElf(readIn(whole, 0n));
  const sections = process.arch === "x64" ? sectionsOf(readIn(whole, 0n), elf) : [];
  const frames = sections.find(({ name }) => name === ".eh_frame");
  const header = sections.find(({ name }) => name === ".eh_frame_hdr");
  // Where something is said: headers, sections, tables, the first functions.
  const places = [0, Number(elf.sectionsAt), ...[frames, header].map((section) => Number(section?.offset ?? 0n))];
  const change = fc.tuple(fc.constantFrom(...places), fc.nat(600), fc.integer({ min: 0, max: 255 }));
  fc.assert(
    fc.property(
      fc.array(change, { minLength: 1, maxLength: 8 }),
      fc.nat(whole.length),
      fc.boolean(),
      (changes, end, isTorn) => {
        const bytes = isTorn ? whole.slice(0, end) : whole.slice();
        for (const [place, at, value] of changes) if (place + at < bytes.length) bytes[place + at] = value;
        const read = readIn(bytes, 0n);
        readable(() => {
          const found = sectionsOf(read, readElf(read));
          functionsAt(read, found, [0x1000n, 0x10000n]);
        });
        if (frames === undefined || header === undefined) return;
        readable(() => {
          const table = frameTable(read, header.address);
          for (let at = 0x1000n; at < 0x20000n; at += 0x1777n) {
            const fde = fdeByTable(read, table, at);
            if (fde !== undefined) rowAt(fde, at);
          }
        });
        readable(() => {
          let count = 0;
          for (const fde of fdesOf(read, frames.address, frames.address + frames.bytes)) {
            for (const _ of rowsOf(fde)) count++;
            if (count > 2000) break;
          }
        });
      },
    ),
    { numRuns: 300 },
  );
});

judged.run();

function framesIn(file: string): { elf: Elf; read: ReadMemory; sections: Section[]; frames: Section } {
  const read = readIn(Uint8Array.from(readFileSync(file)), 0n);
  const elf = readElf(read);
  const sections = sectionsOf(read, elf);
  const frames = sections.find(({ name }) => name === ".eh_frame");
  assert.ok(frames);
  return { elf, read, sections, frames };
}

function placeOf({ segments }: Elf, address: bigint): bigint {
  const loaded = segments.find(
    ({ type, address: start, fileBytes }) =>
      type === SegmentType.LOAD && start <= address && address < start + fileBytes,
  );
  return address - (loaded?.address ?? 0n) + (loaded?.offset ?? 0n);
}

/** A function at 0x1000 to 0x2000 with these instructions, on x86-64. */
function fdeOf(instructions: readonly number[]): Fde {
  const cie = {
    codeAlignment: 1n,
    dataAlignment: -8n,
    returnAddress: 16,
    isSignal: false,
    instructions: Uint8Array.of(0x0c, 7, 8, 0x90, 1),
    pointer: (cursor: Cursor) => cursor.u64(),
    hasData: true,
    encoding: 0,
  };
  return { cie, address: 0n, start: 0x1000n, end: 0x2000n, instructions: Uint8Array.from(instructions) };
}

interface Judgement {
  readonly range: string;
  readonly columns: readonly string[];
  readonly rows: string[];
}

/** Rows as `readelf --debug-dump=frames-interp` has them, of each function. */
function byReadelf(file: string): Judgement[] {
  const words = ["--debug-dump=no-follow-links", "--debug-dump=frames-interp", file];
  const { stdout } = spawnSync("readelf", words, { encoding: "utf8", maxBuffer: 1 << 28 });
  const found: Judgement[] = [];
  let now: { range: string; columns: string[]; rows: string[] } | undefined;
  for (const line of stdout.split("\n")) {
    const range = / FDE .*pc=([0-9a-f]+\.\.[0-9a-f]+)$/.exec(line)?.[1];
    if (range !== undefined) {
      now = { range, columns: [], rows: [] };
      found.push(now);
    } else if (/ CIE /.test(line)) now = undefined;
    else if (/^ +LOC +CFA/.test(line)) now?.columns.push(...line.trim().split(/ +/).slice(2));
    else if (/^[0-9a-f]{16} /.test(line)) now?.rows.push(line.trim().replace(/^0+/, "").replaceAll(/ +/g, " "));
  }
  return found;
}

function rowsIn(fde: Fde, columns: readonly string[]): string[] {
  return Array.from(rowsOf(fde), (row) => rowText(row, columns));
}

function rowText({ start, cfa, rules }: Row, columns: readonly string[]): string {
  const base = cfa?.kind === "register" ? `${registers[cfa.register]}${signed(cfa.offset)}` : "exp";
  const cells = columns.map((name) => {
    const rule = rules.get(registers.indexOf(name));
    switch (rule?.kind) {
      case "offset":
        return `c${signed(rule.offset)}`;
      case "value":
        return `v${signed(rule.offset)}`;
      case "register":
        return `r${rule.register} (${registers[rule.register]})`;
      case "same":
        return "s";
      case "expression":
        return "exp";
      case "value-expression":
        return "vexp";
      default:
        return "u";
    }
  });
  return [start.toString(16), base, ...cells].join(" ");
}

function signed(offset: bigint): string {
  return offset < 0n ? `${offset}` : `+${offset}`;
}

function shown(address: bigint): string {
  return address.toString(16).padStart(16, "0");
}
