/** `dma-window run`: the main job on this machine. */
import { lookAround } from "./machine.ts";
import { doMainJob } from "./main-job.ts";
import type { CommandLine } from "./options.ts";
import { machineLines, planLines, resultLines, toJson } from "./report.ts";

/** 0 when the storm went through without a failure, an interruption or a leak. */
export function runCommand(line: CommandLine, print: (text: string) => void): number {
  const machine = lookAround(line.machine);
  const result = doMainJob(machine, line);
  if (line.json) print(toJson(machine, result));
  else print([...machineLines(machine), "", ...planLines(result.plan), "", ...resultLines(result, line)].join("\n"));
  const { storm, liveIovasInterrupted, resizes, leaks } = result;
  return storm.failures + liveIovasInterrupted + resizes + leaks.length === 0 ? 0 : 1;
}
