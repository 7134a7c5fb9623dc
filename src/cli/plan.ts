/** `dma-window plan`: the plan for this machine, or for one that is described, without creating it. */
import { bytes, roughly } from "../hex.ts";
import { plainText } from "../picture/words.ts";
import { comparePageSizes, type PageChoice } from "../plan/compare.ts";
import type { DescribedMachine } from "../plan/described.ts";
import {
  type ListFacts,
  type PlanRequest,
  planToJson,
  planWindow,
  type StoredList,
  type WindowPlan,
} from "../plan/index.ts";
import { limitsOf, type PlanLimit } from "../plan/limits.ts";
import { isServed } from "../plan/needs.ts";
import { Ground } from "./ground.ts";
import { headToJson } from "./json.ts";
import { lookAround } from "./machine.ts";
import type { CommandLine } from "./options.ts";
import { compareLines, costLines, limitLines } from "./plan-report.ts";
import { machineLines, planLines } from "./report.ts";
import { writeResult } from "./result-file.ts";
import { thisTerminal } from "./terminal.ts";

/** A plan, what it was made from, and what is said of the machine. */
export interface MadePlan {
  readonly request: PlanRequest;
  /** Makes it. @throws what `planWindow` throws. */
  readonly plan: () => WindowPlan;
  readonly lists: readonly StoredList[];
  /** For people, a line each. */
  readonly words: readonly string[];
  /** For programs. */
  readonly json: (plan: WindowPlan) => object;
}

export function planCommand(line: CommandLine, print: (text: string) => void): number {
  return withPlanOf(line, (made) => {
    const { compare, outputFile } = line.plan ?? {};
    const choices =
      compare === undefined ? undefined : comparePageSizes(made.request, compare === "all" ? undefined : compare);
    const plan = made.plan();
    const limits = limitsOf(made.request, plan);
    if (outputFile !== undefined) writePlan(outputFile, plan, made.lists);
    if (line.json) {
      const compared = choices === undefined ? {} : { compared: choices.map(choiceToJson) };
      const document = { ...planToJson(plan), ...made.json(plan), limits: limits.map(limitToJson), ...compared };
      print(JSON.stringify(document));
      return 0;
    }
    const blocks = [
      made.words,
      planLines(plan),
      [...costLines(plan), ...limitLines(limits, plan)],
      ...(choices === undefined ? [] : [compareLines(choices, thisTerminal().columns)]),
    ];
    print(blocks.map((lines) => lines.join("\n")).join("\n\n"));
    return 0;
  });
}

/** Does something with the plan of the machine that the line is about, while that machine is there. */
export function withPlanOf<T>(line: CommandLine, use: (made: MadePlan) => T): T {
  const { described, deviceAddressBits } = line.plan ?? {};
  if (described !== undefined) return use(describedPlan(described));
  const machine = lookAround(line.machine, line.iovaMode);
  const ground = new Ground(machine, line);
  try {
    const request = { ...ground.planRequest(), ...(deviceAddressBits === undefined ? {} : { deviceAddressBits }) };
    return use({
      request,
      plan: () => planWindow(request),
      lists: storedLists(request.memory.lists),
      words: machineLines(machine),
      json: (plan) => headToJson(machine, plan),
    });
  } finally {
    ground.close();
  }
}

function describedPlan({ name, platform, request, ramBytes }: DescribedMachine): MadePlan {
  const lists = storedLists(request.memory.lists);
  const ram = ramBytes === undefined ? [] : [`  RAM      ${roughly(ramBytes)}`];
  const memory = lists.map(({ length, pageSize }) => `${bytes(length)} in pages of ${bytes(pageSize)}`).join(", ");
  return {
    request,
    plan: () => planWindow(request),
    lists,
    words: [
      `  machine  ${plainText(name)}, as it was described`,
      ...ram,
      `  memory   ${memory === "" ? "no lists: what it may grow to is stated" : memory}`,
    ],
    json: () => ({ machine: { name, platform } }),
  };
}

function storedLists(lists: readonly ListFacts[]): StoredList[] {
  return lists.filter(isServed).map(({ base, length, pageSize }) => ({
    base,
    length: BigInt(length),
    pageSize: BigInt(pageSize),
  }));
}

function writePlan(path: string, plan: WindowPlan, lists: readonly StoredList[]): void {
  writeResult(path, `${JSON.stringify(planToJson(plan, lists), undefined, 2)}\n`);
}

function limitToJson({ what, unit, needed, available, at }: PlanLimit): object {
  const hexed = (value: bigint | null) => (value === null ? null : `0x${value.toString(16)}`);
  return { what, unit, needed: hexed(needed), available: hexed(available), at: hexed(at) };
}

function choiceToJson({ pageSize, plan, limits, rejected }: PageChoice): object {
  return {
    pageSize: `0x${pageSize.toString(16)}`,
    plan: plan === undefined ? null : planToJson(plan),
    limits: limits.map(limitToJson),
    rejected,
  };
}
