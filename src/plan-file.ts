/** A plan in a file: made once, with `dma-window plan --output`, and loaded by a program each time that it starts. */
import { readBounded } from "./bounded-file.ts";
import { DmaWindowError } from "./errors.ts";
import { parsePlan, type WindowPlan } from "./plan/index.ts";
import { PLAN_LENGTH_MAX as PLAN_BYTES_MAX } from "./plan/parse-plan.ts";
import { checkPath } from "./validate.ts";

/**
 * The plan in the file at `path`, as `dma-window plan --output` writes it: `container.createWindow(readPlan("plan.json"))`. A plan
 * is for IOMMUs of one kind; `createWindow` refuses it on another one (`ERR_PLAN_MISFIT`).
 *
 * @throws `ERR_PLAN_UNREADABLE` where the file cannot be read; `ERR_PLAN_MALFORMED` and `ERR_PLAN_VERSION` as `parsePlan` does.
 * @throws TypeError `ERR_INVALID_ARG_TYPE` for what is no path.
 */
export function readPlan(path: string): WindowPlan {
  checkPath("path", path);
  let text: string;
  try {
    // More than a plan may have is refused by its length.
    text = readBounded(path, PLAN_BYTES_MAX + 1).text;
  } catch (cause) {
    if (/^\s*\{/.test(path)) {
      throw new DmaWindowError("ERR_PLAN_UNREADABLE", "that is the text of a plan, and no path: parsePlan takes it", {
        cause,
      });
    }
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new DmaWindowError("ERR_PLAN_UNREADABLE", `the plan ${path} cannot be read: ${why}`, { cause });
  }
  return parsePlan(text);
}
