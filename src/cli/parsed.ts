/** Options and words of a command line, by Node's parseArgs, which says what is wrong with them but not which option was likely meant. */
import { type ParseArgsConfig, parseArgs } from "node:util";
import { nearest } from "../known.ts";
import { UsageError } from "./usage.ts";

type Config = ParseArgsConfig & { readonly options: NonNullable<ParseArgsConfig["options"]> };

/** @throws UsageError; `unknown` says of an option that it is none: `there is no option --x`. */
export function parsed<T extends Config>(
  config: T,
  unknown: (option: string) => string,
): ReturnType<typeof parseArgs<T>> {
  const { tokens } = parseArgs({ ...(config as Config), strict: false, tokens: true });
  for (const token of tokens) {
    if (token.kind !== "option" || Object.hasOwn(config.options, token.name)) continue;
    const meant = nearest(token.name, Object.keys(config.options));
    throw new UsageError(`${unknown(token.rawName)}${meant === undefined ? "" : `; did you mean --${meant}?`}`);
  }
  try {
    return parseArgs(config);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
