/** The command line of `dma-window explain`. */
import { answerNamed } from "../explain/answers.ts";
import { callNames, callsNamed, NOBODYS } from "../explain/calls.ts";
import type { Asked } from "../explain/cause.ts";
import { codes } from "../explain/codes.ts";
import { isVersion, type Platform } from "../explain/explanation.ts";
import { nearest } from "../known.ts";
import { parsed } from "./parsed.ts";
import { parseChoice, UsageError } from "./usage.ts";

interface Common {
  readonly command: "explain";
  readonly platform?: Platform;
  readonly linux?: string;
  /** Causes are judged by this machine's files too. */
  readonly here: boolean;
  readonly asked: Asked;
  readonly json: boolean;
}

/** A call, by all names that the word may mean, and its answer; without one all of its answers. */
export interface ExplainCallLine extends Common {
  readonly kind: "call";
  readonly calls: readonly string[];
  readonly answer?: string;
}

/** An answer without its call. */
export interface ExplainAnswerLine extends Common {
  readonly kind: "answer";
  /** As it was given. */
  readonly word: string;
  readonly answer: string;
  /** Calls that the word may mean too: `12` is ENOMEM, and the distance of GET_INFO from VFIO_BASE. */
  readonly alsoCalls: readonly string[];
}

export interface ExplainTextLine extends Common {
  readonly kind: "text";
  readonly text: string;
}

/** A code of this library's own errors. */
export interface ExplainCodeLine extends Common {
  readonly kind: "code";
  readonly code: string;
}

/** From stdin, a file, or a trace of ours. */
export interface ExplainFileLine extends Common {
  readonly kind: "log" | "trace";
  /** `-` is stdin. */
  readonly file: string;
}

export type ExplainLine = ExplainCallLine | ExplainAnswerLine | ExplainCodeLine | ExplainTextLine | ExplainFileLine;

/** Operands: fields of the structs, by names of this command line. */
const numbers: Readonly<Record<string, string>> = {
  vaddr: "vaddr",
  iova: "iova",
  size: "size",
  argsz: "argsz",
  flags: "flags",
  "page-shift": "pageShift",
  levels: "levels",
  start: "start",
  index: "index",
  count: "count",
  argument: "argument",
  group: "group",
};
const texts = ["path", "name"] as const;

const numberOptions = Object.fromEntries(Object.keys(numbers).map((name) => [name, { type: "string" as const }]));

const config = {
  allowPositionals: true,
  options: {
    ...numberOptions,
    path: { type: "string" },
    name: { type: "string" },
    platform: { type: "string" },
    linux: { type: "string" },
    kernel: { type: "string" },
    trace: { type: "string" },
    file: { type: "string" },
    json: { type: "boolean", default: false },
  },
} as const;

const PLATFORMS = ["powernv", "pseries", "type1", "noiommu"] as const;

/** @throws UsageError, saying which option takes what. */
export function explainLine(args: readonly string[]): ExplainLine {
  const { values, positionals } = parse(args);
  const [, ...words] = positionals;
  const platform = values.platform === undefined ? undefined : parseChoice("platform", values.platform, PLATFORMS);
  const { linux } = values;
  if (linux !== undefined && !isVersion(linux)) {
    throw new UsageError(`--linux takes a version of Linux such as 6.12.107; got ${JSON.stringify(linux)}`);
  }
  const common = {
    command: "explain" as const,
    ...(platform === undefined ? {} : { platform }),
    ...(linux === undefined ? {} : { linux }),
    here: parseChoice("kernel", values.kernel ?? "model", ["model", "linux"]) === "linux",
    asked: operandsOf(values),
    json: values.json,
  };
  if (values.trace !== undefined || values.file !== undefined) return ofFile(values, words, common);
  return ofWords(words, common);
}

type Values = Readonly<Record<string, string | boolean | undefined>>;

function ofFile(values: Values, words: readonly string[], common: Common): ExplainFileLine {
  const [option, other] = values.trace === undefined ? (["file", "trace"] as const) : (["trace", "file"] as const);
  const file = String(values[option]);
  if (file === "") throw new UsageError(`--${option} takes a FILE`);
  if (values[other] !== undefined) throw new UsageError("explain takes --trace or --file, one at a time");
  if (words.length > 0) throw new UsageError(`with --${option} explain takes no more words; got ${words.join(" ")}`);
  return { kind: option === "trace" ? "trace" : "log", file, ...common };
}

function ofWords(words: readonly string[], common: Common): ExplainLine {
  const [first, second] = words;
  if (first === undefined || first === "-") return { kind: "log", file: "-", ...common };
  if (first.trim() === "") throw new UsageError("explain takes a CALL, a CALL and its ANSWER, or a LINE; got nothing");
  const code = first.toUpperCase();
  if (words.length === 1 && Object.hasOwn(codes, code)) return { kind: "code", code, ...common };
  const calls = callsNamed(first, common.platform);
  const word = words.join(" ");
  const alone = answerNamed(word);
  if (alone !== undefined && (calls.length === 0 || /^\d+$/.test(word))) {
    const alsoCalls = calls.filter((call) => call !== NOBODYS);
    return { kind: "answer", word: word.trim(), answer: alone, alsoCalls, ...common };
  }
  if (calls.length === 0) return notACall(words, common);
  if (second === undefined) return { kind: "call", calls, ...common };
  const answer = answerNamed(second);
  if (words.length === 2 && answer !== undefined) return { kind: "call", calls, answer, ...common };
  if (words.length > 2) return { kind: "text", text: words.join(" "), ...common };
  throw new UsageError(
    `explain takes an errno by name or number (EINVAL, -22), a positive number, success or Oops; got ${JSON.stringify(second.slice(0, 80))}`,
  );
}

/** One word is a misspelt call; several, or one with blanks, are a line of a log. */
function notACall(words: readonly string[], common: Common): ExplainTextLine {
  const text = words.join(" ");
  if (/\s/.test(text) && !(words.length === 2 && answerNamed(words[1] ?? "") !== undefined))
    return { kind: "text", text, ...common };
  if (/[:/(=]/.test(text) && words.length === 1) return { kind: "text", text, ...common };
  const [word = ""] = words;
  const short = callNames().flatMap((name) => [name, name.replace(/^VFIO_(IOMMU_)?(SPAPR_)?/, "")]);
  const isCode = /^ERR_/i.test(word);
  const meant = nearest(word.toUpperCase(), isCode ? Object.keys(codes) : short);
  const hint =
    meant === undefined ? "; calls are named as in <linux/vfio.h>, such as MAP_DMA" : `; did you mean ${meant}?`;
  throw new UsageError(`there is no ${isCode ? "code" : "call"} ${JSON.stringify(word.slice(0, 80))}${hint}`);
}

function operandsOf(values: Values): Asked {
  const found: Record<string, unknown> = {};
  for (const [option, name] of Object.entries(numbers)) {
    const text = values[option];
    if (typeof text !== "string") continue;
    const value = /^(0x[0-9a-f]{1,16}|\d{1,20})$/i.test(text) ? BigInt(text) : undefined;
    if (value === undefined || value >> 64n !== 0n) {
      throw new UsageError(
        `--${option} takes a number below 2^64, such as 4096 or 0x1000; got ${JSON.stringify(text.slice(0, 80))}`,
      );
    }
    found[name] = name === "group" ? Number(value) : value;
  }
  for (const name of texts) if (typeof values[name] === "string") found[name] = values[name];
  return found;
}

/** `-12` and `-ENOMEM` are answers, and no options; a line of a log comes as one word, whatever it begins with. */
function parse(args: readonly string[]) {
  const words = args.filter(isWord);
  const others = args.filter((arg) => !isWord(arg));
  const { values, positionals } = parsed({ ...config, args: others }, (option) => `explain takes no ${option}`);
  return { values, positionals: [...positionals, ...words] };
}

function isWord(arg: string): boolean {
  if (/^-(\d{1,3}|E[A-Z0-9]{2,15})$/.test(arg)) return true;
  const option = /^--([a-z-]+)=/.exec(arg)?.[1] ?? "";
  return /^-\S*\s/.test(arg) && !Object.hasOwn(config.options, option);
}
