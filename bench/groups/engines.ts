/** The core in a second engine that optimises: JavaScriptCore, which Bun brings. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { bun } from "../../test/engines/binaries.ts";
import { row } from "../harness/goals.ts";
import { type Bench, fastest, figures, type Group, type Outcome } from "../harness/group.ts";
import type { Contender } from "../harness/rounds.ts";

const COUNT = 65536;
const program = fileURLToPath(new URL("../rivals/check-child.ts", import.meta.url));

/** A process that does the work when it is told how often, and its end. */
function inProcess(
  name: string,
  command: string,
  parameters: readonly string[],
): { contender: Contender; end(): void } {
  const child = spawn(command, parameters, { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  child.stdin.on("error", () => {}); // it has ended; that there is no answer says so
  return {
    contender: {
      name,
      time: async (repeats) => {
        child.stdin.write(`${repeats}\n`);
        const took = Number((await lines.next()).value);
        if (!(took > 0)) throw new Error(`${name} ended without an answer`);
        return took;
      },
    },
    end: () => child.stdin.end(),
  };
}

async function run(bench: Bench): Promise<Outcome> {
  let engine: ReturnType<typeof bun>;
  try {
    engine = bun();
  } catch (error) {
    bench.leaveOut(`a second engine: ${(error as Error).message}`);
    return { figures: [], rows: [] };
  }
  const work = [program, String(COUNT), String(bench.random.below(2 ** 32))];
  const processes = [
    inProcess(`Bun ${engine.version}, JavaScriptCore`, engine.command, work),
    inProcess(`Node ${process.versions.node}, V8`, process.execPath, ["--import", "tsx", ...work]),
  ];
  try {
    const contenders = processes.map(({ contender }) => contender);
    const found = figures(await bench.compete("engines", contenders), COUNT);
    const [ours, rival] = [fastest(found, "Bun"), fastest(found, "Node")];
    const rows =
      ours && rival ? [row("check-batch-64k-bun-vs-node", ours.minimum, rival.minimum, rival.contender)] : [];
    return { figures: found, rows };
  } finally {
    for (const one of processes) one.end();
  }
}

export const engines: Group = {
  name: "engines",
  title: "64k requests held against a window by the core, in two engines",
  unit: "ns per request",
  rows: ["check-batch-64k-bun-vs-node"],
  run,
};
