/** `dma-window exec`: a program on the software kernel, and what it does wrong with DMA. */
import { constants, totalmem } from "node:os";
import { DmaWindowError } from "../errors.ts";
import { exec } from "../exec/exec.ts";
import { reportText } from "../exec/report.ts";
import type { Finding } from "../exec/sanitizer/finding.ts";
import { summaryOf } from "../exec/sanitizer/sanitizer.ts";
import { ExecStatus } from "../exec/status.ts";
import { linuxSupervision } from "../linux/index.ts";
import type { ModelOptions } from "../model/index.ts";
import { settingsFrom } from "../model/options.ts";
import type { Syscalls } from "../syscalls.ts";
import { recordTrace } from "../trace/index.ts";
import { DiskFiles } from "./disk-files.ts";
import { devicesIn, refusedAs } from "./exec-devices.ts";
import { faultsIn } from "./exec-faults.ts";
import { limitsFrom } from "./exec-limits.ts";
import type { ExecLine } from "./exec-line.ts";
import { writeResult } from "./result-file.ts";
import { TraceFile } from "./trace-file.ts";

/** The program's exit status is well, and a finding of --fail-on was made. */
const FOUND = 99;

/** The rest stands in the report. */
const FRAMES_SHOWN = 4;

/** Errors after which no program was begun. Their status is one that programs do not end with. */
const NOT_BEGUN: readonly string[] = ["ERR_EXEC_UNAVAILABLE", "ERR_EXEC_NO_PROGRAM", "ERR_SHIM_UNAVAILABLE"];

/** The program's exit status, as a shell has it, or one of our own. `warn` writes to stderr. */
export async function execCommand(line: ExecLine, warn: (text: string) => void): Promise<number> {
  const disks = new DiskFiles();
  const machine = machineOf(line, disks);
  const faults = line.faultsFile === undefined ? undefined : faultsIn(line.faultsFile);
  const trace = line.traceFile === undefined ? undefined : new TraceFile(line.traceFile);
  const { started, restore } = passOnSignals();
  try {
    const report = await exec(linuxSupervision(), {
      command: line.program,
      environment: process.env,
      machine,
      found: (finding) => warn(warningOf(finding)),
      started,
      note: (sentence) => warn(`dma-window: ${sentence}`),
      ...(faults === undefined ? {} : { faults: faults.all }),
      ...(trace === undefined
        ? {}
        : {
            record: (kernel: Syscalls) => recordTrace(kernel, trace.write, { note: `exec ${line.program.join(" ")}` }),
          }),
    });
    for (const fault of faults?.unmet ?? []) warn(`dma-window: no call met the fault ${fault}`);
    if (report.findings.length > 0) warn(`dma-window: findings: ${summaryOf(report.findings)}`);
    if (line.reportFile !== undefined) writeResult(line.reportFile, reportText(report), 0o600);
    disks.write();
    const status = report.exit ?? 128 + (constants.signals[report.signal as NodeJS.Signals] ?? 0);
    const isRefused = report.findings.some(({ kind }) => line.failOn.includes(kind));
    return status === 0 && isRefused ? FOUND : status;
  } catch (error) {
    if (!(error instanceof DmaWindowError) || !NOT_BEGUN.includes(error.code)) throw error;
    warn(`dma-window: ${error.message} [${error.code}]`);
    const { status = ExecStatus.UNAVAILABLE } = (error.facts ?? {}) as { readonly status?: number };
    return status;
  } finally {
    restore();
    const problem = trace?.close();
    if (problem !== undefined) warn(`dma-window: ${problem.message} [${problem.code}]`);
  }
}

/** @throws UsageError for devices and limits that cannot be */
function machineOf({ platform, groups, linux, devicesFile, limits }: ExecLine, disks: DiskFiles): ModelOptions {
  const machine: ModelOptions = {
    platform,
    ram: totalmem(),
    ...(groups.length === 0 ? {} : { groups }),
    ...(linux === undefined ? {} : { linux }),
    ...limitsFrom(limits, platform),
  };
  if (devicesFile === undefined) return machine;
  const devices = devicesIn(devicesFile, disks);
  refusedAs(devicesFile, () => settingsFrom({ platform, devices }));
  return { ...machine, devices };
}

/** A finding, and where the program was. */
function warningOf({ kind, message, stack }: Finding): string {
  return [`dma-window: ${kind}: ${message}`, ...stack.slice(0, FRAMES_SHOWN).map((frame) => `    at ${frame}`)].join(
    "\n",
  );
}

/**
 * What a terminal sends goes to the program too, which decides: this process waits for its end. What is sent to this process alone, to
 * end it, is passed on.
 */
function passOnSignals(): { readonly started: (pid: number) => void; readonly restore: () => void } {
  let program: number | undefined;
  const pass = (signal: NodeJS.Signals) => {
    if (program !== undefined) process.kill(program, signal);
  };
  const handlers: readonly (readonly [NodeJS.Signals, (signal: NodeJS.Signals) => void])[] = [
    ["SIGINT", () => {}],
    ["SIGQUIT", () => {}],
    ["SIGTERM", pass],
    ["SIGHUP", pass],
  ];
  for (const [signal, handler] of handlers) process.on(signal, handler);
  return {
    started: (pid) => {
      program = pid;
    },
    restore: () => {
      for (const [signal, handler] of handlers) process.off(signal, handler);
    },
  };
}
