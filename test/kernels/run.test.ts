import { tmpdir } from "node:os";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { persist, Refused, run } from "./run.ts";

const sh = (script: string, seconds = 20) => run({ program: "sh", args: ["-c", script], cwd: tmpdir(), seconds });

function failureOf(call: () => unknown): Error {
  try {
    call();
  } catch (error) {
    return error as Error;
  }
  throw new Error("it did not fail");
}

test("what a program prints is given back, and it has no input to wait for", () => {
  assert.match(sh("cat; echo out; echo err >&2"), /^out\n\nerr\n$/);
});

test("a program that hangs is stopped, and so is one whose child hangs on", () => {
  for (const script of ["exec sleep 60", "sleep 60 & sleep 60"]) {
    const began = Date.now();
    const error = failureOf(() => sh(script, 0.2));
    assert.match(error.message, /^sh was stopped after 0.2 s without an answer$/);
    assert.not.instance(error, Refused);
    assert.ok(Date.now() - began < 30_000);
  }
});

test("a no is told from what may pass", () => {
  const error = failureOf(() =>
    sh("echo 'E: Failed to fetch http://m/p.deb  404  Not Found [IP: 192.0.2.1 80]' >&2; exit 100"),
  );
  assert.instance(error, Refused);
  assert.is(error.message, "Failed to fetch http://m/p.deb 404 Not Found");
  assert.not.instance(
    failureOf(() => sh("echo 'E: Failed to fetch http://m/p.deb  Hash Sum mismatch' >&2; exit 100")),
    Refused,
  );
  assert.not.instance(
    failureOf(() => sh("exit 1")),
    Refused,
  );
  assert.instance(
    failureOf(() => run({ program: "no-such-program", args: [], cwd: tmpdir(), seconds: 1 })),
    Refused,
  );
});

test("what may pass is tried three times, a no once", async () => {
  const attempts = async (error: Error) => {
    let count = 0;
    const attempt = () => {
      count++;
      throw error;
    };
    await persist("it", attempt, { say: () => {}, pauseMs: 1 }).catch(() => {});
    return count;
  };
  assert.is(await attempts(new Error("torn")), 3);
  assert.is(await attempts(new Refused("404")), 1);
});

test.run();
