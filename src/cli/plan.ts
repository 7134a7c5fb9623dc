/** `dma-window plan`: the plan for this machine, without creating it. */
import { Ground } from "./ground.ts";
import { headToJson } from "./json.ts";
import { lookAround } from "./machine.ts";
import type { CommandLine } from "./options.ts";
import { machineLines, planLines } from "./report.ts";

export function planCommand(line: CommandLine, print: (text: string) => void): number {
  const machine = lookAround(line.machine, line.iovaMode);
  const ground = new Ground(machine, line);
  try {
    const plan = ground.plan();
    if (line.json) {
      print(JSON.stringify(headToJson(machine, plan)));
    } else {
      print([...machineLines(machine), "", ...planLines(plan)].join("\n"));
    }
    return 0;
  } finally {
    ground.close();
  }
}
