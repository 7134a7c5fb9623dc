/**
 * Every command of the documents is run, and prints what stands below it, or `elsewhere.ts` says what it needs and who runs it.
 * DMA_WINDOW_WRITE=1 writes anew what they print.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "uvu";
import * as assert from "uvu/assert";
import { parseCommandLine } from "../../src/cli/options.ts";
import { scenesOf } from "../kernels/guest/documents.ts";
import { guests } from "../kernels/guests.ts";
import { root } from "../package/imports.ts";
import { type Command, commandsIn, mentionedIn, wordsOf } from "./commands.ts";
import { documents } from "./documents.ts";
import { elsewhere, isElsewhere } from "./elsewhere.ts";
import { Folder } from "./executed.ts";
import { commandsFor } from "./in-guests.ts";
import { isShown } from "./shown.ts";

const isWriting = process.env.DMA_WINDOW_WRITE === "1";

/** The doctor's exit code says whether this machine is ready. */
const codesOf = ({ text }: Command) => (/^dma-window doctor\b/.test(text) ? [0, 1] : [0]);

/** A document with what a command prints now in the place of what it shows. */
function rewritten(document: string, { text, output = "" }: Command, printed: string): string {
  const at = document.indexOf(`$ ${text}\n`);
  const margin = /[^\n]*$/.exec(document.slice(0, at))?.[0] ?? "";
  const lines = (all: string) => all.replace(/^(?=.)/gm, margin);
  return document.slice(0, at) + document.slice(at).replace(lines(output), () => lines(printed.trimEnd()));
}

for (const { name, text } of documents) {
  const here = commandsIn(text).filter((one) => !elsewhere.some((entry) => isElsewhere(entry, name, one.text)));
  if (here.length === 0) continue;
  const document = suite(name);
  let folder: Folder;
  let written = text;
  document.before(() => {
    folder = new Folder(name);
  });
  document.after(() => {
    folder.remove();
    if (written !== text) writeFileSync(join(root, name), written);
  });
  for (const command of here) {
    document(`line ${command.line}: ${command.text}`, () => {
      const { status, stdout, stderr } = folder.execute(command.text);
      const { output } = command;
      // Where a document shows how a command is refused, that stands on stderr.
      if (status === 1 && output !== undefined && isShown(output, stderr)) return;
      assert.ok(codesOf(command).includes(status ?? -1), `${name}:${command.line}: ${status} ${stdout}${stderr}`);
      if (output === undefined || isShown(output, stdout)) return;
      assert.not(/^ *\[\.\.\.\]$/m.test(output), `${name}:${command.line} prints\n${stdout}`);
      if (isWriting) written = rewritten(written, command, stdout);
      else assert.is(stdout, output, `${name}:${command.line}`);
    });
  }
  document.run();
}

test("what is run elsewhere is in a document, and is run there", () => {
  for (const entry of elsewhere) {
    const found = documents.some(({ name, text }) =>
      commandsIn(text).some((one) => isElsewhere(entry, name, one.text)),
    );
    assert.ok(found, `no document has ${entry.command}`);
    const [file, piece] = entry.runBy;
    assert.ok(readFileSync(join(root, file), "utf8").includes(piece), `${file} has ${piece}`);
  }
});

/** What changes a machine, or asks for a device or its kernel. */
const ofMachine =
  /^(?:modprobe|insmod|chown|echo|sysctl) |^(?:ls|cat|readlink) \/(?:sys|dev)\b|--kernel linux|\blinux 0000:|npm run test:hardware|^dma-window (?:devices 0000|bind|unbind)\b|--root \/host/;

test("what needs root, a device or a module is run in a guest, out of the document, and by a shell", () => {
  for (const { name, text } of documents) {
    for (const command of commandsIn(text).filter((one) => ofMachine.test(one.text))) {
      const entries = elsewhere.filter((entry) => isElsewhere(entry, name, command.text));
      assert.ok(
        entries.some(({ machines = [] }) => machines.length > 0),
        `${name}:${command.line}: ${command.text}`,
      );
    }
  }
  for (const { needs, machines, command, runBy } of elsewhere) {
    const isOfGuest = /\b(?:root|devices?|IOMMU|modules?|memory)\b/.test(needs);
    assert.is(machines !== undefined, isOfGuest, `${command} needs ${needs}`);
    if (machines !== undefined) assert.match(runBy[0], /^test\/kernels\/guest\/documents-/);
  }
});

test("a guest knows what holds after each command that it runs, and runs each that it knows of", () => {
  for (const machine of ["x86", "powernv", "pseries"] as const) {
    const known = scenesOf(machine).flatMap(({ document, steps }) =>
      Object.keys(steps).map((text) => `${document}: ${text}`),
    );
    const run = commandsFor(machine).map(({ document, text }) => `${document}: ${text}`);
    assert.equal(known.sort(), [...new Set(run)].sort(), machine);
    assert.ok(
      guests.some((guest) => guest.machine === machine && guest.parts.some(({ name }) => name === "documents")),
    );
  }
});

/** What stands in a document for what a user has. */
const PLACEHOLDERS: Readonly<Record<string, string>> = {
  ADDRESS: "0000:01:00.0",
  COMMAND: "run",
  FILE: "file.json",
  GROUP: "26",
  LINE: "cannot set up DMA remapping, error 12",
  N: "1",
};

const scripts = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).scripts as Readonly<
  Record<string, string>
>;

/** Why a command that is not run cannot be right, as far as its words tell. */
function wrongIn(text: string): string | undefined {
  const words = wordsOf(text).map((word) => PLACEHOLDERS[word] ?? word);
  if (words[0] === "npx") words.shift();
  const [program, first = ""] = words;
  if (program === "npm" && first === "run") {
    const script = words.slice(2).find((word) => !word.startsWith("-")) ?? "";
    return script in scripts ? undefined : `there is no script ${script}`;
  }
  if (program === "node" && /^(?:dist|examples|shim|test|tools)\//.test(first))
    return existsSync(join(root, first)) ? undefined : `there is no ${first}`;
  if (program !== "dma-window") return undefined;
  try {
    // A value that is left out, as in a sentence about the option, is no mistake.
    parseCommandLine(words.slice(1).concat(/^--(?:trace|machine)$/.test(words.at(-1) ?? "") ? ["file"] : []));
    return undefined;
  } catch (error) {
    return String(error);
  }
}

test("commands that are not run, and those in sentences, name commands, options, scripts and files that there are", () => {
  const bare = /^dma-window (?:show|replay|bind|unbind|exec|explain)$/;
  for (const { name, text } of documents) {
    for (const command of [...commandsIn(text).map((one) => one.text), ...mentionedIn(text)]) {
      if (!bare.test(command)) assert.is(wrongIn(command), undefined, `${name}: ${command}`);
    }
  }
});

test.run();
