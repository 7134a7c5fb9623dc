/**
 * Random programs over all that a device has, with anything for an argument, on every platform: what goes wrong is an error with a code,
 * every promise is settled, and once the container is closed nothing is left. `DMA_WINDOW_PROGRAMS=5000` runs more of them,
 * `DMA_WINDOW_SEED=17` others.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openContainer } from "../../src/container/open.ts";
import { modelKernel } from "../../src/model/index.ts";
import type { MachineName } from "../devices/rig.ts";
import { Random } from "../support/random.ts";
import { machineNames, machines, Probe, turns } from "./site.ts";

const programs = Number(process.env.DMA_WINDOW_PROGRAMS ?? 60);
const first = Number(process.env.DMA_WINDOW_SEED ?? Date.now() % 1e9);
const STEPS = 120;

/** What programs do not see (`@internal`), and what only a kernel says. */
const INTERNAL = ["constructor", "change", "end", "ended", "heard", "checkIdle", "push", "isDealing", "isWaiting"];

const THROWN = new Error("thrown by a program");
const throws = (): never => {
  throw THROWN;
};

const detached = (() => {
  const array = new Uint8Array(8);
  structuredClone(array.buffer, { transfer: [array.buffer] });
  return array;
})();

const NUMBERS = [
  0,
  -0,
  1,
  2,
  3,
  4,
  8,
  64,
  65,
  255,
  4095,
  4096,
  16383,
  -1,
  1.5,
  NaN,
  Infinity,
  2 ** 31,
  2 ** 32,
  2 ** 53,
];
const OTHERS = [
  0n,
  1n,
  -1n,
  1n << 64n,
  "0",
  "",
  "D0",
  "D3hot",
  "request",
  "error",
  null,
  undefined,
  true,
  false,
  Symbol("x"),
];
const OBJECTS = [
  {},
  [],
  throws,
  () => {},
  { endian: "big" },
  { force: true },
  new Proxy({}, { get: throws, ownKeys: throws }),
];
const ARRAYS = [
  detached,
  new Uint8Array(8),
  new Uint8Array(new SharedArrayBuffer(8)),
  new Uint8Array(4097),
  new BigUint64Array(2),
];

function isTold(error: unknown): boolean {
  return error === THROWN || typeof (error as { code?: unknown } | undefined)?.code === "string";
}

class Program {
  readonly #random: Random;
  readonly #probe: Probe;
  readonly #model;
  readonly #container;
  readonly #address: string;
  readonly faults: string[] = [];
  /** What listeners met with: uncaught exceptions of a program. */
  readonly uncaught = (error: unknown): void => this.#judge("uncaught", error);
  #device;
  #things: object[] = [];
  #unsettled = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#probe = new Probe(this.#random.once(3) ? ({ msix: undefined, msi: 4 } as never) : {});
    const machine: MachineName = this.#random.pick(machineNames);
    this.#model = modelKernel({ ...machines[machine], devices: [this.#probe] });
    this.#address = this.#model.device(26).name;
    this.#container = openContainer({ kernel: this.#model, devices: [this.#address] });
    this.#device = this.#container.device();
  }

  async run(): Promise<void> {
    for (let step = 0; step < STEPS; step++) {
      this.#call();
      if (this.#random.once(5)) this.#probe.bus.raise(this.#random.below(3));
      if (this.#random.once(8)) this.#probe.bus.line(this.#random.once(2));
      if (this.#random.once(6)) await turns(1);
      if (this.#random.once(60)) this.#model.plugged(this.#address).unbind();
      if (this.#device.closed && this.#random.once(2)) this.#openAnew();
    }
    await turns();
    this.#container.close();
    await turns();
    if (this.#unsettled > 0) this.faults.push(`${this.#unsettled} promises wait for ever`);
    this.faults.push(...this.#model.leaks());
  }

  /** Anything of anything, with anything. */
  #call(): void {
    const { config, irqs } = this.#device;
    const thing = this.#random.pick([this.#device, config, irqs, ...this.#things]);
    const members = Object.getOwnPropertyDescriptors(Object.getPrototypeOf(thing));
    const name = this.#random.pick(Reflect.ownKeys(members).filter((key) => !INTERNAL.includes(String(key))));
    const { value, get, set } = (members as Record<string | symbol, PropertyDescriptor>)[name] as PropertyDescriptor;
    const about = `${thing.constructor.name}.${String(name)}`;
    try {
      if (typeof value === "function") {
        const given = Array.from({ length: this.#random.below(4) }, () => this.#anything());
        this.#keep(about, Reflect.apply(value, thing, given));
      } else if (set !== undefined && this.#random.once(2)) set.call(thing, this.#anything());
      else get?.call(thing);
    } catch (error) {
      this.#judge(about, error);
    }
  }

  #anything(): unknown {
    const close = () => this.#device.close();
    const closing = { get: close, enumerable: true };
    const own = [
      close,
      Object.defineProperties({}, { endian: closing }),
      Object.defineProperties({}, { force: closing }),
    ];
    return this.#random.pick(this.#random.pick<readonly unknown[]>([NUMBERS, NUMBERS, OTHERS, OBJECTS, ARRAYS, own]));
  }

  /** Bars, vectors, iterators and functions that end something are used further on. */
  #keep(about: string, made: unknown): void {
    if (typeof made === "function" && this.#random.once(2)) made();
    if (made instanceof Promise) {
      this.#unsettled++;
      made.catch((error) => this.#judge(about, error)).finally(() => this.#unsettled--);
    } else if (typeof made === "object" && made !== null && !Array.isArray(made) && !ArrayBuffer.isView(made)) {
      if (Object.getPrototypeOf(made) !== Object.prototype && this.#things.length < 20) this.#things.push(made);
    }
  }

  #openAnew(): void {
    try {
      this.#device = this.#container.device();
    } catch (error) {
      this.#judge("Container.device", error); // it was unbound
    }
  }

  #judge(about: string, error: unknown): void {
    if (!isTold(error)) this.faults.push(`${about}: ${error instanceof Error ? error.stack : String(error)}`);
  }
}

test(`${programs} programs with anything for an argument: codes for what is wrong, and nothing left (DMA_WINDOW_SEED=${first})`, async () => {
  const before = process.listeners("uncaughtException");
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    for (let seed = first; seed < first + programs; seed++) {
      const program = new Program(seed);
      process.removeAllListeners("uncaughtException");
      process.on("uncaughtException", program.uncaught);
      await program.run();
      assert.equal(program.faults, [], `DMA_WINDOW_SEED=${seed} DMA_WINDOW_PROGRAMS=1`);
    }
  } finally {
    process.emitWarning = emitWarning;
    process.removeAllListeners("uncaughtException");
    for (const listener of before) process.on("uncaughtException", listener);
  }
});

test.run();
