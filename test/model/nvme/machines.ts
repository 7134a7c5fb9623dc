/** Controllers behind one small interface: the software one, and QEMU's, in a machine whose processor sleeps. */
import { type ChildProcess, spawn } from "node:child_process";
import { rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type NvmeOptions, softwareNvme } from "../../../src/model/index.ts";
import { FakeBus, MEMORY } from "./fake-bus.ts";

/** A controller, and memory that it reaches, from `base` on. */
export interface Machine {
  readonly name: string;
  readonly base: bigint;
  readRegister(offset: number): Promise<number>;
  writeRegister(offset: number, value: number): Promise<void>;
  load(iova: bigint, length: number): Promise<Uint8Array>;
  store(iova: bigint, bytes: Uint8Array): Promise<void>;
  /** How often a host looks for a completion, and lets time pass, before it gives up. */
  readonly patience: number;
  /** Lets time pass. */
  pass(): Promise<void>;
  close(): Promise<void>;
}

export function softwareMachine(options: NvmeOptions, bytes: number): Machine & { readonly bus: FakeBus } {
  const bus = new FakeBus(bytes);
  const device = softwareNvme(options).plug(bus);
  const at = (iova: bigint) => Number(iova - MEMORY);
  return {
    name: "software",
    patience: 2,
    bus,
    base: MEMORY,
    readRegister: async (offset) => device.read(0, offset, 4) as number,
    writeRegister: async (offset, value) => device.write(0, offset, 4, value),
    load: async (iova, length) => bus.memory.slice(at(iova), at(iova) + length),
    store: async (iova, bytes) => bus.memory.set(bytes, at(iova)),
    pass: async () => bus.settle(),
    close: async () => {},
  };
}

/** Firmware that does nothing: `cli`, `hlt`, and again, where a processor begins, 16 bytes before its end. */
const HALT = new Uint8Array(65536);
HALT.set([0xfa, 0xf4, 0xeb, 0xfc], 0xfff0);

const BAR = 0xe000_0000;
const SLOT = 4;

/**
 * QEMU's `nvme`, asked by its test protocol: no guest runs, and memory and registers are read and
 * written by lines of text.
 */
export async function qemuMachine(
  namespaces: readonly { readonly blocks: number; readonly blockBytes: number }[],
): Promise<Machine> {
  const disks = namespaces.map((_, at) =>
    join(tmpdir(), `nvme-${process.pid}-${Math.random().toString(36).slice(2)}-${at}.img`),
  );
  for (const [at, disk] of disks.entries()) {
    const { blocks = 0, blockBytes = 0 } = namespaces[at] ?? {};
    writeFileSync(disk, "");
    truncateSync(disk, blocks * blockBytes);
  }
  const drives = disks.flatMap((disk, at) => [
    ...["-drive", `if=none,id=d${at},file=${disk},format=raw,discard=unmap,detect-zeroes=unmap`],
    ...[
      "-device",
      `nvme-ns,bus=n,drive=d${at},nsid=${at + 1},logical_block_size=${namespaces[at]?.blockBytes},physical_block_size=4096`,
    ],
  ]);
  const bios = join(tmpdir(), `nvme-${process.pid}-${Math.random().toString(36).slice(2)}.bin`);
  writeFileSync(bios, HALT);
  const args = [
    ...[
      "-machine",
      "q35",
      "-accel",
      "tcg",
      "-bios",
      bios,
      "-qtest",
      "stdio",
      "-display",
      "none",
      "-nodefaults",
      "-m",
      "64",
    ],
    ...["-device", `nvme,id=n,serial=S,addr=0${SLOT}.0`, ...drives],
  ];
  const child = spawn("qemu-system-x86_64", args, { stdio: ["pipe", "pipe", "pipe"] });
  const end = () => child.kill();
  process.once("exit", end);
  const line = new Lines(child);
  const config = async (offset: number, value: number) => {
    await line.ask(`outl 0xcf8 ${0x8000_0000 + SLOT * 2048 + offset}`);
    await line.ask(`outl 0xcfc ${value}`);
  };
  await config(0x10, BAR);
  await config(0x14, 0);
  await config(0x04, 6); // memory, and bus mastering
  return {
    name: "QEMU",
    patience: 1000,
    base: 0x20_0000n,
    readRegister: async (offset) => Number(await line.ask(`readl ${BAR + offset}`)),
    writeRegister: async (offset, value) => void (await line.ask(`writel ${BAR + offset} ${value >>> 0}`)),
    load: async (iova, length) => Buffer.from((await line.ask(`read ${iova} ${length}`)).slice(2), "hex"),
    store: async (iova, bytes) =>
      void (await line.ask(`write ${iova} ${bytes.length} 0x${Buffer.from(bytes).toString("hex")}`)),
    pass: () => new Promise((resolve) => setTimeout(resolve, 1)),
    close: async () => {
      child.kill();
      await new Promise((resolve) => child.once("close", resolve));
      process.off("exit", end);
      for (const file of [bios, ...disks]) rmSync(file);
    },
  };
}

/** One question after the other: each line has one answer, which begins with OK. */
class Lines {
  readonly #child: ChildProcess;
  readonly #waiting: { readonly question: string; readonly settle: (answer: string | Error) => void }[] = [];
  #words = "";

  constructor(child: ChildProcess) {
    this.#child = child;
    child.stderr?.setEncoding("utf8").on("data", (text) => (this.#words += text));
    child.once("error", (error) => this.#end(error));
    child.once("close", () => this.#end(new Error(`QEMU ended: ${this.#words}`)));
    if (child.stdout === null) return;
    createInterface({ input: child.stdout }).on("line", (text) => {
      if (text.startsWith("IRQ")) return;
      const one = this.#waiting.shift();
      one?.settle(text.startsWith("OK") ? text.slice(3) : new Error(`${one.question}: ${text}`));
    });
  }

  ask(question: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({
        question,
        settle: (answer) => (typeof answer === "string" ? resolve(answer) : reject(answer)),
      });
      this.#child.stdin?.write(`${question}\n`);
    });
  }

  #end(error: Error): void {
    for (const one of this.#waiting.splice(0)) one.settle(error);
  }
}
