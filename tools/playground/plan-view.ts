/** A plan: its picture, its facts, what will not suffice, and what cannot be. */
import { shapeOf } from "../../src/cli/plan-words.ts";
import type { Rejection, WindowPlan } from "../../src/plan/types.ts";
import { byId, element, table, wordsOf } from "./dom.ts";

export class PlanView {
  readonly #out = byId("plan-out", HTMLElement);

  show(plan: WindowPlan): void {
    const { warnings, rejected } = plan;
    this.#out.replaceChildren(
      factsOf(plan),
      ...(warnings.length === 0 ? [] : [listOf("What will not suffice", warnings, "warning")]),
      ...rejectedIn(rejected),
    );
  }

  /** Why there is no plan. Where every choice was rejected, all are listed, each with its numbers. */
  refuse(error: unknown): void {
    const { facts } = error as { facts?: { rejected?: readonly Rejection[] } };
    const rejected = facts?.rejected ?? [];
    const [first = ""] = wordsOf(error).split("\n", 1);
    const words = rejected.length > 0 ? first.replace(/:$/, ".") : wordsOf(error);
    this.#out.replaceChildren(element("p", { class: "problem", role: "alert" }, words), ...rejectedIn(rejected));
  }
}

function factsOf(plan: WindowPlan): HTMLElement {
  const list = element("dl");
  for (const [label, text] of shapeOf(plan)) {
    if (label !== "") list.append(element("dt", {}, label));
    list.append(element("dd", {}, text));
  }
  return list;
}

function rejectedIn(rejected: readonly Rejection[]): HTMLElement[] {
  if (rejected.length === 0) return [];
  const rows = rejected.map(({ choice, reason }) => [choice, reason]);
  return [element("div", { class: "scroll" }, table("What was rejected, and why", ["choice", "reason"], rows))];
}

function listOf(title: string, lines: readonly string[], kind: string): HTMLElement {
  const items = lines.map((line) => element("li", {}, line));
  return element("div", { class: kind }, element("h3", {}, title), element("ul", {}, ...items));
}
