/** Text of others, as text: a log may have anything in it. */

/** As much of a line is looked at: the longest message of any program is far below it. */
export const LINE_MAX = 8192;

/** The characters are named, and none of them stands in this file. */
const any = (...codes: readonly string[]) => new RegExp(codes.join("|"), "g");

const [ESCAPE, BELL] = [String.raw`[\u001b\u009b]`, String.raw`\u0007`];

/** What a terminal would take for a command (ECMA-48): removed whole, so that its letters do not stay behind. */
const commands = any(
  String.raw`\u001b\][^\u0007\u001b]{0,256}(?:${BELL}|\u001b\\)?`,
  `${ESCAPE}[[()#;?]{0,4}[0-9;:]{0,64}[ -/]{0,4}[@-~]?`,
);

/** Control characters, and those that turn the direction of a text around. */
const controls = any(String.raw`[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]`);

/** Without control characters, with single blanks, and no longer than {@link LINE_MAX}. */
export function plain(text: string): string {
  const cut = text.length > LINE_MAX ? text.slice(0, LINE_MAX) : text;
  return cut
    .replace(commands, "")
    .replace(/[\t\n\r]+/g, " ")
    .replace(controls, "")
    .trim();
}

/** The same of what stands on a page: its lines and blanks stay. */
export function plainPage(text: string): string {
  return text.replace(commands, "").replace(controls, "");
}
