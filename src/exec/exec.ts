/** A program under supervision, from its start to its report. */
import { constants } from "node:os";
import { ERRNO } from "../errno.ts";
import { DmaWindowError, errnoName } from "../errors.ts";
import { linuxVersionText } from "../linux-version.ts";
import { type Fault, faulty, type ModelOptions } from "../model/index.ts";
import { boot } from "../model/kernel.ts";
import { settingsFrom } from "../model/options.ts";
import type { Supervision } from "../supervision.ts";
import type { Syscalls } from "../syscalls.ts";
import { Devices } from "./devices.ts";
import { findProgram } from "./find-program.ts";
import type { ExecReport } from "./report.ts";
import type { Finding } from "./sanitizer/finding.ts";
import { Sanitizer } from "./sanitizer/sanitizer.ts";
import { Stacks } from "./stack.ts";
import { ExecStatus } from "./status.ts";
import { Supervisor } from "./supervisor.ts";
import { makeWorld } from "./world.ts";

export interface ExecOptions {
  /** The program and its arguments; found by `PATH`. */
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The machine that it finds itself on. */
  readonly machine: ModelOptions;
  /** Hears of each finding at once. */
  readonly found: (finding: Finding) => void;
  /** Hears of what the report does not say. */
  readonly note: (sentence: string) => void;
  /** The program has been started. */
  readonly started: (pid: number) => void;
  /** Calls that fail, in each process anew. */
  readonly faults?: readonly Fault[];
  /** Stands in front of the model for the first process that makes a call: a recorder of a trace. */
  readonly record?: (kernel: Syscalls) => Syscalls;
}

/** `si_code` of a child that called exit. (`waitid(2)`) */
const EXITED = 1;
const Step = { PRIVILEGES: 1, FILTER: 2, EXEC: 3 } as const;

/**
 * Runs a program whose VFIO is the software kernel, until it and all that it began have ended.
 *
 * @throws `ERR_EXEC_UNAVAILABLE` where the machine does not let a program be supervised; `ERR_EXEC_NO_PROGRAM` where there is none.
 */
export async function exec(native: Supervision, options: ExecOptions): Promise<ExecReport> {
  const { command, environment, machine, note } = options;
  const [name = ""] = command;
  const program = findProgram(name, environment.PATH ?? "/usr/bin:/bin");
  if ("why" in program) throw noProgram(program.why, program.status);
  const devices = new Devices(machine.devices ?? []);
  const settings = settingsFrom(devices.all.length === 0 ? machine : { ...machine, devices: devices.all });
  const kernel = boot(settings);
  devices.placed(settings);
  const world = makeWorld(native, kernel);
  if (world.refused !== 0) {
    note(
      "without CAP_SYS_ADMIN the program sees this machine's own PCI devices and groups, not the model's; it finds /dev/vfio/... where it opens them by name",
    );
  }
  const stacks = new Stacks(native);
  const sanitizer = new Sanitizer(kernel, options.found, (thread, instruction) => stacks.of(thread, instruction));
  let processes = 0;
  const inFront = (own: Syscalls): Syscalls => {
    const failing = options.faults === undefined ? own : faulty(own, ...options.faults);
    if (options.record === undefined) return failing;
    if (++processes === 2) note("another process makes calls too: the trace has those of the first one, and no others");
    return processes === 1 ? options.record(failing) : failing;
  };
  const supervisor = new Supervisor(native, kernel, devices, world, sanitizer, {
    inFront,
    locked: machine.lockedMemory,
  });
  const started = native.execStart(program.file, command, wordsOf(environment));
  if (started.length === 2) throw notStarted(started[0] ?? 0, started[1] ?? 0);
  const [pid = 0, pidfd = -1, listener = -1, pipe = -1, reaper = -1] = started;
  options.started(pid);
  native.execListen(listener);
  native.execWatchProcess(pidfd);
  let end: readonly number[] | undefined;
  await supervisor.serve((ended) => {
    // It is closed by then, and its number may come again, for a process that began later.
    if (ended === pidfd) end ??= native.execEnd(pipe, reaper, 0);
  });
  // Its filter goes before it does.
  end ??= native.execEnd(pipe, reaper, 1);
  const [code = EXITED, status = 0, step = 0, error = 0] = end ?? [];
  if (step === Step.EXEC) {
    const why = `${program.file} cannot be executed: ${errnoName(error)}`;
    throw noProgram(why, error === ERRNO.ENOENT ? ExecStatus.NOT_FOUND : ExecStatus.NOT_EXECUTABLE);
  }
  sanitizer.finish(code === EXITED && status === 0);
  return {
    program: command,
    exit: code === EXITED ? status : null,
    signal: code === EXITED ? null : signalName(status),
    platform: settings.iommu.platform,
    linux: linuxVersionText(settings.linux),
    calls: sanitizer.calls,
    findings: sanitizer.findings,
  };
}

function wordsOf(environment: ExecOptions["environment"]): string[] {
  return Object.entries(environment).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]));
}

function noProgram(why: string, status: number): DmaWindowError {
  return new DmaWindowError("ERR_EXEC_NO_PROGRAM", why, { facts: { status } });
}

/** What forbids it, in words. */
function notStarted(step: number, error: number): DmaWindowError {
  const name = errnoName(error);
  const whys: Readonly<Record<string, string>> = {
    EPERM:
      "seccomp is forbidden here: in a container its own profile does that (docker run --security-opt seccomp=unconfined)",
    EACCES: "a filter of seccomp needs CAP_SYS_ADMIN or no_new_privs, and neither can be had",
    ENOSYS: "this kernel has no seccomp filters (CONFIG_SECCOMP_FILTER), or whoever started this forbids them",
    EINVAL: "this kernel's seccomp does not notify: it is older than Linux 5.0",
    EBUSY:
      "another supervisor (a container's, or another exec) listens to this program's calls already: seccomp has one listener",
  };
  const what =
    step === Step.PRIVILEGES
      ? "no_new_privs cannot be set"
      : step === Step.FILTER
        ? (whys[name] ?? "seccomp refused")
        : "no process could be begun";
  return new DmaWindowError("ERR_EXEC_UNAVAILABLE", `the program was not started: ${what} (${name})`, {
    facts: { why: what, errno: name },
  });
}

function signalName(number: number): string {
  return Object.entries(constants.signals).find(([, value]) => value === number)?.[0] ?? `signal ${number}`;
}
