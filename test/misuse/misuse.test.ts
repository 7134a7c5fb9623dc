/** Programs that misuse memory at random, each a process of its own: whatever they do, no signal ends one. */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { shimAvailable } from "../../src/linux/index.ts";
import { bundle } from "../kernels/bundle.ts";
import { addon } from "../shim/native.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const programs = Number(process.env.DMA_WINDOW_MISUSES ?? 8);
const steps = Number(process.env.DMA_WINDOW_MISUSE_STEPS ?? 1000);
const first = Number(process.env.DMA_WINDOW_SEED ?? Date.now() % 1e9);
const ends = ["return", "exit", "throw", "terminate"] as const;

interface Ended {
  readonly status: number | null;
  readonly signal: string | null;
  readonly said: string;
}

/** The program as one file, because threads of Node 20 load no TypeScript, with the core and the shim where it looks for them. */
async function place(name: string): Promise<{ readonly directory: string; readonly program: string }> {
  const directory = mkdtempSync(join(tmpdir(), "dma-window-misuse-"));
  mkdirSync(join(directory, "app"));
  symlinkSync(join(root, "dist"), join(directory, "dist"));
  const program = join(directory, "app/program.mjs");
  writeFileSync(program, await bundle(root, `test/misuse/${name}.ts`));
  return { directory, program };
}

function run(program: string, seed: number, end: string): Promise<Ended> {
  const env = {
    ...process.env,
    DMA_WINDOW_SHIM: addon,
  };
  const child = spawn(process.execPath, ["--expose-gc", program, String(seed), String(steps), end], { env });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (said += text));
  // A program that hangs is wrong too.
  const timer = setTimeout(() => child.kill("SIGUSR2"), 120_000);
  return new Promise((resolve) =>
    child.on("close", (status, signal) => {
      clearTimeout(timer);
      resolve({ status, signal, said });
    }),
  );
}

/** What they are for is to be done now and then by each, so that not all of it was refused. */
const KINDS = {
  program: ["memory", ["allocate", "bytes", "free", "freeInFlight"]],
  devices: ["registers and events", ["map", "accessGone", "move", "unmap", "raise", "heard", "listen", "worker"]],
  heaps: ["heaps and pools", ["alloc", "get", "keep", "release", "token", "worker", "closeHeap"]],
} as const;

if (shimAvailable()) {
  for (const [name, [what, needed]] of Object.entries(KINDS))
    test(`${programs} programs that misuse ${what} end as they want to (DMA_WINDOW_SEED=${first})`, async () => {
      const { directory, program } = await place(name);
      try {
        const seeds = Array.from({ length: programs }, (_, i) => first + i);
        const done: Record<string, number> = {};
        const lane = async () => {
          for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
            const end = ends[seed % ends.length] as string;
            const { status, signal, said } = await run(program, seed, end);
            const how = `DMA_WINDOW_SEED=${seed} DMA_WINDOW_MISUSES=1 (${end}) was ended by ${signal ?? `code ${status}`}: ${said.slice(-500)}`;
            assert.is(signal, null, how);
            assert.is(status, end === "throw" ? 1 : 0, how);
            assert.match(said, /^ended$/m, how);
            const counts = JSON.parse(/^\{.*\}$/m.exec(said)?.[0] ?? "{}") as Record<string, number>;
            for (const [way, count] of Object.entries(counts)) done[way] = (done[way] ?? 0) + count;
          }
        };
        await Promise.all([lane(), lane()]);
        const rare = needed.filter((way) => (done[way] ?? 0) < programs);
        assert.equal(rare, [], JSON.stringify(done));
      } finally {
        rmSync(directory, { recursive: true });
      }
    });
} else {
  test("without the shim there is no memory that a program could misuse", () => assert.not(shimAvailable()));
}

test.run();
