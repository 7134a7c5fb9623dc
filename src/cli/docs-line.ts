/** The command line of `dma-window docs`. */
import { parseArgs } from "node:util";
import { UsageError } from "./usage.ts";

export interface DocsLine {
  readonly command: "docs";
  /** Left out: a list of all. */
  readonly name?: string;
  readonly json: boolean;
}

const config = { allowPositionals: true, options: { json: { type: "boolean", default: false } } } as const;

/** @throws UsageError */
export function docsLine(args: readonly string[]): DocsLine {
  const { values, positionals } = parse(args);
  const [, name, extra] = positionals;
  if (extra !== undefined) throw new UsageError(`docs prints one document; got ${positionals.slice(1).join(" ")}`);
  return { command: "docs", ...(name === undefined ? {} : { name }), json: values.json };
}

function parse(args: readonly string[]) {
  const { tokens } = parseArgs({ ...config, args: [...args], strict: false, tokens: true });
  for (const token of tokens) {
    if (token.kind === "option" && token.name !== "json")
      throw new UsageError(`docs takes no ${token.rawName}; it takes --json`);
  }
  try {
    return parseArgs({ ...config, args: [...args] });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
