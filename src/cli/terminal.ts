/** What the terminal can show. */
import type { TextOptions } from "../picture/text.ts";

/** What a terminal is known by. */
export interface TerminalFacts {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly isTTY: boolean;
  /** As the terminal says it. */
  readonly columns: number | undefined;
}

const COLUMNS = 80;

/**
 * COLUMNS before what the terminal says, and 80 where neither does. Colours on a terminal alone, unless NO_COLOR has any value; blocks
 * and lines where the locale is one of UTF-8, by the variables in the order in which setlocale(3) looks at them.
 */
export function terminalOptions({ env, isTTY, columns }: TerminalFacts): Required<TextOptions> {
  const stated = /^\d{1,4}$/.test(env.COLUMNS ?? "") ? Number(env.COLUMNS) : undefined;
  const locale = [env.LC_ALL, env.LC_CTYPE, env.LANG].find((value) => value !== undefined && value !== "") ?? "C";
  return {
    columns: stated || columns || COLUMNS,
    unicode: /utf-?8/i.test(locale),
    colour: isTTY && !env.NO_COLOR && env.TERM !== "dumb",
  };
}

export function thisTerminal(): Required<TextOptions> {
  const { isTTY, columns } = process.stdout;
  return terminalOptions({ env: process.env, isTTY: isTTY === true, columns });
}
