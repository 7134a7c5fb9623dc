/** The real VFIO drivers, in emulated machines, under this library: `npm run test:kernels`. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, freemem, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { boot, type End } from "./boot.ts";
import { type Boot, bootsOf } from "./boots.ts";
import { bundle } from "./bundle.ts";
import { NothingToBeHad } from "./candidates.ts";
import { compareDisk, diskFacts, makeDisk } from "./disk.ts";
import type { Guest } from "./guests.ts";
import { cacheDirectory, installLine, missingPackages, thisHost, whyNot } from "./host.ts";
import { fileName, type Images, type Programs, Workshop } from "./images.ts";
import { type Options, optionsFrom, usage } from "./options.ts";
import { Account, type Equipment, type GuestReport, merged, notBooted } from "./report.ts";
import { textOf } from "./report-text.ts";
import { bootOnTerminal, luggage, shellOf } from "./shell.ts";

/**
 * Firmware and a kernel's start, which are not what is tested, fail now and then on a host that has too much to do; a kernel
 * that may crash may also stand still.
 */
const ATTEMPTS = 3;

const root = fileURLToPath(new URL("../..", import.meta.url));

process.exitCode = await main(process.argv.slice(2));

async function main(parameters: readonly string[]): Promise<number> {
  let options: Options;
  try {
    options = optionsFrom(parameters);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    return 2;
  }
  const say = (line: string) => (options.json ? process.stderr : process.stdout).write(`${line}\n`);
  if (options.help) {
    say(usage);
    return 0;
  }
  const host = thisHost();
  const architectures = options.chosen.map(({ architecture }) => architecture);
  const reason = whyNot(host);
  if (options.needs) {
    if (reason === undefined) process.stdout.write(`${missingPackages(host, architectures).join(" ")}\n`);
    return 0;
  }
  if (reason !== undefined) {
    say(`${options.insist ? "cannot" : "skipped"}: ${reason}`);
    if (options.json) process.stdout.write(`${JSON.stringify({ guests: [], skipped: reason })}\n`);
    return options.insist ? 2 : 0;
  }
  const missing = missingPackages(host, architectures);
  if (missing.length > 0) {
    say(`Programs are missing on this machine. As root:\n\n    ${installLine(missing)}\n`);
    return 2;
  }
  if (!existsSync(join(root, "dist/core.wasm"))) {
    say("dist/core.wasm is not there. Build it first: npm run build:core");
    return 2;
  }
  if (options.shell !== undefined) return await shell(options.shell, options, say);
  const reports = await run(options, say);
  say(`\n${textOf(reports)}`);
  if (options.json) process.stdout.write(`${JSON.stringify({ guests: reports }, null, 1)}\n`);
  return reports.every(({ failures }) => failures.length === 0) ? 0 : 1;
}

/** The library's programs, each in one piece. */
async function programsHere(): Promise<Programs> {
  return {
    guest: await bundle(root, "test/kernels/guest/main.ts"),
    conformance: await bundle(root, "test/conformance/guest.ts"),
    hardware: await bundle(root, "test/kernels/hardware/main.ts"),
    nvme: await bundle(root, "examples/nvme/main.mjs"),
    cli: await bundle(root, "src/cli/main.ts"),
    "first-register": await bundle(root, "examples/first-register.mjs"),
  };
}

function workshopFor(options: Options, say: (line: string) => void): Workshop {
  const cache = cacheDirectory();
  mkdirSync(cache, { recursive: true });
  return new Workshop(cache, root, options, say);
}

/** One guest for a person at this terminal. */
async function shell(guest: Guest, options: Options, say: (line: string) => void): Promise<number> {
  const workshop = workshopFor(options, say);
  try {
    await workshop.prepare(guest);
  } catch (error) {
    if (!(error instanceof NothingToBeHad)) throw error;
    say(error.message);
    return 1;
  }
  const programs = await programsHere();
  const at = mkdtempSync(join(tmpdir(), "kernels-"));
  try {
    const one = shellOf(guest);
    const images = await workshop.imagesOf(one, programs, at, await luggage(root, options.files));
    makeDisk(images.disk, diskFacts());
    say(`${guest.name} starts, which takes half a minute; \`exit\` turns it off, Ctrl-A X ends it at once`);
    return await bootOnTerminal(one, images);
  } finally {
    rmSync(at, { recursive: true, force: true });
  }
}

async function run(options: Options, say: (line: string) => void): Promise<GuestReport[]> {
  const began = Date.now();
  const workshop = workshopFor(options, say);
  const all = options.chosen.flatMap((guest) => bootsOf(guest, options.parts, options.patience));
  const wanted = options.chosen.filter((guest) => all.some((one) => one.guest === guest));
  const equipment = new Map<Guest, Equipment>();
  const absent = new Map<Guest, GuestReport>();
  for (const guest of wanted) {
    try {
      equipment.set(guest, await workshop.prepare(guest));
    } catch (error) {
      // The other guests can do without what this one needs.
      if (!(error instanceof NothingToBeHad)) throw error;
      absent.set(guest, notBooted(guest, error.message));
    }
  }
  const programs = await programsHere();
  say(`everything is there after ${seconds(began)} s (${cacheDirectory()})`);

  const at = mkdtempSync(join(tmpdir(), "kernels-"));
  const abort = new AbortController();
  const interrupt = () => abort.abort();
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  // What takes longest comes first, so that both lanes end at about the same time.
  const boots = all.filter(({ guest }) => equipment.has(guest)).sort((a, b) => b.seconds - a.seconds);
  try {
    const reports = await sideBySide(boots, async (one) => {
      const images = await workshop.imagesOf(one, programs, at);
      const started = Date.now();
      let { account, end } = await attempt(one, equipment.get(one.guest), images, abort.signal, say);
      for (let again = 1; again < ATTEMPTS && !abort.signal.aborted; again++) {
        if (account.isUp && !account.isUndecided) break;
        say(`[${one.name}] ${account.isUp ? "the row was not answered" : "Linux did not come up"}; once more`);
        ({ account, end } = await attempt(one, equipment.get(one.guest), images, abort.signal, say));
      }
      for (const text of judged(account, images)) say(`[${one.name}] ${text}`);
      const report = account.close(end, (Date.now() - started) / 1000);
      say(`[${one.name}] ${report.failures.length === 0 ? "passed" : "failed"} after ${seconds(started)} s`);
      if (report.failures.length > 0) {
        say(`[${one.name}] Its last words:`);
        for (const text of account.tail) say(`[${one.name}] > ${text}`);
      }
      if (options.keep) writeFileSync(join(at, `${fileName(one.name)}.log`), `${account.log.join("\n")}\n`);
      else for (const path of [images.initrd, images.disk, images.accesses, images.rom]) rmSync(path, { force: true });
      return { guest: one.guest, report };
    });
    return wanted.map((guest) => {
      const own = reports.filter((one) => one.guest === guest).map(({ report }) => report);
      return absent.get(guest) ?? merged(own);
    });
  } finally {
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
    if (options.keep) say(`images and logs are in ${at}`);
    else rmSync(at, { recursive: true, force: true });
  }
}

/** What the host sees of the disk, and of the controller's registers, when the machine is off. */
function judged(account: Account, { disk, accesses }: Images): string[] {
  const compared = account.noteDisk(compareDisk(disk, diskFacts(), account.written));
  const log = existsSync(accesses) ? readFileSync(accesses, "utf8") : "";
  return [...(compared === undefined ? [] : [compared]), ...account.noteAccesses(log)];
}

/** Boots once, and listens to what is said. */
async function attempt(
  one: Boot,
  equipment: Equipment | undefined,
  images: Images,
  aborted: AbortSignal,
  say: (line: string) => void,
): Promise<{ account: Account; end: End }> {
  const account = new Account(one, equipment);
  makeDisk(images.disk, diskFacts());
  const over = new AbortController();
  const end = await boot(one.guest, images, {
    cpus: one.cpus,
    seconds: one.seconds,
    aborted: AbortSignal.any([aborted, over.signal]),
    line: (text) => {
      const shown = account.take(text);
      if (shown !== undefined) say(`[${one.name}] ${shown}`);
      if (account.isOver) over.abort();
    },
  });
  return { account, end };
}

/** Two at a time where there are two processors, and memory for both and for the archives that are being put together. */
async function sideBySide<T>(boots: readonly Boot[], run: (one: Boot) => Promise<T>): Promise<T[]> {
  const needed = Math.max(0, ...boots.map(({ guest }) => guest.memoryMiB)) * 2 + 1024;
  const lanes = availableParallelism() > 1 && freemem() > needed * 2 ** 20 ? 2 : 1;
  const results: T[] = [];
  const waiting = boots.map((one, index) => ({ one, index }));
  const lane = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
      results[next.index] = await run(next.one);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return results;
}

function seconds(since: number): number {
  return Math.round((Date.now() - since) / 1000);
}
