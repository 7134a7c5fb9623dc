/** A line of a log, of strace or of dmesg: which call it is about, what was answered, and with which operands. */
import { answerNamed, errnoNamed, errorTexts } from "../answers.ts";
import { callsNamed } from "../calls.ts";
import type { Asked } from "../cause.ts";
import type { Platform } from "../explanation.ts";
import { type Message, messages } from "./messages.ts";
import { operandsIn } from "./operands.ts";
import { plain } from "./plain.ts";

export interface Found {
  readonly call: string;
  /** `undefined` where the line does not say. */
  readonly answer: string | undefined;
  /** The ids of the causes that the line names itself. */
  readonly named: readonly string[] | undefined;
  readonly platform: Platform | undefined;
  /** A program that many use wrote it. */
  readonly isProven: boolean;
  readonly asked: Asked;
}

/** `undefined` for a line that is about no call that failed. Of one longer than 8192 characters the beginning is looked at. */
export function findIn(line: string): Found | undefined {
  const text = plain(line);
  const lower = text.toLowerCase();
  const answer = answerIn(text, lower);
  const message = messages.find(({ words }) => words.every((word) => lower.includes(word)));
  const call = message?.call ?? calledIn(text);
  if (call === undefined) return undefined;
  const said = saidBy(message, answer);
  // A call that is only named, and did not fail, is nothing to explain.
  if (message === undefined && said === undefined && !/fail|error|cannot|could not/i.test(text)) return undefined;
  return {
    call,
    answer: said,
    named: message?.answer === undefined || message.answer === said ? message?.names : undefined,
    platform: message?.platform ?? platformIn(lower),
    isProven: message?.isProven === true,
    asked: operandsIn(text),
  };
}

/** The answer that a line has, whether it is of VFIO's calls or not. */
export function answerInLine(line: string): string | undefined {
  const text = plain(line);
  return answerIn(text, text.toLowerCase());
}

/** What the message is about counts; an errno beside it may be another call's, as of QEMU's own reading of sysfs. */
function saidBy(message: Message | undefined, answer: string | undefined): string | undefined {
  return message?.names !== undefined ? message.answer : (answer ?? message?.answer);
}

/** The call by its constant, its number, or the path that was opened. */
function calledIn(text: string): string | undefined {
  for (const [token] of text.matchAll(/\b(?:VFIO|IOMMU)_[A-Z0-9_]{3,48}\b/g)) {
    const [call] = callsNamed(token);
    if (call !== undefined) return call;
  }
  // strace, where it does not know the constant: _IOC(_IOC_NONE, 0x3b, 0x71, 0)
  const [, number] = /_IOC\([^)]{0,32}0x3b, 0x([0-9a-f]{2}), 0\)/i.exec(text) ?? [];
  const [, whole = `3b${number}`] = /\bioctl\([^,()]{1,64}, 0x((?:2000)?3b[0-9a-f]{2})\b/i.exec(text) ?? [];
  const [ioctl] = callsNamed(`0x${whole}`);
  if (ioctl !== undefined) return ioctl;
  const [, path] = /(\/dev\/vfio\/(?:vfio\b|(?:noiommu-)?\d+))/.exec(text) ?? [];
  if (path === undefined) return undefined;
  return path === "/dev/vfio/vfio" ? "open /dev/vfio/vfio" : "open group";
}

/** Numbers as programs write them, the surest first. */
const NUMBERS: readonly RegExp[] = [
  /= ?-1 (E[A-Z0-9]{2,15})\b/g,
  /= ?(-\d{1,3}) ?\(/g,
  /\[errno (\d{1,3})\]/gi,
  /\bos error (\d{1,3})\b/gi,
  /\berrno(?: was set to)?[ =:]{1,3}-?(E[A-Z0-9]{2,15}|\d{1,3})\b/gi,
  /\berror[ =:(]{1,3}-?(\d{1,3})\b/gi,
  /\bcode:? (\d{1,3})\b/gi,
  /\bret(?:urned)?[ =:]{1,3}-(\d{1,3})\b/gi,
  /\bfailed:? -(\d{1,3})\b/gi,
  /\((-\d{1,3})\)/g,
];

function answerIn(text: string, lower: string): string | undefined {
  for (const pattern of NUMBERS) {
    for (const [, found = ""] of text.matchAll(pattern)) {
      const named = /^-?\d+$/.test(found) ? errnoNamed(Math.abs(Number(found))) : answerNamed(found);
      if (named !== undefined) return named;
    }
  }
  for (const [word] of text.matchAll(/\bE[A-Z]{3,14}\b/g)) {
    const named = answerNamed(word);
    if (named !== undefined) return named;
  }
  return errorTexts.find(([words]) => lower.includes(words))?.[1];
}

function platformIn(lower: string): Platform | undefined {
  if (/spapr|\btce\b|ppc64|powernv|pseries/.test(lower)) return "spapr";
  if (/noiommu-\d|noiommu_mode|noiommu mode/.test(lower)) return "noiommu";
  return /dmar|amd-vi|iommu_type1|\btype 1\b|x86|aarch64|smmu/.test(lower) ? "type1" : undefined;
}
