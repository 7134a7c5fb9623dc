/** A plan: its picture, its facts, what will not suffice and when, what cannot be, and what other pages would cost. */
import { amountOf } from "../../src/cli/plan-report.ts";
import { type Fact, shapeOf } from "../../src/cli/plan-words.ts";
import { bytes, roughly } from "../../src/hex.ts";
import { planPicture } from "../../src/picture/from-plan.ts";
import { pictureHtml } from "../../src/picture/html.ts";
import { pictureSvg } from "../../src/picture/svg.ts";
import { comparePageSizes, type PageChoice } from "../../src/plan/compare.ts";
import { limitsOf, type PlanLimit } from "../../src/plan/limits.ts";
import { planToJson, type StoredList } from "../../src/plan/plan-json.ts";
import { checkRequest } from "../../src/plan/request.ts";
import type { PlanRequest, Rejection, WindowPlan } from "../../src/plan/types.ts";
import { byId, element, table, wordsOf } from "./dom.ts";
import { pictureOf, scrolled } from "./picture-view.ts";
import { saveButton } from "./save.ts";

export class PlanView {
  readonly #out = byId("plan-out", HTMLElement);

  /** A plan, and what it was made from. */
  show(plan: WindowPlan, request: PlanRequest, name: string): void {
    const { lists } = checkRequest(request).memory;
    this.#out.replaceChildren(
      ...shown(plan, lists, name),
      limitTable(limitsOf(request, plan)),
      compareTable(comparePageSizes(request)),
    );
  }

  /** A plan that comes from elsewhere: of its machine no more is known. */
  showStored(plan: WindowPlan, lists: readonly StoredList[] | undefined): void {
    this.#out.replaceChildren(...shown(plan, lists, "a plan that was pasted"));
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

function shown(plan: WindowPlan, lists: readonly StoredList[] | undefined, name: string): HTMLElement[] {
  const picture = planPicture(plan, name, lists);
  const json = () => `${JSON.stringify(planToJson(plan, lists), null, 2)}\n`;
  return [
    ...pictureOf(picture),
    factsOf(plan),
    ...(plan.warnings.length === 0 ? [] : [warningsOf(plan.warnings)]),
    ...rejectedIn(plan.rejected),
    element(
      "p",
      { class: "buttons" },
      saveButton("Save the plan (JSON)", "plan.json", "application/json", json),
      saveButton("Save the picture (SVG)", "window.svg", "image/svg+xml", () => pictureSvg(picture)),
      saveButton("Save it as a page that zooms", "window.html", "text/html", () => pictureHtml(picture)),
    ),
  ];
}

function factsOf(plan: WindowPlan): HTMLElement {
  const { memoryBytes, lockedBytes, maps } = plan.fullGrowth;
  const growth: Fact = [
    "growth",
    `${roughly(memoryBytes)} of memory when all is there, ${roughly(lockedBytes)} locked, in up to ${maps} maps`,
  ];
  const list = element("dl");
  for (const [label, text] of [...shapeOf(plan), growth]) {
    if (label !== "") list.append(element("dt", {}, label));
    list.append(element("dd", {}, text));
  }
  return list;
}

function rejectedIn(rejected: readonly Rejection[]): HTMLElement[] {
  if (rejected.length === 0) return [];
  const rows = rejected.map(({ choice, reason }) => [choice, reason]);
  const title = "What was rejected, and why";
  return [scrolled(title, table(title, ["choice", "reason"], rows))];
}

function warningsOf(warnings: readonly string[]): HTMLElement {
  const items = warnings.map((warning) => element("li", {}, warning));
  return element("div", { class: "warning" }, element("h3", {}, "What will not suffice"), element("ul", {}, ...items));
}

function limitTable(limits: readonly PlanLimit[]): HTMLElement {
  const rows = limits.map(({ what, unit, needed, available, at }) => [
    what,
    amountOf(needed, unit),
    available === null ? "no limit" : amountOf(available, unit),
    at === null ? "never" : `at ${roughly(at)} of memory`,
  ]);
  return scrolled("Limits", table("Which limit comes first", ["limit", "needed", "there", "met"], rows));
}

function compareTable(choices: readonly PageChoice[]): HTMLElement {
  const rows = choices.map(({ pageSize, plan, limits, rejected }) => {
    const [first] = limits.filter(({ at }) => at !== null);
    if (plan === undefined) {
      const why = rejected.map(({ choice, reason }) => `${choice}: ${reason}`).join("; ");
      return [bytes(pageSize), "none", "", "", "", why];
    }
    const { size, tces, chargeBytes, fullGrowth } = plan;
    return [
      bytes(pageSize),
      bytes(size),
      `${tces}`,
      roughly(chargeBytes),
      `${fullGrowth.maps}`,
      first === undefined ? "none is met" : `${first.what} at ${roughly(first.at ?? 0n)}`,
    ];
  });
  const columns = ["pages", "window", "entries", "charged", "maps", "first limit"];
  return scrolled("Pages", table("The same memory in pages of each size", columns, rows));
}
