/** The watch over a machine, with a shell in the place of QEMU: how its end is told. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { boot, type End } from "./boot.ts";
import { type Guest, guests } from "./guests.ts";

const images = { kernel: "/kernel", initrd: "/initrd", disk: "/disk", accesses: "/accesses", rom: "/rom" };

/** A machine that does what a script says. */
function machine(script: string): Guest {
  const guest = guests[0] as Guest;
  return { ...guest, architecture: { ...guest.architecture, qemu: "/bin/sh" }, arguments: ["-c", script] };
}

async function run(script: string, seconds = 20, aborted = new AbortController().signal) {
  const lines: string[] = [];
  const began = Date.now();
  const end: End = await boot(machine(script), images, { cpus: 1, seconds, line: (text) => lines.push(text), aborted });
  return { end, lines, took: Date.now() - began };
}

test("a machine that goes off by itself is off, and its lines were heard, QEMU's own as such", async () => {
  const { end, lines } = await run("echo one; printf two; echo wrong >&2");
  assert.equal(end, { how: "off" });
  assert.equal(lines.sort(), ["QEMU: wrong", "one", "two"]);
});

test("a machine that fails says how", async () => {
  assert.equal((await run("exit 3")).end, { how: "failed", status: "exit code 3" });
  assert.equal((await run("kill -ABRT $$")).end, { how: "failed", status: "SIGABRT" });
});

test("a machine that hangs is stopped when its time is over", async () => {
  const { end, took } = await run("exec sleep 60", 0.2);
  assert.equal(end, { how: "stopped" });
  assert.ok(took < 10_000, `${took} ms`);
});

test("a machine is stopped at once when the user wants it", async () => {
  const abort = new AbortController();
  setTimeout(() => abort.abort(), 100);
  const { end, took } = await run("exec sleep 60", 60, abort.signal);
  assert.equal(end, { how: "stopped" });
  assert.ok(took < 10_000, `${took} ms`);
});

test("no machine is started any more when the user has ended the run", async () => {
  const { end, lines, took } = await run("echo started; exec sleep 60", 60, AbortSignal.abort());
  assert.equal([end, lines], [{ how: "stopped" }, []]);
  assert.ok(took < 10_000, `${took} ms`);
});

test("a machine whose firmware takes its time after the last word is off all the same", async () => {
  const { end, took } = await run('echo "[ 1.0] reboot: Power down"; exec sleep 60');
  assert.equal(end, { how: "off" });
  assert.ok(took < 20_000, `${took} ms`);
});

test("an emulator that is not there is a failure and not a crash", async () => {
  const guest = machine("");
  const absent = { ...guest, architecture: { ...guest.architecture, qemu: "/nonexistent/qemu" } };
  const end = await boot(absent, images, {
    cpus: 1,
    seconds: 5,
    line: () => {},
    aborted: new AbortController().signal,
  });
  assert.is(end.how, "failed");
});

test.run();
