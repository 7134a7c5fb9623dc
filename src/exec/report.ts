import { type Finding, findingJson } from "./sanitizer/finding.ts";

/** What became of a program under `exec`. */
export interface ExecReport {
  /** The words of its command line. */
  readonly program: readonly string[];
  /** Its exit status; null where a signal ended it. */
  readonly exit: number | null;
  readonly signal: string | null;
  readonly platform: string;
  /** The version of Linux that the model answers as. */
  readonly linux: string;
  /** How many calls of VFIO it made. */
  readonly calls: number;
  readonly findings: readonly Finding[];
}

/** The report as one JSON document; addresses are hex strings. */
export function reportText({ findings, ...rest }: ExecReport): string {
  return `${JSON.stringify({ ...rest, findings: findings.map(findingJson) }, null, 2)}\n`;
}
