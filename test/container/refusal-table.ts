/** Tables of what is refused without asking the kernel: each row with its code, and with nothing changed. */
import { suite } from "uvu";
import type { Window } from "../../src/container/window.ts";
import { agree, refusedUnseen } from "../support/agreement.ts";
import { badValues } from "../support/bad-values.ts";
import { type Program, ready } from "../support/program.ts";

export const PAGE = 4096n;
/** One past the last address. */
export const TOP = 1n << 64n;

/** A window of 16 MiB in 4 KiB pages at 0, and 64 pages of memory. */
export interface Context {
  readonly program: Program;
  readonly window: Window;
  readonly va: bigint;
}

export type Row = readonly [what: string, code: string, run: (context: Context) => unknown];

export function table(name: string, rows: readonly Row[], prepare: (context: Context) => void = () => {}): void {
  const rules = suite(name);
  for (const [what, code, run] of rows) {
    rules(`${what}: ${code}`, () => {
      const context = ready();
      prepare(context);
      refusedUnseen(context.program, context.window, code, () => run(context));
      agree(context.program, context.window);
    });
  }
  rules.run();
}

/** What the argument should have been: an address is never a number, and only numbers of bytes may be either. */
export type Kind = "address" | "size" | "other";

export function bad(
  kind: Kind,
  argument: (value: never) => (context: Context) => unknown,
  ...allowed: string[]
): Row[] {
  return badValues(...allowed).map(([name, value]) => {
    const inKind = (typeof value === "bigint" && kind !== "other") || (typeof value === "number" && kind === "size");
    return [name, inKind ? "ERR_OUT_OF_RANGE" : "ERR_INVALID_ARG_TYPE", argument(value as never)];
  });
}
