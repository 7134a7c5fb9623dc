/** Explanations in words, for a terminal. */

import type { AnsweredCall } from "../explain/by-answer.ts";
import type { Asked } from "../explain/cause.ts";
import { POSITIVE, SUCCESS } from "../explain/cause.ts";
import type { ExplainedCause, Explanation } from "../explain/explanation.ts";
import { operandsInWords } from "../explain/lines/operands.ts";

/** Of a terminal, where nothing is known of it. */
const COLUMNS = 80;

const answers: Readonly<Record<string, string>> = {
  [POSITIVE]: "a number above 0, which means failure",
  [SUCCESS]: "0",
  unknown: "an answer that is not said",
};

/**
 *     VFIO_IOMMU_MAP_DMA: EINVAL (iova 0x1001)
 *
 *       1 whole-pages (likely)
 *         why ...
 *         Do: ...
 *         drivers/vfio/vfio_iommu_type1.c: vfio_dma_do_map
 */
export function explanationLines({ call, answer, causes, passed }: Explanation, asked: Asked = {}): string[] {
  const operands = operandsInWords(asked);
  const head = `${call}: ${answers[answer] ?? answer}${operands === "" ? "" : ` (${operands})`}`;
  if (causes.length === 0) return [head, "", "  None of the causes that are known: see the kernel's log (dmesg)."];
  const [first] = causes;
  const isFound = first?.verdict === "sure" || first?.verdict === "likely";
  const told = causes.filter(({ verdict }) => (isFound ? verdict === first.verdict : verdict !== "unlikely"));
  const shown = told.length === 0 ? causes : told;
  const others = causes.filter((cause) => !shown.includes(cause)).map(({ check }) => check);
  return [
    head,
    ...shown.flatMap((cause) => ["", ...causeLines(cause)]),
    ...(others.length === 0 ? [] : ["", ...wrapped(`Less likely: ${listed(others)}.`, 2)]),
    ...(passed.length === 0 ? [] : ["", ...wrapped(`By what is known it is not: ${listed(passed)}.`, 2)]),
  ];
}

/** All answers of a call, each with its checks. */
export function callLines({ call, causes }: Explanation): string[] {
  const byAnswer = new Map<string, string[]>();
  for (const { answer = "", check } of causes) byAnswer.set(answer, [...(byAnswer.get(answer) ?? []), check]);
  return [
    `${call}`,
    "",
    ...[...byAnswer].flatMap(([answer, checks]) => wrapped(`${answer.padEnd(10)} ${listed(checks)}`, 2, 13)),
    "",
    `  dma-window explain ${call.replace(/^VFIO_(IOMMU_)?/, "")} ${[...byAnswer.keys()][0] ?? "EINVAL"} says what they are.`,
  ];
}

/** An answer alone: the calls that give it, each with its checks. */
export function answerLines(
  word: string,
  answer: string,
  calls: readonly AnsweredCall[],
  alsoCalls: readonly string[],
): string[] {
  const shortOf = (call: string) => call.replace(/^VFIO_(IOMMU_)?/, "");
  const widest = Math.max(...calls.map(({ call }) => shortOf(call).length));
  const also = `${word} is a call's number too, by its distance from VFIO_BASE, of ${alsoCalls.join(" and ")}: dma-window explain BASE+${word} says what that answers.`;
  const example = calls.find(({ call }) => call.startsWith("VFIO_"))?.call ?? "CALL";
  return [
    ...wrapped(`${answer} is an answer: name the call too. These give it, by the checks that are named.`, 0),
    "",
    ...calls.flatMap(({ call, checks }) => wrapped(`${shortOf(call).padEnd(widest)} ${listed(checks)}`, 2, widest + 3)),
    ...(alsoCalls.length === 0 ? [] : ["", ...wrapped(also, 2)]),
    "",
    `  dma-window explain ${shortOf(example)} ${answer} says what they are.`,
  ];
}

function causeLines({ rank, check, verdict, answer, on, linux, why, source, fix }: ExplainedCause): string[] {
  const where = [
    answer,
    verdict === "possible" ? undefined : verdict,
    on?.join(" and "),
    linux === undefined ? undefined : `Linux ${linux}`,
  ];
  const more = where.filter((one) => one !== undefined).join(", ");
  return [
    `  ${rank} ${check}${more === "" ? "" : ` (${more})`}`,
    ...wrapped(`${why}.`, 4),
    ...(fix === "" ? [] : wrapped(`Do: ${fix}.`, 4)),
    ...source.split("; ").map((one) => `    ${one}`),
  ];
}

function listed(words: readonly string[]): string {
  return [...new Set(words)].join(", ");
}

/** Words in lines of the terminal's width; what follows the first is indented by `hang`. */
function wrapped(text: string, indent: number, hang = indent): string[] {
  const lines: string[] = [];
  let line = " ".repeat(indent);
  let isEmpty = true;
  for (const word of text.split(" ")) {
    if (!isEmpty && line.length + 1 + word.length > COLUMNS) {
      lines.push(line);
      line = " ".repeat(hang);
      isEmpty = true;
    }
    line += isEmpty ? word : ` ${word}`;
    isEmpty = false;
  }
  return [...lines, line];
}
