/**
 * A program that drives a device, and each of its calls failed once: refused, refused though the kernel did it, thrown in before
 * the kernel was asked, and after. The program closes all that it has then. Whatever it was: what is left behind is said, and a device
 * that can still reach memory is not left alone without a word.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openContainer } from "../../src/container/open.ts";
import { DmaWindowError } from "../../src/errors.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { type ModelKernel, modelKernel } from "../../src/model/index.ts";
import { planWindow } from "../../src/plan/index.ts";
import { type Syscalls, type VfioCall, vfioCallName } from "../../src/syscalls.ts";
import { type machineNames, machines, Probe, warningsOf } from "../device/site.ts";
import { no } from "../support/faulty.ts";

/** How a call fails. */
const WAYS = ["refused", "refused, and done", "throws before", "throws after"] as const;
type Way = (typeof WAYS)[number];

/** Which call, counted from 0; none of a good day. */
interface Fault {
  readonly nth: number;
  readonly way: Way;
}

const MEMBERS = [
  ...["open", "close", "ioctl", "ioctlStruct", "ioctlBatch", "mmap", "munmap", "pread", "pwrite"],
  ...["registers", "eventfd", "takeEvents", "listen", "unmap", "end", "ref", "unref"],
];

/** Notes each call, also those of registers and listeners, and lets one of them fail. */
function failing(model: ModelKernel, names: string[], fault?: Fault): Syscalls {
  const around = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(_, key) {
        const member = Reflect.get(target, key, target);
        if (typeof member !== "function") return member;
        if (!MEMBERS.includes(key as string)) return member.bind(target);
        return (...given: unknown[]) => {
          const name =
            (key as string).startsWith("ioctl") && key !== "ioctlBatch"
              ? vfioCallName(given[1] as VfioCall)
              : String(key);
          const isIt = names.push(name) - 1 === fault?.nth;
          const way = isIt ? fault?.way : undefined;
          if (way === "throws before") throw new Error("the wire was cut");
          const errno = key === "mmap" ? BigInt(no.EIO) : no.EIO;
          if (way === "refused") return errno;
          const answer = member.apply(target, given);
          if (way === "throws after") throw new Error("the wire was cut");
          if (way === "refused, and done") return errno;
          return typeof answer === "object" && answer !== null && key !== "view" ? around(answer) : answer;
        };
      },
    });
  return around(model);
}

/** Linux does what it refuses in a close alone. What a batch answers stands in its entries: the other sweeps have them. */
function waysOf(name: string): readonly Way[] {
  if (name === "ioctlBatch" || name === "end" || name === "ref" || name === "unref")
    return ["throws before", "throws after"];
  return name === "close"
    ? ["refused, and done", "throws before", "throws after"]
    : ["refused", "throws before", "throws after"];
}

interface Day {
  readonly names: readonly string[];
  readonly errors: readonly unknown[];
  readonly warnings: readonly string[];
  /** What is there still once the program has closed all that it could. */
  readonly leaks: readonly string[];
}

function day(machine: (typeof machineNames)[number], fault?: Fault): Day {
  const [names, errors]: [string[], unknown[]] = [[], []];
  const model = modelKernel({ ...machines[machine], devices: [new Probe()] });
  const kernel = failing(model, names, fault);
  /** The first thing that fails ends the work. */
  const attempt = <R>(run: () => R): R | undefined => {
    try {
      return run();
    } catch (error) {
      errors.push(error);
      return undefined;
    }
  };
  const warnings = warningsOf(() => {
    const memory = new MemsegTable({ kernel });
    const container = attempt(() => openContainer({ kernel, devices: [model.device(26).name] }));
    if (container !== undefined) {
      attempt(() => {
        const list = memory.addList({ pageSize: BigInt(model.pageSize), maxBytes: 1n << 20n });
        container.createWindow(planWindow({ memory, info: container.info() }));
        container.attach(memory);
        memory.allocate(list, 2);
        const device = container.device();
        const stop = device.on("request", () => {});
        device.busMaster = true;
        const bar = device.bar(0);
        bar.write32(0, 5);
        bar.read32(0);
        const vectors = device.irqs.msix(2);
        const silence = vectors.vector(0).on(() => {});
        vectors.vector(1).trigger();
        vectors.vector(1).poll();
        vectors.grow(3);
        silence();
        vectors.disable();
        const [line] = device.irqs.intx();
        line?.unref().on(() => {});
        device.irqs.disable();
        stop();
        device.reset();
        device.hotResetReason();
        bar.close();
        device.bar(0);
        device.irqs.msix(2);
        device.close();
        container.device().busMaster = true;
      });
      for (const device of container.devices) attempt(() => device.close());
      for (let tries = 0; tries < 2 && !container.closed; tries++) attempt(() => container.close());
    }
    for (let tries = 0; tries < 2; tries++) attempt(() => memory.close());
  });
  const leaks = model.leaks();
  model.exit(); // what was left may keep the event loop alive
  return { names, errors, warnings, leaks };
}

/** All that errors say to be left, or to be so perhaps. */
function said(errors: readonly unknown[]): string {
  return errors.flatMap((error) => (error instanceof DmaWindowError ? (error.residue?.left ?? []) : [])).join("; ");
}

for (const machine of ["x86", "ps", "pnv"] as const) {
  test(`${machine}: whichever call of a device's program fails, all that it leaves is said`, () => {
    const good = day(machine);
    assert.equal([good.errors, good.warnings, good.leaks], [[], [], []]);
    const wrong: string[] = [];
    let runs = 0;
    for (const [nth, name] of good.names.entries()) {
      for (const way of waysOf(name)) {
        const { errors, warnings, leaks } = day(machine, { nth, way });
        const left = said(errors);
        const judge = (isWrong: boolean, what: string) => {
          if (isWrong) wrong.push(`call ${nth}, ${name}, ${way}: ${what} (${errors.join("; ")})`);
        };
        runs++;
        judge(
          errors.some((error) => typeof (error as { code?: unknown }).code !== "string"),
          "an error has no code",
        );
        judge(leaks.length > 0 && left === "", `nobody said of ${leaks.join("; ")}`);
        judge(name === "unmap" && way === "refused" && leaks.length > 0, "nobody tried it again");
        // What cannot be read is taken for gone.
        judge(warnings.length > 0 && !(way === "refused" && name === "pread"), `it warns of ${warnings}`);
      }
    }
    assert.equal(wrong, []);
    console.log(`${machine}: ${good.names.length} calls of a device's program, ${runs} runs with a fault`);
  });
}

test.run();
