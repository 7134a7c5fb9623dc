/** The page: what is pasted and set on one side, and on the other the library's own answers to it. */
import { bytes, hex, roughly } from "../../src/hex.ts";
import { parseIomem } from "../../src/system/iomem.ts";
import { byId, wordsOf } from "./dom.ts";
import { EXAMPLES } from "./examples.ts";
import { ExplainView } from "./explain-view.ts";
import { planFor } from "./machine.ts";
import { PASTED_MAX, recognise } from "./paste.ts";
import { PlanView } from "./plan-view.ts";
import { chosenPlatform, FieldError, fitFields, readSettings, useUsualPage } from "./settings.ts";
import { StormView } from "./storm-view.ts";
import { seeTrace, type TraceSeen } from "./trace-view.ts";

const form = byId("settings", HTMLFormElement);
const pasted = byId("pasted", HTMLTextAreaElement);
const said = byId("pasted-said", HTMLElement);
const pastedOut = byId("pasted-out", HTMLElement);
const problem = byId("settings-problem", HTMLElement);
const planView = new PlanView();
const explainView = new ExplainView();
const stormView = new StormView();

/** The settings have changed: everything that comes of them is made anew. */
function changed(): void {
  fitFields();
  for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  problem.textContent = "";
  try {
    planView.show(planFor(readSettings()));
  } catch (error) {
    if (error instanceof FieldError) complain(error);
    else planView.refuse(error);
  }
  stormView.reset();
}

function complain({ field, message }: FieldError): void {
  field.setAttribute("aria-invalid", "true");
  problem.textContent = message;
}

function readPasted(): void {
  pastedOut.replaceChildren();
  try {
    said.textContent = answerTo(pasted.value);
  } catch (error) {
    said.textContent = wordsOf(error);
  }
}

/** What becomes of what was pasted, in words. */
function answerTo(text: string): string {
  if (text.length > PASTED_MAX) return `That is more than ${bytes(PASTED_MAX)}: paste less.`;
  const found = recognise(text);
  switch (found?.kind) {
    case undefined:
      return "Nothing was pasted.";
    case "iomem":
      return readIomem(found.text);
    case "plan":
      return "A plan.";
    case "trace":
      return show(seeTrace(found.lines));
    case "log":
      return "A line of a log.";
  }
}

function show({ words, elements }: TraceSeen): string {
  pastedOut.replaceChildren(...elements);
  return words;
}

/** Where the RAM ends is what IOVAs that are physical addresses need: so the plan becomes one of these. */
function readIomem(text: string): string {
  const { highest, totalBytes, ramRanges } = parseIomem(text);
  byId("highest-ram", HTMLInputElement).value = hex(highest);
  byId("iova-mode", HTMLSelectElement).value = "pa";
  changed();
  const ranges = `${ramRanges.length} range${ramRanges.length === 1 ? "" : "s"}`;
  return (
    `/proc/iomem: ${roughly(totalBytes)} of RAM in ${ranges}, the highest ends at ${hex(highest)}. ` +
    "The IOVA mode is pa now: the plan below reaches to there."
  );
}

byId("platform", HTMLSelectElement).addEventListener("input", () => {
  useUsualPage();
  explainView.choosePlatform(chosenPlatform());
});
form.addEventListener("input", changed);
form.addEventListener("submit", (event) => event.preventDefault());
byId("paste-read", HTMLButtonElement).addEventListener("click", readPasted);
for (const [id, text] of Object.entries(EXAMPLES)) {
  byId(`example-${id}`, HTMLButtonElement).addEventListener("click", () => {
    pasted.value = text;
    readPasted();
  });
}
changed();
