/**
 * A program that does everything wrong with the memory of segments, at random: views that are moved, marked, kept and used after
 * their end, frees and closes while input and output is under way, threads that end in the middle. What it meets are exceptions;
 * what it must not meet is a signal, or memory of a segment that somebody else wrote to.
 *
 *     node --expose-gc --import tsx program.ts SEED STEPS END
 *
 * It prints one line, and ends as END says: `return`, `exit`, `throw` (exit code 1) or `terminate` (in a worker that is ended).
 */
import { randomFill } from "node:crypto";
import { open, read } from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import {
  isMainThread,
  MessageChannel,
  markAsUntransferable,
  parentPort,
  Worker,
  workerData,
} from "node:worker_threads";
import { deflate } from "node:zlib";
import { linuxKernel, MemsegTable } from "../../src/index.ts";
import type { Segment } from "../../src/memory/segment.ts";
import type { MemsegList } from "../../src/memory/types.ts";
import { Random } from "../support/random.ts";
import { endAs } from "./ends.ts";

const PAGE = 4096;
const here = fileURLToPath(import.meta.url);
const collect = (globalThis as { gc?: () => void }).gc ?? (() => {});

interface Owner {
  readonly memory: MemsegTable;
  readonly lists: MemsegList[];
}

/** What a segment must hold: bytes that only its owner wrote, through copies. */
interface Kept {
  readonly segment: Segment;
  readonly owner: Owner;
  readonly pattern?: number;
}

/** The others need what these give. */
const often = ["allocate", "bytes", "view", "buffer", "free", "touch", "speak"];

class Misuse {
  readonly #random: Random;
  readonly #owners: Owner[] = [];
  readonly #segments: Kept[] = [];
  /** All that ever led to a segment's memory. */
  readonly #things: (ArrayBuffer | ArrayBufferView)[] = [];
  readonly #workers: Worker[] = [];
  readonly #channels: MessageChannel[] = [];
  /**
   * Buffers as segments gave them: input and output begins on these alone. When a buffer is moved Node forgets that it is being
   * written to, and where its memory was the engine's own that corrupts the heap of any program, with this library or without.
   */
  readonly #given = new WeakSet<ArrayBuffer>();
  #pending = 0;
  /** What was wrong with memory. */
  readonly faults: string[] = [];
  /** How often each way was gone without an exception. */
  readonly done: Record<string, number> = {};
  #zero = 0;
  readonly #server = createServer((socket) => {
    this.#speakers.push(socket.on("error", () => {}).unref());
  });
  readonly #speakers: Socket[] = [];
  readonly #readers: Socket[] = [];

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#server.listen(0, "127.0.0.1").unref();
    open("/dev/zero", "r+", (_, fd) => {
      this.#zero = fd ?? 0;
    });
  }

  async run(steps: number): Promise<void> {
    const names = Object.keys(this.#ways).concat(...often.map((name) => Array(6).fill(name)));
    for (let step = 0; step < steps; step++) {
      const name = names[this.#below(names.length)] as string;
      try {
        const result = (this.#ways[name] as () => unknown)();
        this.done[name] = (this.done[name] ?? 0) + 1;
        if (this.#below(2) === 0) await result;
      } catch {
        // An exception is what misuse is answered with.
      }
      if (this.#below(6) === 0) await turn();
    }
    this.#look();
  }

  async settle(): Promise<void> {
    for (let i = 0; i < 500 && this.#pending > 0; i++) await turn();
    for (const { port1 } of this.#channels) port1.close();
    for (const socket of [...this.#readers, ...this.#speakers]) socket.destroy();
    this.#server.close();
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #below(count: number): number {
    return this.#random.below(count);
  }

  #one<T>(some: readonly T[]): T {
    if (some.length === 0) throw new Error("none yet");
    return some[this.#below(some.length)] as T;
  }

  /** One that still shows something, as a rule. */
  #thing(): ArrayBuffer | ArrayBufferView {
    const shown = this.#below(8) > 0 ? this.#things.filter(({ byteLength }) => byteLength > 0) : [];
    return this.#one(shown.length > 0 ? shown : this.#things);
  }

  #buffer(): ArrayBuffer {
    const thing = this.#thing();
    return (ArrayBuffer.isView(thing) ? thing.buffer : thing) as ArrayBuffer;
  }

  #bytes(): Uint8Array {
    const thing = this.#thing();
    return ArrayBuffer.isView(thing)
      ? new Uint8Array(thing.buffer as ArrayBuffer, thing.byteOffset, thing.byteLength)
      : new Uint8Array(thing as ArrayBuffer);
  }

  #givenBytes(): Uint8Array {
    const bytes = this.#bytes();
    if (!this.#given.has(bytes.buffer as ArrayBuffer)) throw new Error("not a segment's");
    return bytes;
  }

  #keepGiven(view: Uint8Array): Uint8Array {
    this.#given.add(view.buffer as ArrayBuffer);
    return this.#keep(view);
  }

  #keep<T extends ArrayBuffer | ArrayBufferView>(thing: T): T {
    if (this.#things.length > 200) this.#things.splice(this.#below(200), 1);
    this.#things.push(thing);
    return thing;
  }

  #background(begin: (done: () => void) => void): void {
    this.#pending++;
    try {
      begin(() => this.#pending--);
    } catch (error) {
      this.#pending--;
      throw error;
    }
  }

  /** Pages that nobody has seen are zero, and what was copied into a segment that shows nobody stays. */
  #look(): void {
    for (const { segment, pattern } of this.#segments) {
      if (segment.freed || pattern === undefined) continue;
      const bytes = new Uint8Array(Number(segment.length));
      segment.read(0, bytes);
      const wrong = bytes.findIndex((byte) => byte !== pattern);
      if (wrong >= 0) this.faults.push(`byte ${wrong} of a segment is ${bytes[wrong]}, and should be ${pattern}`);
    }
  }

  readonly #ways: Record<string, () => unknown> = {
    table: () => {
      if (this.#owners.length < 4) this.#owners.push({ memory: new MemsegTable({ kernel: linuxKernel() }), lists: [] });
    },
    list: () => {
      const owner = this.#one(this.#owners);
      owner.lists.push(owner.memory.addList({ pageSize: PAGE, maxBytes: PAGE * (256 + this.#below(1024)) }));
    },
    allocate: () => {
      const owner = this.#one(this.#owners);
      const segment = owner.memory.allocate(this.#one(owner.lists), 1 + this.#below(4));
      const bytes = new Uint8Array(Number(segment.length));
      segment.read(0, bytes);
      if (bytes.some((byte) => byte !== 0)) this.faults.push("new memory is not zero");
      if (this.#below(3) > 0) {
        this.#segments.push({ segment, owner });
        return;
      }
      const pattern = 1 + this.#below(255);
      segment.write(0, bytes.fill(pattern));
      this.#segments.push({ segment, owner, pattern });
    },
    bytes: () => this.#keepGiven(this.#shown().bytes),
    view: () => {
      const segment = this.#shown();
      this.#keepGiven(segment.view(this.#below(Number(segment.length)), this.#below(PAGE)));
    },
    buffer: () => this.#keep(this.#shown().bytes.buffer as ArrayBuffer),
    copyOut: () => this.#one(this.#segments).segment.read(this.#below(PAGE), this.#bytes()),
    copyIn: () => this.#shown().write(this.#below(PAGE), this.#bytes()),
    copyOutOfRange: () => this.#one(this.#segments).segment.read(2n ** 64n - 1n, new Uint8Array(PAGE)),
    moveAway: () => this.#keep((this.#buffer() as { transfer?: () => ArrayBuffer }).transfer?.() as ArrayBuffer),
    moveLonger: () =>
      this.#keep((this.#buffer() as unknown as { transfer(n: number): ArrayBuffer }).transfer(9 * PAGE)),
    moveShorter: () =>
      this.#keep(
        (this.#buffer() as unknown as { transferToFixedLength(n: number): ArrayBuffer }).transferToFixedLength(7),
      ),
    clone: () => {
      const buffer = this.#buffer();
      this.#keep(structuredClone(buffer, { transfer: [buffer] }));
    },
    channel: () => {
      const channel = new MessageChannel();
      this.#channels.push(channel);
      channel.port2.on("message", (thing: ArrayBuffer) => this.#keep(thing)).unref();
      const buffer = this.#buffer();
      channel.port1.postMessage(buffer, [buffer]);
    },
    worker: () => {
      if (this.#workers.length > 2) return;
      const worker = new Worker(here, { workerData: { seed: this.#below(2 ** 31), steps: 60, kind: "touch" } });
      worker.on("error", () => {});
      worker.on("message", (thing: ArrayBuffer) => this.#keep(thing));
      worker.unref();
      this.#workers.push(worker);
    },
    toWorker: () => {
      const buffer = this.#buffer();
      this.#one(this.#workers).postMessage(buffer, [buffer]);
    },
    terminate: () => this.#workers.splice(this.#below(this.#workers.length), 1)[0]?.terminate(),
    mark: () => markAsUntransferable(this.#buffer()),
    asm: () => {
      // asm.js code keeps a bare pointer, and makes the buffer one that cannot be detached.
      const make = new Function(
        "stdlib",
        "foreign",
        "heap",
        '"use asm"; var h = new stdlib.Uint8Array(heap); function f(i) { i = i | 0; h[i >> 0] = 1; return h[i >> 0] | 0; } return { f: f };',
      );
      make(globalThis, {}, this.#buffer()).f(this.#below(PAGE));
    },
    data: () => this.#keep(new DataView(this.#buffer())),
    words: () => this.#keep(new Int32Array(this.#buffer())),
    part: () => this.#keep(this.#bytes().subarray(this.#below(PAGE))),
    asBuffer: () => this.#keep(Buffer.from(this.#buffer())),
    resize: () => (this.#buffer() as unknown as { resize(n: number): void }).resize(this.#below(9 * PAGE)),
    atomics: () => {
      const words = new Int32Array(this.#buffer());
      Atomics.add(words, this.#below(words.length), 1);
    },
    touch: () => {
      const bytes = this.#bytes();
      const at = this.#below(PAGE);
      bytes[at] = (bytes[at] ?? 0) + 1;
      return bytes.at(-1);
    },
    fill: () => this.#bytes().fill(this.#below(256)),
    fillPool: () => this.#background((done) => randomFill(this.#givenBytes(), done)),
    deflate: () => this.#background((done) => deflate(this.#givenBytes(), done)),
    readFile: () => {
      const bytes = this.#givenBytes();
      this.#background((done) => read(this.#zero, bytes, 0, bytes.length, 0, done));
    },
    readSocket: () => {
      const { port } = this.#server.address() as AddressInfo;
      const onread = { buffer: this.#givenBytes(), callback: () => true };
      const socket = connect({ port, host: "127.0.0.1", onread }).on("error", () => {});
      this.#readers.push(this.#below(2) === 0 ? socket.unref() : socket);
      if (this.#readers.length > 8) this.#readers.splice(this.#below(8), 1)[0]?.destroy();
    },
    speak: () => this.#one(this.#speakers).write(Buffer.alloc(1 + this.#below(2 * PAGE), 255)),
    freeInFlight: () => {
      const kept = this.#one(this.#segments);
      if (kept.pattern !== undefined) return;
      const { bytes } = kept.segment;
      for (let i = 0; i < 3; i++) this.#background((done) => randomFill(bytes, done));
      this.#free(kept);
    },
    free: () => this.#free(this.#one(this.#segments)),
    freeTwice: () => {
      const kept = this.#one(this.#segments);
      this.#free(kept);
      kept.owner.memory.free(kept.segment);
    },
    freeOfAnother: () => this.#one(this.#owners).memory.free(this.#one(this.#segments).segment),
    removeList: () => {
      const { memory, lists } = this.#one(this.#owners);
      const list = this.#one(lists);
      memory.removeList(list);
      lists.splice(lists.indexOf(list), 1);
    },
    close: () => {
      const owner = this.#one(this.#owners);
      if (this.#below(8) > 0) throw new Error("not yet");
      this.#look();
      owner.memory.close();
      this.#owners.splice(this.#owners.indexOf(owner), 1);
    },
    forge: () => {
      const { segment } = this.#one(this.#segments);
      (segment as { va: bigint }).va = 8n;
    },
    construct: () => {
      const { segment, owner } = this.#one(this.#segments);
      const Made = segment.constructor as unknown as new (...args: unknown[]) => Segment;
      this.#keep(new Made(undefined, linuxKernel(), this.#one(owner.lists), 4096n, 4096n, []).bytes).fill(1);
    },
    changingOptions: () => {
      const { memory } = this.#one(this.#owners);
      let asked = 0;
      memory.addList({
        pageSize: PAGE,
        maxBytes: PAGE * 16,
        get base() {
          return asked++ === 0 ? undefined : 0x1000n;
        },
      } as never);
    },
    changingTable: () => {
      const { memory, lists } = this.#one(this.#owners);
      lists.push(
        memory.addList({
          pageSize: PAGE,
          get maxBytes() {
            memory.close();
            return PAGE * 16;
          },
        }),
      );
    },
    resolver: () => {
      const memory: MemsegTable = new MemsegTable({
        kernel: linuxKernel(),
        physical: (va, pages) => {
          try {
            this.#keep(memory.allocate(list, pages).bytes);
          } catch {
            // refused: it is in the middle of another one
          }
          return Array.from({ length: pages }, (_, i) => va + BigInt(i * PAGE));
        },
      });
      const list = memory.addList({ pageSize: PAGE, maxBytes: PAGE * 1024 });
      this.#owners.push({ memory, lists: [list] });
      memory.allocate(list, 1);
    },
    proxy: () => {
      const { segment } = this.#one(this.#segments);
      segment.read(0, new Proxy(this.#bytes(), { get: (_, name) => (name === "byteLength" ? 2 ** 40 : undefined) }));
    },
    lyingLength: () => {
      const into = Object.defineProperty(new Uint8Array(8), "length", { value: 1 << 30 });
      this.#one(this.#segments).segment.read(0, Object.defineProperty(into, "byteLength", { value: 1 << 30 }));
    },
    collect: () => {
      if (this.#below(3) === 0) collect();
    },
    collectAndTurn: async () => {
      collect();
      await turn();
      collect();
      await turn();
    },
    forget: () => this.#things.splice(this.#below(this.#things.length), 20),
    look: () => this.#look(),
  };

  /** A segment whose memory others may see: not one that is watched. */
  #shown(): Segment {
    return this.#one(this.#segments.filter(({ pattern }) => pattern === undefined)).segment;
  }

  #free(kept: Kept): void {
    this.#look();
    kept.owner.memory.free(kept.segment);
    this.#segments.splice(this.#segments.indexOf(kept), 1);
  }
}

/** Node throws where it finds a buffer gone in the middle of its work (zlib): an exception, and nobody is there to catch it. */
const uncaught = () => {};
process.on("uncaughtException", uncaught);

async function main(seed: number, steps: number, end: string): Promise<void> {
  if (end === "terminate" && isMainThread) {
    const worker = new Worker(here, { workerData: { seed, steps: Number.MAX_SAFE_INTEGER, kind: "all" } });
    worker.on("error", uncaught);
    await new Promise((resolve) => setTimeout(resolve, 500 + (seed % 700)));
    await worker.terminate();
    console.log("ended");
    return;
  }
  const misuse = new Misuse(seed);
  await misuse.run(steps);
  if (end === "throw") process.off("uncaughtException", uncaught);
  await endAs(end, misuse);
}

if (isMainThread) {
  const [seed = "1", steps = "2000", end = "return"] = process.argv.slice(2);
  await main(Number(seed), Number(steps), end);
} else if (workerData.kind === "all") {
  await main(workerData.seed, workerData.steps, "return");
} else {
  const numbers = new Random(workerData.seed);
  const pick = (count: number) => numbers.below(count);
  const kept: ArrayBuffer[] = [];
  parentPort?.on("message", (buffer: ArrayBuffer) => {
    kept.push(buffer);
    for (const one of kept) {
      const bytes = new Uint8Array(one);
      bytes[pick(PAGE)] = 1;
    }
    if (pick(4) === 0) parentPort?.postMessage(buffer, [buffer]);
    if (pick(20) === 0) kept.splice(0);
    if (pick(40) === 0) process.exit(0);
  });
  const misuse = new Misuse(workerData.seed);
  await misuse.run(workerData.steps);
}
