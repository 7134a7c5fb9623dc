/**
 * A program that does everything wrong with registers and eventfds, at random: accesses anywhere and with anything, to files that are cut
 * off under them, after their end, and by bytes that were moved; descriptors closed under listeners, listeners that throw, end each
 * other and begin again, threads that end in the middle, raw handles of the shim's. What it meets are exceptions with a code and
 * errnos; what it must not meet is a signal, or a register of another mapping.
 *
 *     node --expose-gc --import tsx devices.ts SEED STEPS END
 *
 * It prints one line, and ends as END says: `return`, `exit`, `throw` (exit code 1) or `terminate` (in a worker that is ended).
 */
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, unlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { isMainThread, threadId, Worker, workerData } from "node:worker_threads";
import { linuxKernel } from "../../src/index.ts";
import { shim } from "../../src/linux/shim.ts";
import { type Listening, type Registers, type Syscalls, VfioCall } from "../../src/syscalls.ts";
import { Random } from "../support/random.ts";
import { endAs } from "./ends.ts";

const here = fileURLToPath(import.meta.url);
const collect = (globalThis as { gc?: () => void }).gc ?? (() => {});
const kernel = linuxKernel() as { [K in keyof Syscalls]-?: NonNullable<Syscalls[K]> };
const PAGE = kernel.pageSize;
/** There is nothing to misuse yet. */
const NONE = new Error("none yet");
const THROWN = "thrown by a listener";
const bad = [
  NaN,
  -1,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  1.5,
  5n,
  -5n,
  1n << 64n,
  "64",
  {},
  [],
  null,
  undefined,
  Symbol("x"),
  () => 0,
];
const widths = [8, 16, 32, 64] as const;

interface Mapped {
  readonly registers: Registers;
  readonly fd: number;
  /** Its file is not cut off while bytes are shown: to touch them would end the process, as it is said. */
  shown: boolean;
  /** What its first register holds, which nobody else writes. */
  readonly mark: number;
}

class Misuse {
  readonly #random: Random;
  readonly #directory: string;
  readonly #mapped: Mapped[] = [];
  readonly #ended: Registers[] = [];
  readonly #views: Uint8Array[] = [];
  readonly #events: number[] = [];
  readonly #listening: Listening[] = [];
  readonly #workers: Worker[] = [];
  #files = 0;
  readonly faults: string[] = [];
  readonly done: Record<string, number> = {};

  constructor(seed: number, directory: string) {
    this.#random = new Random(seed);
    this.#directory = directory;
  }

  async run(steps: number): Promise<void> {
    const names = Object.keys(this.#ways);
    for (let step = 0; step < steps; step++) {
      const name = this.#random.pick(names);
      try {
        this.#ways[name]?.();
        this.done[name] = (this.done[name] ?? 0) + 1;
      } catch (error) {
        this.judge(name, error);
      }
      if (this.#random.once(8)) await turn();
    }
  }

  async settle(): Promise<void> {
    for (const one of this.#listening) one.end();
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  /** What is wrong is answered with a code. */
  judge(name: string, error: unknown): void {
    if (error === NONE || name === "move" || typeof (error as { code?: unknown } | null)?.code === "string") return;
    if (error instanceof Error && error.message === THROWN) return;
    this.faults.push(`${name}: ${error instanceof Error ? error.stack : String(error)}`);
  }

  #one<T>(some: readonly T[]): T {
    if (some.length === 0) throw NONE;
    return this.#random.pick(some);
  }

  /** One of ours, or what none is. */
  #odd<T>(some: readonly T[]): never {
    return (this.#random.once(4) ? this.#random.pick(bad) : this.#one<unknown>(some)) as never;
  }

  #access(registers: Registers, offset: never, value: never): unknown {
    const bits = this.#random.pick(widths);
    return this.#random.once(2) ? registers[`read${bits}`](offset) : registers[`write${bits}`](offset, value);
  }

  readonly #ways: Record<string, () => unknown> = {
    map: () => {
      if (this.#mapped.length > 12) throw NONE;
      const path = join(this.#directory, `${threadId}-${this.#files++}`);
      const fd = openSync(path, "w+");
      unlinkSync(path);
      const mark = this.#random.below(2 ** 31);
      ftruncateSync(fd, 2 * PAGE);
      const registers = kernel.registers(fd, 0n, 2 * PAGE - this.#random.below(9)) as Registers;
      registers.write32(0, mark);
      this.#mapped.push({ registers, fd, shown: false, mark });
    },
    mapWrong: () => {
      const [fd, offset, length] = [this.#odd([0, 5, 2 ** 30]), this.#odd([0n, 1n, 4096n]), this.#odd([0, 1, 4096])];
      const got = kernel.registers(fd, offset, length);
      if (typeof got !== "number") got.unmap();
    },
    access: () => {
      const { registers } = this.#one(this.#mapped);
      const offset = this.#random.once(3) ? this.#random.pick(bad) : 8 + this.#random.below(2 * PAGE);
      this.#access(registers, offset as never, (this.#random.once(3) ? this.#random.pick(bad) : 1) as never);
    },
    look: () => {
      const { registers, mark } = this.#one(this.#mapped);
      const found = registers.read32(0);
      if (found !== mark) this.faults.push(`the first register is ${found}, and should be ${mark}`);
    },
    accessEnded: () => {
      const ended = this.#one(this.#ended);
      try {
        this.#access(ended, 8 as never, 1 as never);
        this.faults.push("an access to ended registers was made");
      } catch (error) {
        if ((error as { code?: unknown }).code === "ERR_CLOSED") return;
        this.judge("accessEnded", error);
      }
    },
    accessGone: () => {
      const { registers, fd, shown, mark } = this.#one(this.#mapped);
      if (shown) throw NONE;
      ftruncateSync(fd, 0);
      const [read, written] = [registers.read32(0), registers.write64(8, 1n)];
      if (read !== -5 || written !== -5) this.faults.push(`registers that are gone answered ${read}, ${written}`);
      ftruncateSync(fd, 2 * PAGE);
      registers.write32(0, mark);
    },
    raw: () => {
      const native = shim();
      const handle = this.#odd([this.#random.below(2 ** 20), 65536 * this.#random.below(100) + this.#random.below(14)]);
      // Of a handle that was guessed: only reading, for it may be somebody's.
      if (this.#random.once(2)) native[`readRegister${this.#random.pick(widths)}`](handle, this.#odd([0, 8, 4096]));
      else native.holdLoop(this.#odd([2 ** 40, 0]), this.#odd([0, 1]));
    },
    bytes: () => {
      const mapped = this.#one(this.#mapped);
      const bytes = mapped.registers.bytes();
      if (bytes === undefined) throw NONE;
      mapped.shown = true;
      this.#views.push(bytes);
      if (this.#views.length > 40) this.#views.splice(this.#random.below(20), 1);
    },
    touch: () => {
      const view = this.#one(this.#views);
      for (let i = 16; i < 200; i++) view[i] = i; // of one that has ended nothing is there
    },
    move: () => {
      const { buffer } = this.#one(this.#views);
      this.#views.push(new Uint8Array(structuredClone(buffer, { transfer: [buffer as ArrayBuffer] })));
    },
    unmap: () => {
      const [mapped] = this.#mapped.splice(this.#random.below(this.#mapped.length || 1), 1);
      if (mapped === undefined) throw NONE;
      if (mapped.registers.unmap() !== 0) this.faults.push("an unmap failed");
      this.#ended.push(mapped.registers);
      if (this.#ended.length > 20) this.#ended.shift();
      closeSync(mapped.fd); // as it was opened: Node closes what a thread has opened and, as far as it knows, left open
    },
    files: () => {
      const { fd } = this.#one(this.#mapped);
      const view = this.#one(this.#views);
      const array = this.#odd([view.length === 0 ? view : view.subarray(16), new Uint8Array(this.#random.below(64))]);
      const offset = this.#odd([16n, 8000n, 1n << 62n]);
      if (this.#random.once(2)) kernel.pread(this.#odd([fd]), array, offset);
      else kernel.pwrite(this.#odd([fd]), array, this.#random.once(2) ? offset : (20n as never));
    },
    ioctls: () => {
      const { fd } = this.#one(this.#mapped);
      const call = this.#one(Object.values(VfioCall).filter((number) => number >= 0x100));
      const memory = Uint8Array.from({ length: this.#random.below(80) }, () =>
        this.#random.pick([0, 0, 1, 16, 32, 255]),
      );
      kernel.ioctlStruct(this.#odd([fd]), this.#odd([call]), this.#odd([memory]), this.#odd([0, 8]));
    },
    eventfd: () => {
      if (this.#events.length > 20) throw NONE;
      this.#events.push(kernel.eventfd());
    },
    raise: () => writeSync(this.#one(this.#events), new Uint8Array([1 + this.#random.below(9), 0, 0, 0, 0, 0, 0, 0])),
    take: () => kernel.takeEvents(this.#odd(this.#events)),
    closeEvents: () => {
      const [fd] = this.#events.splice(this.#random.below(this.#events.length || 1), 1);
      if (fd === undefined) throw NONE;
      kernel.close(fd);
    },
    listen: () => {
      if (this.#listening.length > 30) throw NONE;
      const act = this.#random.below(6);
      const listening = kernel.listen(this.#odd(this.#events), (count) => {
        this.done.heard = (this.done.heard ?? 0) + 1;
        if (!(count > 0)) this.faults.push(`heard of ${count} events`);
        if (act === 0) throw new Error(THROWN);
        if (act === 1) (listening as Listening).end();
        if (act === 2) for (const one of this.#listening.splice(0)) one.end();
        if (act === 3) collect();
        if (act === 4) this.#listening[0]?.unref();
      });
      if (typeof listening !== "number") this.#listening.push(listening);
    },
    listenWrong: () => kernel.listen(this.#odd(this.#events), this.#random.pick(bad.slice(0, -1)) as never),
    hold: () => {
      const one = this.#one(this.#listening);
      if (this.#random.once(2)) one.ref();
      else one.unref();
    },
    end: () => {
      const one = this.#one(this.#listening);
      one.end();
      if (this.#random.once(2)) this.#listening.splice(this.#listening.indexOf(one), 1);
    },
    worker: () => {
      if (this.#workers.length > 1) throw NONE;
      const data = {
        seed: this.#random.below(2 ** 31),
        steps: 200,
        directory: this.#directory,
        end: this.#random.below(4),
      };
      const worker = new Worker(here, { workerData: data });
      worker.on("error", (error) => this.judge("a worker", error));
      worker.on("exit", () => this.#workers.splice(this.#workers.indexOf(worker), 1));
      worker.unref();
      this.#workers.push(worker);
    },
    terminate: () => this.#one(this.#workers).terminate(),
  };
}

async function main(seed: number, steps: number, end: string, directory: string): Promise<void> {
  if (end === "terminate") {
    const data = { seed, steps: Number.MAX_SAFE_INTEGER, directory, end: 0 };
    const worker = new Worker(here, { workerData: data });
    worker.on("error", (error) => console.log(error));
    await new Promise((resolve) => setTimeout(resolve, 500 + (seed % 700)));
    await worker.terminate();
    console.log("ended");
    return;
  }
  const misuse = new Misuse(seed, directory);
  process.on("uncaughtException", (error) => {
    if (end === "throw" && error.message === "as asked") process.exit(1);
    misuse.judge("uncaught", error);
  });
  await misuse.run(steps);
  await endAs(end, misuse);
}

/** A thread of its own, which ends with all that it has. */
async function part({ seed, steps, directory, end }: typeof workerData): Promise<void> {
  const misuse = new Misuse(seed, directory);
  process.on("uncaughtException", (error) => misuse.judge("uncaught", error));
  await misuse.run(steps);
  if (misuse.faults.length > 0) throw new Error(misuse.faults[0]);
  if (end === 0) process.exit(0);
  if (end === 1) await misuse.settle();
}

if (isMainThread) {
  const [seed = "1", steps = "2000", end = "return"] = process.argv.slice(2);
  const directory = mkdtempSync(join(tmpdir(), "dma-window-devices-"));
  process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
  await main(Number(seed), Number(steps), end, directory);
} else {
  await part(workerData);
}
