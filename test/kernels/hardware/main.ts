/**
 * The tests of the guests on this machine, which is somebody's: `DMA_WINDOW_GROUP=26 npm run test:hardware`. Of the machine
 * only the named groups are used, as they are bound already, and hugepages that are free.
 */
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { linuxKernel } from "../../../src/linux/index.ts";
import { readHugepages } from "../../../src/system/hugepages.ts";
import type { Event } from "../console.ts";
import type { Found } from "../guest/machine.ts";
import { type Guest, guests, type Part } from "../guests.ts";
import { Account, type GuestReport } from "../report.ts";
import { textOf } from "../report-text.ts";
import { fromSystem, groupsIn } from "./machine.ts";
import { differenceFromModel } from "./model.ts";
import { type HardwareOptions, hardwareOptionsFrom, usage } from "./options.ts";
import { partsOn } from "./parts.ts";
import { problemsOf, theseCircumstances } from "./problems.ts";
import { environment, programs } from "./programs.ts";
import { ownersOf, runPart } from "./run.ts";

type Say = (line: string) => void;

/** What a shell calls the end by SIGINT. */
const INTERRUPTED = 130;

/** Some rows set a limit that is above the hard one of a login. Only root may raise it, and what wants that is for root. */
const RAISED = 'ulimit -H -l unlimited 2> /dev/null || :; exec "$@"';

/** `include/linux/panic.h`: the kernel has met an Oops, or has warned of something. */
const [TAINT_DIE, TAINT_WARN] = [1 << 7, 1 << 9];

process.exitCode = await main(process.argv.slice(2));

async function main(parameters: readonly string[]): Promise<number> {
  let say: Say = (line) => process.stdout.write(`${line}\n`);
  let options: HardwareOptions;
  let found: Found;
  let parts: readonly Part[];
  try {
    options = hardwareOptionsFrom(parameters);
    if (options.json) say = (line) => process.stderr.write(`${line}\n`);
    if (options.help) {
      say(usage);
      return 0;
    }
    const asked = process.env.DMA_WINDOW_GROUP;
    if (!asked) throw new Error(`DMA_WINDOW_GROUP names no group.\n\n${usage}`);
    const groups = groupsIn(asked);
    const problems = problemsOf(groups, options.parts, theseCircumstances());
    if (problems.length > 0) throw new Error(problems.join("\n"));
    found = fromSystem(groups, linuxKernel());
    parts = partsFor(found, options.parts, say);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    return 2;
  }
  const report = await run(found, parts, say);
  if (report === undefined) return INTERRUPTED;
  say(`\n${textOf([report])}`);
  if (options.json) process.stdout.write(`${JSON.stringify({ guests: [report] }, null, 1)}\n`);
  return report.failures.length === 0 ? 0 : 1;
}

/** The guest that is such a machine, emulated. */
function likeness({ machine }: Found): Guest {
  return guests.find((guest) => guest.machine === machine.machine) as Guest;
}

/** The parts that can be run here; says of every other why it cannot. */
function partsFor(found: Found, named: readonly string[], say: Say): readonly Part[] {
  const { machine, devices } = found;
  say(
    `${machine.name}: ${wordFor(machine.machine)}, Linux ${readFileSync("/proc/sys/kernel/osrelease", "utf8").trim()}`,
  );
  for (const { name, group, isEdu } of devices)
    say(
      `group ${group}: ${name}${isEdu ? ", which does DMA where it is told" : ", which is not opened, and so not reset"}`,
    );
  for (const [shift, count] of machine.hugepages) say(`hugepages of ${2 ** (shift - 20)} MiB: ${count} to spare`);
  if (devices.length === 1) say("one group: what needs two is left out");
  const all = likeness(found).parts.filter(({ name }) => named.includes(name));
  const { parts, leftOut } = partsOn(found, all, () => differenceFromModel(linuxKernel(), found));
  for (const reason of leftOut) say(reason);
  if (parts.length === 0) throw new Error("nothing is left to run");
  return parts;
}

function wordFor(machine: Guest["machine"]): string {
  return { powernv: "PowerNV, sPAPR TCE v2", pseries: "an LPAR, sPAPR TCE v2", x86: "type1", arm: "type1" }[machine];
}

/** Runs the parts one after the other; `undefined` when that was interrupted. */
async function run(found: Found, parts: readonly Part[], say: Say): Promise<GuestReport | undefined> {
  const seconds = parts.reduce((sum, part) => sum + part.seconds, 0);
  const guest = { ...likeness(found), name: hostname() };
  const account = new Account({ guest, name: guest.name, parts, cpus: 1, seconds });
  const take = (text: string) => {
    const shown = account.take(text);
    if (shown !== undefined) say(shown);
  };
  const event = (one: Event) => {
    const shown = account.note(one);
    if (shown !== undefined) say(shown);
  };
  const giveBack = ownersOf(found.devices.map(({ group }) => `/dev/vfio/${group}`));
  const [taintedBefore, hugepagesBefore] = [tainted(), freeHugepages()];
  const abort = new AbortController();
  const interrupt = () => abort.abort();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, interrupt);
  const began = Date.now();
  try {
    account.note({ kind: "up" });
    for (const part of parts) {
      say(`${part.name}, ${part.seconds} s at most`);
      const options = { seconds: part.seconds, env: environment(), line: take, aborted: abort.signal };
      const status = await runPart(
        "/bin/sh",
        ["-c", RAISED, "sh", process.execPath, programs.guest, part.name],
        options,
      );
      giveBack();
      if (abort.signal.aborted) {
        say(`interrupted in ${part.name}: what it had open is closed, and the nodes are whose they were`);
        return undefined;
      }
      event({ kind: "ended", part: part.name, status });
    }
  } finally {
    for (const signal of signals) process.off(signal, interrupt);
  }
  if ((taintedBefore & TAINT_DIE) !== 0)
    say("the kernel had met an Oops before this began: another would not be noticed");
  const added = tainted() & ~taintedBefore;
  const warned = (added & TAINT_WARN) !== 0;
  const message = warned ? "it did: see dmesg" : undefined;
  event({ kind: "test", name: "the kernel warned of nothing", ok: !warned, ...(message && { message }) });
  event({ kind: "off", tainted: added });
  for (const [size, before] of hugepagesBefore) {
    const after = freeHugepages().get(size) ?? 0;
    if (after < before)
      say(
        `of hugepages of ${size >> 10n} KiB, ${after} are free, and ${before} were: someone else has them, or these tests lost them`,
      );
  }
  return account.close({ how: "off" }, (Date.now() - began) / 1000);
}

/** Taints of the kernel as a mask; it has fewer than 31. */
function tainted(): number {
  return Number(readFileSync("/proc/sys/kernel/tainted", "utf8"));
}

/** By the bytes of a page. */
function freeHugepages(): ReadonlyMap<bigint, number> {
  return new Map(readHugepages().map(({ pageSize, free }) => [pageSize, free]));
}
