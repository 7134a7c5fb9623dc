/** The commands in a document, and what stands below each. */
export interface Shown {
  /** Behind `dma-window `. */
  readonly args: string;
  /** The lines below it, without their margin; empty where the document shows none. */
  readonly output: string;
}

/** Lines of four blanks and a `$` are commands; what is indented below one is what it prints, empty lines within too. */
export function commandsIn(document: string): Shown[] {
  const found: { args: string; lines: string[] }[] = [];
  let isInside = false;
  for (const line of document.split("\n")) {
    const command = /^ {4}\$ dma-window (.*)$/.exec(line)?.[1];
    if (command !== undefined) {
      found.push({ args: command, lines: [] });
      isInside = true;
    } else if (isInside && (line === "" || line.startsWith("    "))) found.at(-1)?.lines.push(line.slice(4));
    else isInside = false;
  }
  return found.map(({ args, lines }) => ({ args, output: lines.join("\n").replace(/\n+$/, "") }));
}
