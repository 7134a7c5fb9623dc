/** docs/errors.md, from the table. `npx tsx test/explain/errors-page.ts` writes it. */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { callNames } from "../../src/explain/calls.ts";
import { POSITIVE, SUCCESS } from "../../src/explain/cause.ts";
import { codes } from "../../src/explain/codes.ts";
import { answersOf, explainCall } from "../../src/explain/explanation.ts";

export const PAGE = fileURLToPath(new URL("../../docs/errors.md", import.meta.url));

const said: Readonly<Record<string, string>> = { [POSITIVE]: "above 0", [SUCCESS]: "0, and yet not what was meant" };

export function errorsPage(): string {
  const own = Object.entries(codes).map(([code, { means, next }]) => `| \`${code}\` | ${means} | ${next} |`);
  return `# Errors

Made from one table (\`src/explain\`) by \`npx tsx test/explain/errors-page.ts\`, and compared with it by a test. The same table is behind
the error messages and \`dma-window explain\` ([explain.md](explain.md)).

## The library's codes

Every error that is thrown has a \`code\`; its message says what was asked, with the numbers, and what to do next.

| Code | What it means | What to do |
| --- | --- | --- |
${own.join("\n")}

## The kernel's answers

For each call and answer the checks that give it, in the order in which Linux makes them. "On": where it is not everywhere.
${[...callNames()].sort().map(ofCall).join("")}`;
}

function ofCall(call: string): string {
  const rows = answersOf(call).flatMap((answer) => {
    const { causes } = explainCall(call, answer);
    const own = [...causes].sort((a, b) => Number(a.verdict === "unlikely") - Number(b.verdict === "unlikely"));
    return own.map(({ check, why, on, linux, fix, source }) => {
      const where = [on?.join(", "), linux === undefined ? undefined : `Linux ${linux}`].filter(
        (one) => one !== undefined,
      );
      return `| ${said[answer] ?? answer} | ${check} | ${cell(why)} | ${where.join("; ")} | ${cell(fix)} | ${cell(source)} |`;
    });
  });
  return `
### ${call}

| Answer | Check | Why | On | What to do | Source |
| --- | --- | --- | --- | --- | --- |
${rows.join("\n")}
`;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("<", "&lt;");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(PAGE, errorsPage());
