/** The tools of wabt, which has an engine of its own: an interpreter that shares no code with V8. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { resolve } = createRequire(import.meta.url);

interface Said {
  readonly ok: boolean;
  readonly said: string;
}

function tool(name: "wasm-validate" | "wasm-interp" | "wasm2wat" | "wat2wasm", parameters: readonly string[]): Said {
  const run = spawnSync(process.execPath, [resolve(`wabt/bin/${name}`), ...parameters], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
    timeout: 300_000,
  });
  if (run.error) throw run.error;
  return { ok: run.status === 0, said: run.stdout + run.stderr };
}

function must({ ok, said }: Said): string {
  if (!ok) throw new Error(said);
  return said;
}

/** Runs `use` with the path of a file that holds a module, in a folder that goes with it. */
function withFile<Result>(wasm: Uint8Array, use: (path: string, folder: string) => Result): Result {
  const folder = mkdtempSync(join(tmpdir(), "dma-window-wabt-"));
  try {
    const path = join(folder, "module.wasm");
    writeFileSync(path, wasm);
    return use(path, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What came to WebAssembly after its first version, is finished, and can be taken away from the validator. */
export const FEATURES = [
  "mutable-globals",
  "saturating-float-to-int",
  "sign-extension",
  "simd",
  "multi-value",
  "bulk-memory",
  "reference-types",
] as const;

/** `threads` wabt takes for unfinished; it has to be asked for. */
export type Feature = (typeof FEATURES)[number] | "threads";

/** Shared memories and atomics, for all tools but the validator. */
const THREADS = "--enable-threads";

/** Whether a module is valid for an engine that has these features and no others. */
export function isValid(wasm: Uint8Array, features: readonly Feature[]): boolean {
  const without = FEATURES.filter((feature) => !features.includes(feature)).map((feature) => `--disable-${feature}`);
  const threads = features.includes("threads") ? [THREADS] : [];
  return withFile(wasm, (path) => tool("wasm-validate", [...without, ...threads, path]).ok);
}

/**
 * A module with more functions behind its own: `text` gives them, in the text format, and is told the index that a function
 * of the module is exported under. A memory that it imports becomes its own, since the interpreter has none to give. The module's
 * own code stays what it is, byte for byte, or this fails.
 */
export function extended(
  wasm: Uint8Array,
  text: (indexOf: (name: string) => number) => string,
): Uint8Array<ArrayBuffer> {
  return withFile(wasm, (path, folder) => {
    const module = must(tool("wasm2wat", [THREADS, path]))
      .trimEnd()
      .replace(/\(import "\w+" "\w+" (\(memory .*?\))\)$/m, "$1");
    const found = module.matchAll(/\(export "(\w+)" \(func (\d+)\)\)/g);
    const exported = new Map([...found].map(([, name, index]) => [name, Number(index)]));
    const indexOf = (name: string): number => {
      const index = exported.get(name);
      if (index === undefined) throw new Error(`the module does not export ${name}`);
      return index;
    };
    const [from, to] = [join(folder, "extended.wat"), join(folder, "extended.wasm")];
    // The last parenthesis closes the module.
    writeFileSync(from, `${module.slice(0, -1)}\n${text(indexOf)})`);
    must(tool("wat2wasm", [THREADS, from, "-o", to]));
    const result = readFileSync(to);
    if (!result.includes(codeOf(wasm))) throw new Error("the module's code is not in the longer one as it was");
    return new Uint8Array(result);
  });
}

/** A module with shared memory whose text, one instruction on a line and with a name for each function, was changed. */
export function rewritten(wasm: Uint8Array, change: (text: string) => string): Uint8Array<ArrayBuffer> {
  return withFile(wasm, (path, folder) => {
    const threads = "--enable-threads";
    const [from, to] = [join(folder, "rewritten.wat"), join(folder, "rewritten.wasm")];
    must(tool("wasm2wat", [threads, "--generate-names", path, "-o", from]));
    writeFileSync(from, change(readFileSync(from, "utf8")));
    must(tool("wat2wasm", [threads, from, "-o", to]));
    return new Uint8Array(readFileSync(to));
  });
}

/** Runs an export without parameters in the interpreter, and gives its results, which are i64, as u64. */
export function interpret(wasm: Uint8Array, name: string): bigint[] {
  return withFile(wasm, (path) => {
    const said = must(tool("wasm-interp", [THREADS, path, "--run-export", name]));
    if (!/^\w+\(\) => (i64:\d+(, )?)+$/.test(said.trim())) throw new Error(said);
    return [...said.matchAll(/i64:(\d+)/g)].map(([, value = ""]) => BigInt(value));
  });
}

/** The functions of a module's code section, one behind the other, without their count. */
function codeOf(wasm: Uint8Array): Buffer {
  let at = 8;
  /** An unsigned LEB128 of at most 32 bits. */
  const number = (): number => {
    let [value, shift] = [0, 0];
    for (;;) {
      const byte = wasm[at++] as number;
      value += (byte & 127) * 2 ** shift;
      shift += 7;
      if (byte < 128) return value;
    }
  };
  for (;;) {
    const id = number();
    const end = number() + at;
    if (id === 10) {
      number();
      return Buffer.from(wasm.subarray(at, end));
    }
    if (end >= wasm.length) throw new Error("a module without code");
    at = end;
  }
}
