/** The command line of `dma-window docs`. */
import { parsed } from "./parsed.ts";
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
  const { values, positionals } = parsed({ ...config, args: [...args] }, (option) => `docs takes no ${option}`);
  const [, name, extra] = positionals;
  if (extra !== undefined) throw new UsageError(`docs prints one document; got ${positionals.slice(1).join(" ")}`);
  return { command: "docs", ...(name === undefined ? {} : { name }), json: values.json };
}
