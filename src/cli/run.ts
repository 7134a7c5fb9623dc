/** `dma-window run`: the main job on this machine. */
import type { DmaWindowError } from "../errors.ts";
import { recordTrace } from "../trace/index.ts";
import { toJson } from "./json.ts";
import { lookAround, type Machine } from "./machine.ts";
import { doMainJob, type MainJobResult } from "./main-job.ts";
import type { CommandLine } from "./options.ts";
import { machineLines, planLines, resultLines } from "./report.ts";
import { TraceFile } from "./trace-file.ts";

/** 0 when the storm went through without a failure, an interruption or a leak. */
export function runCommand(line: CommandLine, print: (text: string) => void): number {
  const machine = lookAround(line.machine, line.iovaMode);
  const result = line.traceFile === undefined ? doMainJob(machine, line) : recorded(machine, line, line.traceFile);
  if (line.json) print(toJson(machine, result, line));
  else print([...machineLines(machine), "", ...planLines(result.plan), "", ...resultLines(result, line)].join("\n"));
  const ours = [result, ...(result.heap === undefined ? [] : [result.heap])];
  const isClean = ours.every((way) => way.storm.failures + way.liveIovasInterrupted + way.resizes === 0);
  return isClean && result.leaks.length === 0 ? 0 : 1;
}

/** The same with a trace of what this library asks of the kernel; the scheme that it is compared with is not in it. */
function recorded(machine: Machine, line: CommandLine, path: string): MainJobResult {
  const file = new TraceFile(path);
  const where = machine.platform ?? (machine.noIommu ? "without an IOMMU" : undefined);
  const note = `dma-window run, seed ${line.seed}, IOVA mode ${line.iovaMode}${where === undefined ? "" : `, ${where}`}`;
  let problem: DmaWindowError | undefined;
  let result: MainJobResult;
  try {
    result = doMainJob(machine, { ...line, inFront: (inner) => recordTrace(inner, file.write, { note }) });
  } finally {
    problem = file.close();
  }
  if (problem !== undefined) throw problem;
  return result;
}
