/** A machine with devices of a test's own, and a program that drives them through the library. */
import { openContainer } from "../../src/container/open.ts";
import { type ModelKernel, type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { type Syscalls, VfioCall } from "../../src/syscalls.ts";
import { type MachineName, machines, Probe } from "../devices/rig.ts";

export { MiB, machines, nvmeFacts, Probe, turns } from "../devices/rig.ts";

export const machineNames = Object.keys(machines) as MachineName[];

export interface SiteOptions extends ModelOptions {
  readonly machine?: MachineName;
  /** Puts a kernel of the test's in front of the model. */
  readonly through?: (kernel: ModelKernel) => Syscalls;
}

/** One device, its container, and itself open. */
export function driven(probe: Probe = new Probe(), { machine = "x86", through, ...more }: SiteOptions = {}) {
  const model = modelKernel({ ...machines[machine], ...more, devices: [probe] });
  const address = model.device(26).name;
  const kernel = through?.(model) ?? model;
  const container = openContainer({ kernel, devices: [address] });
  const device = container.device(address);
  return { model, kernel, container, device, address, probe, plugged: model.plugged(address) };
}

/** The codes of the process's warnings that `run` gives, in their place. */
export function warningsOf(run: () => unknown): string[] {
  const codes: string[] = [];
  const { emitWarning } = process;
  process.emitWarning = ((_: string, { code }: { code: string }) => codes.push(code)) as never;
  try {
    run();
    return codes;
  } finally {
    process.emitWarning = emitWarning;
  }
}

/** The kernel without these members, and with others in their place. */
export function hiding(kernel: Syscalls, names: readonly string[], more: Partial<Syscalls> = {}): Syscalls {
  return new Proxy(kernel, {
    get(target, name) {
      if (Object.hasOwn(more, name)) return more[name as keyof Syscalls];
      if (names.includes(name as string)) return undefined;
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** A call that is answered so, without asking the kernel: once, unless `times` says how often, after `after` that are not. */
export interface Refusal {
  /** As VfioCall has it, or a member of the interface: `DEVICE_RESET`, `pread`. */
  readonly call: string;
  readonly answer: number | "throws";
  readonly after?: number;
  readonly times?: number;
}

/** A kernel that says no. */
export function refusing(kernel: Syscalls, ...refusals: readonly Refusal[]): Syscalls {
  const left = refusals.map(({ after = 0, times = 1, ...refusal }) => ({ ...refusal, after, times }));
  const answerTo = (call: string): number | undefined => {
    const found = left.find((one) => one.call === call && one.times > 0);
    if (found === undefined || found.after-- > 0) return undefined;
    found.times--;
    if (found.answer === "throws") throw new Error("the wire was cut");
    return found.answer;
  };
  const nameOf = (call: VfioCall) => Object.entries(VfioCall).find(([, number]) => number === call)?.[0] ?? "";
  return hiding(kernel, [], {
    ioctl: (fd, call, argument) => answerTo(nameOf(call)) ?? kernel.ioctl(fd, call, argument),
    ioctlStruct: (fd, call, memory, at) => answerTo(nameOf(call)) ?? kernel.ioctlStruct(fd, call, memory, at),
    close: (fd) => answerTo("close") ?? kernel.close(fd),
    pread: (fd, into, at) => answerTo("pread") ?? kernel.pread?.(fd, into, at) ?? 0,
    pwrite: (fd, from, at) => answerTo("pwrite") ?? kernel.pwrite?.(fd, from, at) ?? 0,
    registers: (fd, at, length) => answerTo("registers") ?? kernel.registers?.(fd, at, length) ?? 0,
    eventfd: () => answerTo("eventfd") ?? kernel.eventfd?.() ?? 0,
    listen: (fd, listener) => answerTo("listen") ?? kernel.listen?.(fd, listener) ?? 0,
  });
}
