/** Tokens are of one process: another one has no way to the memory, and says so in words. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { linuxMemory } from "../../src/linux/index.ts";
import { ready } from "../heap/ready.ts";
import { KiB, MiB } from "../support/program.ts";

const test = suite("tokens in another process");
const memory = linuxMemory();
const path = fileURLToPath(new URL("programs/other-process.mjs", import.meta.url));

async function ask(child: ChildProcess, kind: string, token: object): Promise<{ code: string; message: string }> {
  const answer = once(child, "message");
  // JSON takes no bigint, and what is in a token may be sent in any way.
  child.send(
    JSON.parse(JSON.stringify({ kind, token }, (_, value) => (typeof value === "bigint" ? `${value}` : value))),
  );
  const [said] = await answer;
  return said as { code: string; message: string };
}

if (memory !== undefined) {
  test("are refused there, and good here afterwards", async () => {
    const { heap } = ready({}, { memory }, { pageSize: 4n * KiB, maxBytes: 16n * MiB });
    const pool = heap.sharedPool({ size: 64, count: 16, workers: 2 });
    const tokens = { pool: pool.token(), heap: heap.lend(4096), remote: heap.remote() };
    const child = fork(path, { execArgv: [] });
    try {
      for (const [kind, token] of Object.entries(tokens)) {
        const { code, message } = await ask(child, kind, token);
        assert.is(code, "ERR_INVALID_ARG_TYPE", kind);
        assert.match(message, /same process/);
      }
    } finally {
      child.kill();
    }
    // With the other way of sending it does not even leave.
    const cloning = fork(path, { execArgv: [], serialization: "advanced" });
    try {
      for (const token of Object.values(tokens)) assert.throws(() => cloning.send({ token }), /could not be cloned/);
    } finally {
      cloning.kill();
    }
    assert.equal(
      pool.workers.map(({ state }) => state),
      ["reserved"],
    );
    pool.recover(tokens.pool.worker);
    heap.recover(tokens.heap.loan);
    heap.close({ force: true });
  });
}

test.run();
