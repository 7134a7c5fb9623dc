/** The commands in a document, and what stands below each. */

export interface Command {
  /** Without prompt and explanation. */
  readonly text: string;
  /** Its line in the document, from 1. */
  readonly line: number;
  /** What it prints, without the margin: where the document shows something. */
  readonly output?: string;
}

/** What a line in a block begins with that is a command, though it has no prompt. */
const PROGRAMS =
  /^(?:[A-Z_]+=\S+ )*(?:npm|npx|node|pnpm|yarn|sh|docker|dma-window|git|apt-get|modprobe|sysctl|echo|ls|cat|chown|powerpc64le-linux-gnu-g\+\+)(?: |$)/;

/** Blocks of other languages (js, json) hold no commands. */
const FENCE = /^```(?:console|sh)?$/;

interface Block {
  /** Lines without their margin, and the number of the first. */
  readonly lines: readonly string[];
  readonly first: number;
}

/** Fenced blocks, and indented ones; those of lists have a wider margin. */
function blocksOf(document: string): Block[] {
  const lines = document.split("\n");
  const blocks: Block[] = [];
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i] ?? "";
    const first = i + 1;
    if (line.startsWith("```")) {
      const end = lines.indexOf("```", i + 1);
      if (FENCE.test(line)) blocks.push({ lines: lines.slice(i + 1, end), first: first + 1 });
      i = end;
      continue;
    }
    const margin = /^ {4,}/.exec(line)?.[0];
    if (margin === undefined || (i > 0 && lines[i - 1] !== "")) continue;
    let end = i;
    while (end < lines.length && (lines[end] === "" || lines[end]?.startsWith(margin))) end++;
    blocks.push({ lines: lines.slice(i, end).map((one) => one.slice(margin.length)), first });
    i = end - 1;
  }
  return blocks;
}

/** An explanation stands behind two blanks, or behind a `#`. */
const withoutExplanation = (line: string) => line.replace(/ {2,}\S.*$| +# .*$/, "").trimEnd();

function* commandsOf({ lines, first }: Block): Generator<Command> {
  const prompts = lines.flatMap((line, i) => (/^[$#] /.test(line) ? [i] : []));
  for (const [n, start] of prompts.entries()) {
    const text = withoutExplanation(lines[start]?.slice(2) ?? "");
    const output = lines
      .slice(start + 1, prompts[n + 1])
      .join("\n")
      .replace(/\n+$/, "");
    yield { text, line: first + start, ...(output === "" ? {} : { output }) };
  }
  if (prompts.length > 0) return;
  for (const [i, line] of lines.entries()) {
    if (PROGRAMS.test(line)) yield { text: withoutExplanation(line), line: first + i };
  }
}

/**
 * Lines with a prompt (`$ `, or `# ` for root's) are commands, and what is below one is what it prints. In a block without prompts each line
 * is one that begins with a program's name.
 */
export function commandsIn(document: string): Command[] {
  return blocksOf(document).flatMap((block) => [...commandsOf(block)]);
}

/** Commands within a sentence, of this package's own programs. */
export function mentionedIn(document: string): string[] {
  const prose = document.replace(/^```[\s\S]*?^```$/gm, "");
  return [...prose.matchAll(/`((?:npx )?(?:dma-window|npm run|node) [^`]+)`/g)].map(([, text = ""]) =>
    text.replace(/\s+/g, " "),
  );
}

/** Words as a shell splits them, as far as documents need it: blanks, and single quotes. */
export function wordsOf(text: string): string[] {
  return [...text.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? "");
}
