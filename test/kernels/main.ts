/** The real VFIO drivers, in emulated machines, under this library: `npm run test:kernels`. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, freemem, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { boot } from "./boot.ts";
import { bundle } from "./bundle.ts";
import type { Guest } from "./guests.ts";
import { cacheDirectory, installLine, missingPackages, thisHost, whyNot } from "./host.ts";
import { Workshop } from "./images.ts";
import { type Options, optionsFrom, usage } from "./options.ts";
import { Account, type GuestReport, textOf } from "./report.ts";

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
  const reason = whyNot(host);
  if (reason !== undefined) {
    say(`skipped: ${reason}`);
    if (options.json) process.stdout.write(`${JSON.stringify({ guests: [], skipped: reason })}\n`);
    return 0;
  }
  const missing = missingPackages(host);
  if (missing.length > 0) {
    say(`Programs are missing on this machine. As root:\n\n    ${installLine(missing)}\n`);
    return 2;
  }
  if (!existsSync(join(root, "dist/core.wasm"))) {
    say("dist/core.wasm is not there. Build it first: npm run build:core");
    return 2;
  }
  const reports = await run(options, say);
  say(`\n${textOf(reports)}`);
  if (options.json) process.stdout.write(`${JSON.stringify({ guests: reports }, null, 1)}\n`);
  return reports.every(({ failures }) => failures.length === 0) ? 0 : 1;
}

async function run(options: Options, say: (line: string) => void): Promise<GuestReport[]> {
  const began = Date.now();
  const cache = cacheDirectory();
  mkdirSync(cache, { recursive: true });
  const workshop = new Workshop(cache, root, say);
  await workshop.prepare(options.chosen);
  const programs = {
    guest: await bundle(root, "test/kernels/guest/main.ts"),
    conformance: await bundle(root, "test/conformance/guest.ts"),
  };
  say(`everything is there after ${seconds(began)} s (${cache})`);

  const at = mkdtempSync(join(tmpdir(), "kernels-"));
  const abort = new AbortController();
  const interrupt = () => abort.abort();
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  try {
    return await sideBySide(options.chosen, async (guest) => {
      const parts = guest.parts.filter(({ name }) => options.parts?.includes(name) ?? true);
      const images = await workshop.imagesOf(guest, programs, parts, at);
      const account = new Account(
        guest,
        parts.map(({ name }) => name),
      );
      const started = Date.now();
      const end = await boot(guest, images, {
        seconds: guest.seconds,
        aborted: abort.signal,
        line: (text) => {
          const shown = account.take(text);
          if (shown !== undefined) say(`[${guest.name}] ${shown}`);
        },
      });
      const report = account.close(end, (Date.now() - started) / 1000);
      if (report.failures.length > 0) {
        say(`[${guest.name}] failed. Its last words:`);
        for (const text of account.tail) say(`[${guest.name}] > ${text}`);
      }
      if (options.keep) writeFileSync(join(at, `${guest.name}.log`), `${account.log.join("\n")}\n`);
      else rmSync(images.initrd);
      return report;
    });
  } finally {
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
    if (options.keep) say(`images and logs are in ${at}`);
    else rmSync(at, { recursive: true, force: true });
  }
}

/** Two at a time where there are two processors, and memory for both and for the archives that are being put together. */
async function sideBySide<T>(guests: readonly Guest[], run: (guest: Guest) => Promise<T>): Promise<T[]> {
  const needed = Math.max(...guests.map(({ memoryMiB }) => memoryMiB)) * 2 + 1024;
  const lanes = availableParallelism() > 1 && freemem() > needed * 2 ** 20 ? 2 : 1;
  const results: T[] = [];
  const waiting = guests.map((guest, index) => ({ guest, index }));
  const lane = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
      results[next.index] = await run(next.guest);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return results;
}

function seconds(since: number): number {
  return Math.round((Date.now() - since) / 1000);
}
