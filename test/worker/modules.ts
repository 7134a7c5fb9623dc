/** The module that ships, and copies of it that were changed on purpose. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { rewritten } from "../support/wabt.ts";
import type { SharedModule } from "./audit.ts";

export type Bytes = Uint8Array<ArrayBuffer>;

const MEMORY_PAGES = 5888;

export function sharedWasm(build: "alloc.shared" | "alloc.shared.asserts" = "alloc.shared"): Bytes {
  return new Uint8Array(readFileSync(fileURLToPath(new URL(`../../dist/${build}.wasm`, import.meta.url))));
}

export function sharedMemory(): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: MEMORY_PAGES, maximum: MEMORY_PAGES, shared: true });
}

export function instance(wasm: Bytes, memory: WebAssembly.Memory, step: () => void = () => {}): SharedModule {
  const imports = { env: { memory }, test: { step } };
  return new WebAssembly.Instance(new WebAssembly.Module(wasm), imports).exports as unknown as SharedModule;
}

/** An instruction that looks at memory, or changes it. */
const ACCESS = /^( *(?:i32|i64|memory)\.(?:load|store|atomic)[^)\n]*)(\)*)$/gm;

/** Calls `step` behind every access to memory: there a worker can be killed, or others can go on. */
export function stepped(wasm: Bytes): Bytes {
  return rewritten(wasm, (text) =>
    text
      .replace(/^( *\(import "env" "memory".*)$/m, '$1\n  (import "test" "step" (func $step))')
      .replaceAll(ACCESS, "$1\n      call $step$2"),
  );
}

/** Without atomics: a compare-exchange is a load, a comparison and a store. */
export function withoutAtomics(wasm: Bytes): Bytes {
  const exchange = `
  (func $exchange (param $at i32) (param $expected i64) (param $wanted i64) (result i64)
    (local $seen i64)
    local.get $at
    i64.load
    local.tee $seen
    local.get $expected
    i64.eq
    if
      local.get $at
      local.get $wanted
      i64.store
    end
    local.get $seen)`;
  return rewritten(wasm, (text) => {
    const found = text.match(/i64\.atomic\.rmw\.cmpxchg\b/g)?.length ?? 0;
    if (found === 0) throw new Error("the module has no compare-exchange that could be taken away");
    const changed = text.replaceAll(/i64\.atomic\.rmw\.cmpxchg\b/g, "call $exchange");
    return `${changed.trimEnd().slice(0, -1)}${exchange})`;
  });
}
