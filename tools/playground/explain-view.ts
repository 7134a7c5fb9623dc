/** What an answer of a call means: its causes, the likeliest first, with the check in the kernel and what to do. */
import { callNames } from "../../src/explain/calls.ts";
import { CRASH, POSITIVE, SUCCESS } from "../../src/explain/cause.ts";
import {
  answersOf,
  type ExplainedCause,
  type Explanation,
  explainCall,
  isVersion,
  type Platform,
} from "../../src/explain/explanation.ts";
import { byId, element } from "./dom.ts";

/** What is no errno, in words. */
const WORDS: Readonly<Record<string, string>> = {
  [POSITIVE]: "a number above 0",
  [SUCCESS]: "0: success",
  [CRASH]: "the kernel crashed",
};

export class ExplainView {
  readonly #call = byId("explain-call", HTMLSelectElement);
  readonly #answer = byId("explain-errno", HTMLSelectElement);
  readonly #platform = byId("explain-platform", HTMLSelectElement);
  readonly #linux = byId("explain-linux", HTMLInputElement);
  readonly #out = byId("explain-out", HTMLElement);

  constructor() {
    this.#call.replaceChildren(...[...callNames()].sort().map((call) => element("option", { value: call }, call)));
    this.#call.value = "VFIO_IOMMU_MAP_DMA";
    this.#offer();
    this.#call.addEventListener("change", () => {
      this.#offer();
      this.#show();
    });
    for (const field of [this.#answer, this.#platform]) field.addEventListener("change", () => this.#show());
    this.#linux.addEventListener("input", () => this.#show());
    this.#show();
  }

  /** The causes are those of a machine like that. */
  choosePlatform(platform: Platform): void {
    this.#platform.value = platform;
    this.#show();
  }

  #show(): void {
    const linux = this.#linux.value.trim();
    const isKnown = linux === "" || isVersion(linux);
    this.#linux.toggleAttribute("aria-invalid", !isKnown);
    const platform = this.#platform.value === "" ? undefined : (this.#platform.value as Platform);
    const explanation = explainCall(this.#call.value, this.#answer.value, {
      platform,
      ...(isKnown && linux !== "" ? { linux } : {}),
    });
    this.#out.replaceChildren(...explained(explanation));
  }

  /** The answers that the table knows of a call. */
  #offer(): void {
    const before = this.#answer.value;
    const answers = answersOf(this.#call.value);
    this.#answer.replaceChildren(...answers.map((name) => element("option", { value: name }, wordsOfAnswer(name))));
    if (answers.includes(before)) this.#answer.value = before;
    else if (answers.includes("EINVAL")) this.#answer.value = "EINVAL";
  }
}

export function wordsOfAnswer(name: string): string {
  return WORDS[name] ?? name;
}

/** The causes of an answer, and what it cannot be. */
export function explained({ causes, passed }: Explanation): HTMLElement[] {
  const none = "The table has no cause of this answer here: see the kernel's log (dmesg).";
  const list = element("ol", {}, ...causes.map(itemOf));
  return [
    causes.length === 0 ? element("p", {}, none) : list,
    ...(passed.length === 0 ? [] : [element("p", {}, `The operands pass these checks: ${passed.join(", ")}.`)]),
  ];
}

function itemOf({ check, verdict, on, linux, why, source, fix }: ExplainedCause): HTMLElement {
  const where = [
    verdict,
    ...(on === undefined ? [] : [`on ${on.join(", ")}`]),
    ...(linux === undefined ? [] : [linux]),
  ];
  return element(
    "li",
    {},
    element("strong", {}, check),
    ` (${where.join("; ")}): ${why}`,
    ...(fix === "" ? [] : [element("br"), `What to do: ${fix}`]),
    element("br"),
    element("code", {}, source),
  );
}
