/** The error of a close that went on past what failed: one for all that it met with. */
import type { Closable } from "./closable.ts";
import { asOurs, DmaWindowError, type DmaWindowErrorOptions, leftBy, withResidue } from "./errors.ts";

/** Does it, and keeps what it throws. Gives whether it went well. */
export function attempt(errors: unknown[], action: () => void): boolean {
  try {
    action();
    return true;
  } catch (error) {
    errors.push(error);
    return false;
  }
}

/** Closes, after `first`, whatever that throws: it is why what comes behind it fails, which is its residue then. */
export function disposeWith(first: () => void, closable: Closable): void {
  try {
    first();
  } catch (error) {
    throw withResidue(
      error,
      leftBy(() => closable.close()),
    );
  }
  closable.close();
}

/** `ERR_CLOSE`; the first of what failed is its cause, and gives its `syscall`, `errno` and `facts`. Nothing where nothing failed. */
export function closingError(what: string, errors: readonly unknown[]): DmaWindowError | undefined {
  if (errors.length === 0) return undefined;
  const left = errors.flatMap(sentencesOf);
  const met = errors.length === 1 ? "an error" : `${errors.length} errors`;
  return new DmaWindowError("ERR_CLOSE", `closing ${what} met with ${met}: ${errors.join("; ")}`, {
    ...kernelSaid(errors[0]),
    cause: errors[0],
    ...(left.length === 0 ? {} : { residue: { left } }),
  });
}

/** The first of what failed, which also says what the others have left; `undefined` where nothing failed. */
export function firstOf(problems: readonly DmaWindowError[]): DmaWindowError | undefined {
  const [first, ...others] = problems;
  return first && asOurs(withResidue(first, others.flatMap(sentencesOf)));
}

/** What an error has of the call that failed, for one that is made of it. */
export function kernelSaid(error: unknown): Pick<DmaWindowErrorOptions, "errno" | "syscall" | "facts"> {
  if (!(error instanceof DmaWindowError)) return {};
  const { errno, syscall, facts } = error;
  return {
    ...(errno === undefined ? {} : { errno }),
    ...(syscall === undefined ? {} : { syscall }),
    ...(facts === undefined ? {} : { facts }),
  };
}

/** What an error says is left behind; the error itself where it says nothing of that. An interface that threw then left nothing. */
function sentencesOf(error: unknown): readonly string[] {
  if (!(error instanceof DmaWindowError)) return [String(error)];
  return error.residue?.left ?? (error.code === "ERR_INTERFACE" ? [] : [String(error)]);
}
