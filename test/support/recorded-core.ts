/**
 * A core whose calls are written down: as a function in the text format of WebAssembly that makes them again, with what
 * JavaScript wrote into the memory in between, in an engine that knows no JavaScript.
 *
 *     JavaScript                    the function
 *     core.u64(p, 2).set([1n, 2n])  memory.init          the words that changed since the last call, from one data segment
 *     core.windowCheckMany(...)     call, fold           the result goes into the hash,
 *     (reads the column)            fold of each word    and so does every word that the call has changed
 *
 * Handles and pointers are the same in each engine: a core decides them by its own state alone. So they are constants there.
 */
import type { Core } from "../../src/core.ts";

const U64 = (1n << 64n) - 1n;
const PRIME = 0x100000001b3n;

/** One step of the hash, here and, under that name, in the text: rotate, exclusive or, multiply. */
function fold(hash: bigint, value: bigint): bigint {
  return (((((hash << 23n) & U64) | (hash >> 41n)) ^ value) * PRIME) & U64;
}

const FOLD = `
  (global $hash (mut i64) (i64.const 0))
  (func $fold (param $value i64)
    (global.set $hash (i64.mul
      (i64.xor (i64.rotl (global.get $hash) (i64.const 23)) (local.get $value))
      (i64.const ${PRIME}))))
  (func $foldWords (param $at i32) (param $end i32)
    (loop $next
      (if (i32.lt_u (local.get $at) (local.get $end)) (then
        (call $fold (i64.load (local.get $at)))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br $next)))))`;

/** Memory that JavaScript has asked a view of, and may write to at any time; and what was in it after the last call. */
interface Watched {
  readonly at: number;
  readonly before: Uint32Array;
}

/** Runs of words, 8 bytes each, in which the memory is not what it was. Gaps of a few words belong to a run. */
function* changes(now: Uint32Array, before: Uint32Array): Generator<[from: number, to: number]> {
  let [from, to] = [-1, -1];
  for (let word = 0; word < now.length; word += 2) {
    if (now[word] === before[word] && now[word + 1] === before[word + 1]) continue;
    if (from >= 0 && word / 2 - to > 4) {
      yield [from, to];
      from = -1;
    }
    if (from < 0) from = word / 2;
    to = word / 2 + 1;
  }
  if (from >= 0) yield [from, to];
}

/** What is recorded: the core, or another module whose memory is looked at in the same way. */
export type Recorded = Pick<Core, "memory" | "u64" | "u32">;

export class Recording<Module extends Recorded = Core> {
  readonly #core: Module;
  readonly #watched = new Map<string, Watched>();
  readonly #stages: { name: string; code: string[]; hash: bigint }[] = [];
  readonly #data: Buffer[] = [];
  #dataBytes = 0;
  /** Calls that are made again. */
  calls = 0;

  constructor(core: Module) {
    this.#core = core;
  }

  /** Goes through a stage: what `play` does with the core that it is given is made again by the function of that name. */
  stage(name: string, play: (core: Module) => void): void {
    this.#stages.push({ name, code: [], hash: 0n });
    this.#watched.clear();
    play(this.#proxy());
  }

  /** The stages, and what the hash of each must be. */
  get hashes(): Readonly<Record<string, bigint>> {
    return Object.fromEntries(this.#stages.map(({ name, hash }) => [name, hash]));
  }

  /** The functions in the text format: one for each stage, and `run`, which gives the hashes of all. */
  text(indexOf: (name: string) => number): string {
    const stage = ({ name, code }: { name: string; code: string[] }): string =>
      `(func $stage-${name}\n${code.join("\n").replace(/@(\w+)/g, (_, called: string) => `${indexOf(called)}`)})`;
    const run = this.#stages.map(
      ({ name }) => `(global.set $hash (i64.const 0)) (call $stage-${name}) (global.get $hash)`,
    );
    return `${FOLD}
      (data $input "${escaped(Buffer.concat(this.#data))}")
      ${this.#stages.map(stage).join("\n")}
      (func (export "run") (result ${"i64 ".repeat(run.length)})
      ${run.join("\n")})`;
  }

  #proxy(): Module {
    return new Proxy(this.#core, {
      get: (core, name: string) => {
        if (name === "u64") return (at: number, length: number) => this.#watch(at, length * 8) && core.u64(at, length);
        if (name === "u32") return (at: number, length: number) => this.#watch(at, length * 4) && core.u32(at, length);
        const member = core[name as keyof Module];
        if (typeof member !== "function" || name === "bytes") return member;
        return (...parameters: (number | bigint)[]) => this.#call(name, member as never, parameters);
      },
    });
  }

  get #stage(): { code: string[]; hash: bigint } {
    return this.#stages.at(-1) as { code: string[]; hash: bigint };
  }

  #watch(at: number, bytes: number): true {
    // Whole words: what is less belongs to a column of u32 whose row is one half.
    const [from, end] = [at & ~7, (at + bytes + 7) & ~7];
    const key = `${from}-${end}`;
    if (!this.#watched.has(key)) this.#watched.set(key, { at: from, before: this.#words(from, end - from).slice() });
    return true;
  }

  #words(at: number, bytes: number): Uint32Array {
    return new Uint32Array(this.#core.memory.buffer, at, bytes / 4);
  }

  /** Each run of words that changed, and then they are as they were before once more. */
  #eachChange(then: (at: number, words: number) => void): void {
    for (const { at, before } of this.#watched.values()) {
      const now = this.#words(at, before.byteLength);
      for (const [from, to] of changes(now, before)) then(at + from * 8, to - from);
      before.set(now);
    }
  }

  #call(name: string, made: (...parameters: never[]) => unknown, parameters: (number | bigint)[]): unknown {
    this.#eachChange((at, words) => this.#write(at, words));
    const result = made(...(parameters as never[]));
    const constants = parameters.map((each) =>
      typeof each === "bigint" ? `(i64.const ${each})` : `(i32.const ${each})`,
    );
    const call = `(call @${name} ${constants.join(" ")})`;
    if (result === undefined) this.#stage.code.push(call);
    else {
      const wide = typeof result === "bigint";
      this.#stage.code.push(wide ? `(call $fold ${call})` : `(call $fold (i64.extend_i32_u ${call}))`);
      this.#fold(wide ? result : BigInt((result as number) >>> 0));
    }
    this.#eachChange((at, words) => {
      this.#stage.code.push(`(call $foldWords (i32.const ${at}) (i32.const ${at + words * 8}))`);
      for (const word of new BigUint64Array(this.#core.memory.buffer, at, words)) this.#fold(word);
    });
    this.calls++;
    return result;
  }

  #fold(value: bigint): void {
    this.#stage.hash = fold(this.#stage.hash, value);
  }

  #write(at: number, words: number): void {
    const bytes = Buffer.from(this.#core.memory.buffer, at, words * 8);
    this.#data.push(Buffer.from(bytes));
    this.#stage.code.push(
      `(memory.init $input (i32.const ${at}) (i32.const ${this.#dataBytes}) (i32.const ${bytes.length}))`,
    );
    this.#dataBytes += bytes.length;
  }
}

function escaped(bytes: Buffer): string {
  return bytes.toString("hex").replace(/../g, "\\$&");
}
