/**
 * The commands of the documents that need root, a device or a module: read out of the documents, and run as they stand there, by a
 * shell, each document in its order. What a document prints below one is compared. Names of a machine (addresses, numbers of groups)
 * are this one's.
 */
import { spawnSync } from "node:child_process";
import { appendFileSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import * as assert from "uvu/assert";
import type { ShownCommand } from "../../documents/in-guests.ts";
import { isShown } from "../../documents/shown.ts";
import { scenesOfPower } from "./documents-power.ts";
import { scenesOfX86, USER } from "./documents-x86.ts";
import { Door } from "./door.ts";
import { type GuestMachine, versionsHere } from "./machine.ts";
import { prepareModprobe } from "./modules.ts";
import { report, say, test } from "./say.ts";
import { addProgram, inNames, narrow, type Scene } from "./scenes.ts";

export function scenesOf(machine: GuestMachine["machine"]): readonly Scene[] {
  if (machine === "arm") return [];
  return machine === "x86" ? scenesOfX86 : scenesOfPower(machine);
}

/** What a package's user has: the bundles, by the names and at the places that the documents call them by. */
function install(): void {
  mkdirSync("/root/examples/nvme", { recursive: true });
  symlinkSync("/app/src/first-register.mjs", "/root/examples/first-register.mjs");
  symlinkSync("/app/src/nvme.mjs", "/root/examples/nvme/main.mjs");
  appendFileSync("/etc/passwd", `user:x:${USER}:${USER}::/root:/bin/sh\n`);
  addProgram("dma-window", 'exec node /app/src/cli.mjs "$@"');
  // What package.json has under this name, of the sources' bundle: the image has no npm.
  addProgram(
    "npm",
    '[ "$1 $2" = "run test:hardware" ] || exit 127\nshift 2\n[ "$1" = -- ] && shift\nexec node /app/src/hardware.mjs "$@"',
  );
}

export function documents(): void {
  report({ kind: "machine", ...versionsHere(), cpuPage: new Door().pageSize });
  const { machine } = JSON.parse(readFileSync("/app/guest.json", "utf8")) as GuestMachine;
  const commands = JSON.parse(readFileSync("/app/documents.json", "utf8")) as readonly ShownCommand[];
  prepareModprobe();
  install();
  const waiting = new Set(commands);
  for (const scene of scenesOf(machine)) {
    const end = scene.begin();
    try {
      for (const command of commands.filter(({ document }) => document === scene.document)) {
        waiting.delete(command);
        test(`${scene.document}:${command.line}: ${command.text}`, () => perform(command, scene));
      }
    } finally {
      end();
    }
  }
  test("each command of the documents that is for this machine was run", () =>
    assert.equal(
      [...waiting].map(({ document, line }) => `${document}:${line}`),
      [],
    ));
}

function perform({ text, output }: ShownCommand, { steps, names }: Scene): void {
  const step = steps[text];
  if (step === undefined) throw new Error("nobody here knows what holds afterwards");
  const undo = step.before?.();
  try {
    const own = names?.() ?? {};
    const command = inNames(own, text);
    const began = Date.now();
    const options = { cwd: "/root", encoding: "utf8", maxBuffer: 1 << 26 } as const;
    const { status, stdout, stderr } = spawnSync("/bin/sh", ["-c", command], options);
    const printed = stdout + stderr;
    say(`# ${command}\n${printed}# ${((Date.now() - began) / 1000).toFixed(1)} s`);
    assert.ok((step.codes ?? [0]).includes(status ?? -1), `${status}: ${stderr}`);
    const shown = output === undefined ? undefined : inNames(own, output);
    step.holds({ text: printed, stdout, shown });
    if (shown !== undefined && step.isCompared !== true)
      assert.ok(isShown(narrow(shown), narrow(printed)), `the document shows\n${shown}\nand this prints\n${printed}`);
  } finally {
    undo?.();
  }
}
