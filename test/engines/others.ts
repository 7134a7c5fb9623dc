/**
 * What Bun and Deno answer beside Node: the main job, the examples, the core, and memory of this machine through the shim. Smoke: an
 * answer that is not Node's, to the letter, is a failure.
 *
 *     npm run test:engines
 *     npm run test:engines -- --machines    the prebuilt shims instead, on processors and a C library that are not this machine's
 *     npm run test:engines -- --needs       the Debian packages that are missing for that
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { installLine } from "../kernels/host.ts";
import { bun, deno, type Engine } from "./binaries.ts";
import { machines, missingPackages } from "./machines.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const platforms = ["powernv", "pseries", "type1", "noiommu"];
const here: Engine = { name: "Node", command: process.execPath, parameters: [], version: process.versions.node };

interface Job {
  readonly name: string;
  readonly words: readonly string[];
}

const jobs: readonly Job[] = [
  ...platforms.map((platform) => ({
    name: `dma-window run, ${platform}`,
    words: ["dist/cli/main.js", "run", "--json", "--seed", "1", "--steps", "400", "--platform", platform],
  })),
  ...["static-window", "ring", "test-on-the-model", "first-driver"].flatMap((example) =>
    platforms.map((platform) => ({
      name: `${example}, ${platform}`,
      words: [`examples/${example}.mjs`, platform],
    })),
  ),
  { name: "the core", words: ["test/engines/programs/core.mjs"] },
  ...(existsSync(join(root, "build/Release/vfio_shim.node"))
    ? [
        { name: "memory through the shim", words: ["test/engines/programs/shim.mjs"] },
        { name: "registers and eventfds through the shim", words: ["test/engines/programs/devices.mjs"] },
        { name: "a socket that reads into memory", words: ["test/engines/programs/socket.mjs"] },
      ]
    : []),
];

/** What a program says, and how it ended where that was not well. Addresses of this process are no answer. */
function answerOf({ command, parameters, env }: Engine, { words }: Job): string {
  const { status, signal, stdout, stderr } = spawnSync(command, [...parameters, ...words], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, ...env },
    timeout: 300_000,
  });
  const said = stdout
    // Of programs, which lie elsewhere under an emulator.
    .replaceAll(/0x[0-9a-f]{10,12}\b/g, "0x7...")
    // V8 has no SIMD on every processor.
    .replace(/^core(\.scalar)? [01] /, "core ")
    .replaceAll(/"nanosecondsPerStep":\d+/g, '"nanosecondsPerStep":0');
  return status === 0
    ? said
    : `${said}ended with ${signal ?? status}: ${stderr.trim().split("\n").slice(0, 12).join("\n")}`;
}

/** The jobs in which an engine answers otherwise. */
function differences(engine: Engine, expected: ReadonlyMap<Job, string>): string[] {
  return [...expected].flatMap(([job, answer]) => {
    const given = answerOf(engine, job);
    return given === answer ? [] : [`${job.name}\n  Node:  ${answer.trim()}\n  ${engine.name}: ${given.trim()}`];
  });
}

/** The answers of Node on this machine, which have to be good. */
function expectedOf(wanted: readonly Job[]): ReadonlyMap<Job, string> {
  const expected = new Map(wanted.map((job) => [job, answerOf(here, job)]));
  for (const [{ name }, answer] of expected) {
    if (!answer.includes("ended with ")) continue;
    console.log(`${name}, on Node ${here.version}: ${answer}`);
    process.exitCode = 1;
  }
  return expected;
}

function compare(fetched: () => Engine, expected: ReadonlyMap<Job, string>): void {
  try {
    const begun = performance.now();
    const engine = fetched();
    const found = differences(engine, expected);
    const seconds = ((performance.now() - begun) / 1000).toFixed(0);
    const good = `${expected.size - found.length} of ${expected.size} programs answer as on Node ${here.version}`;
    console.log(`${engine.name} ${engine.version}: ${good}, ${seconds} s`);
    for (const one of found) console.log(`- ${one}`);
    if (found.length > 0) process.exitCode = 1;
  } catch (error) {
    console.log(`not run: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}

function onMachines(): void {
  const missing = missingPackages();
  if (missing.length > 0) {
    console.log(`Programs are missing on this machine. As root:\n\n    ${installLine(missing)}\n`);
    process.exitCode = 2;
    return;
  }
  // Emulation is slow: the main job, the core, and all that goes through the shim.
  const expected = expectedOf(jobs.filter(({ name }) => /run,|core|shim|socket/.test(name)));
  for (const machine of machines) {
    const { name, shim, lacks } = machine;
    if (!existsSync(shim)) {
      console.log(`not run: ${name}: there is no ${shim} (npm run prebuild)`);
      process.exitCode = 1;
      continue;
    }
    for (const [job, why] of Object.entries(lacks)) console.log(`left out: ${job}, on ${name}: ${why}`);
    compare(() => machine.engine(), new Map([...expected].filter(([job]) => !(job.name in lacks))));
  }
}

if (process.argv.includes("--needs")) console.log(missingPackages().join(" "));
else if (process.argv.includes("--machines")) onMachines();
else {
  if (!jobs.some(({ name }) => name.includes("shim"))) console.log("the shim is not built: its job is left out");
  const expected = expectedOf(jobs);
  for (const fetched of [bun, deno]) compare(fetched, expected);
}
