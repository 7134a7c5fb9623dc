/**
 * Requests held against a window, in a process of its own and in whichever engine runs this: for each line that says how often, the
 * nanoseconds that it took.
 *
 *     node --import tsx bench/rivals/check-child.ts COUNT SEED      or with bun
 */
import { createInterface } from "node:readline";
import { coreBuild } from "../../src/core.ts";
import { Random } from "../harness/random.ts";
import { inCore, requestsFor } from "../tables/requests.ts";

const [count, seed] = process.argv.slice(2).map(Number);
const { ours } = inCore("the core", coreBuild, requestsFor(count as number, new Random(seed as number)));
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${await ours.time(Number(line))}\n`);
}
