#!/usr/bin/env node
/** The command `dma-window`. Results go to stdout; everything else, to stderr. */
import { readFileSync } from "node:fs";
import { errorToJson } from "../error-json.ts";
import { DmaWindowError } from "../errors.ts";
import { plainPage } from "../explain/lines/plain.ts";
import type { DeviceLine } from "./device-line.ts";
import { bindCommand, devicesCommand, unbindCommand } from "./devices.ts";
import { docsCommand } from "./docs.ts";
import type { DocsLine } from "./docs-line.ts";
import { doctorCommand } from "./doctor.ts";
import { execCommand } from "./exec.ts";
import type { ExecLine } from "./exec-line.ts";
import { explainCommand } from "./explain.ts";
import type { ExplainLine } from "./explain-line.ts";
import { HELP, HELP_OF } from "./help.ts";
import { type CommandLine, parseCommandLine, type ReplayLine } from "./options.ts";
import { planCommand } from "./plan.ts";
import { replayCommand } from "./replay.ts";
import { runCommand } from "./run.ts";
import { say, UnwritableError } from "./say.ts";
import { showCommand } from "./show.ts";
import { UsageError } from "./usage.ts";
import { warnInOwnWords } from "./warnings.ts";

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** What has texts of others in it: names of files, notes of traces. */
function printPage(text: string): void {
  print(plainPage(text));
}

function version(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

function perform(
  line: CommandLine | ReplayLine | DeviceLine | DocsLine | ExplainLine | ExecLine,
): number | Promise<number> {
  switch (line.command) {
    case "run":
      return runCommand(line, print);
    case "plan":
      return planCommand(line, line.json ? print : printPage);
    case "show":
      return showCommand(line, print);
    case "replay":
      return replayCommand(line, line.json ? print : printPage);
    case "doctor":
      return doctorCommand(line, print);
    case "exec":
      return execCommand(line, (text) => process.stderr.write(`${plainPage(text)}\n`));
    case "explain":
      return explainCommand(line, (text) => say(`${text}\n`));
    case "docs":
      return docsCommand(line, (text) => say(`${text}\n`));
    case "devices":
      return devicesCommand(line, line.json ? print : printPage);
    case "bind":
      return bindCommand(line, line.json ? print : printPage);
    case "unbind":
      return unbindCommand(line, line.json ? print : printPage);
    case "help":
      print((HELP_OF[line.topic ?? ""] ?? HELP).trimEnd());
      return 0;
    case "version":
      print(version());
      return 0;
  }
}

/**
 * Errors that say themselves what to do are shown without a stack; others are defects of ours, and keep it. With --json a program is
 * told of what could not be done by a document, as it is of what could.
 */
function complain(error: unknown, json: boolean): number {
  if (error instanceof UnwritableError) return complainOfStdout(error.message);
  if (error instanceof UsageError) {
    process.stderr.write(`dma-window: ${plainPage(error.message)}\n(dma-window COMMAND --help shows the options)\n`);
    return 2;
  }
  // The library names its own options; here they are those of the command line.
  const inWords = (text: string) =>
    plainPage(text).replaceAll("noIommu: true", "--no-iommu").replaceAll("force: true", "--force");
  if (error instanceof DmaWindowError) process.stderr.write(`dma-window: ${inWords(error.message)} [${error.code}]\n`);
  else process.stderr.write(`dma-window: ${error instanceof Error ? error.stack : error}\n`);
  if (json) print(JSON.stringify({ error: errorToJson(error instanceof Error ? error : new Error(String(error))) }));
  return 1;
}

function complainOfStdout(why: string): 1 {
  process.stderr.write(`dma-window: the result could not be written: ${why}\n`);
  return 1;
}

/** A reader that has seen enough, as `head` has, is no error. A disk that is full is one. */
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") return;
  process.exitCode = complainOfStdout(error.message);
});

const words = process.argv.slice(2);
try {
  const line = parseCommandLine(words);
  if ("machine" in line) warnInOwnWords(line.machine.kernel === "model");
  process.exitCode = await perform(line);
} catch (error) {
  process.exitCode = complain(error, words.includes("--json"));
}
