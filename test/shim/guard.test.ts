/**
 * The guard of register accesses, and what becomes of every other SIGBUS: each in a process of its own. The registers are a file
 * that was cut off, which raises the same signal as a device whose memory is switched off.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { addon, withShim } from "./native.ts";

const prelude = `
  const fs = require("node:fs");
  const { Worker, isMainThread } = require("node:worker_threads");
  const say = (text) => fs.writeSync(1, text + "\\n");
  const shim = () => require(process.env.ADDON);
  // Node takes back that a signal is ignored when it starts: the library of sigbus/ comes later.
  try { if (process.env.LIBRARY) process.dlopen({ exports: {} }, process.env.LIBRARY); } catch {} // it is no addon
  /** Registers that are gone, and the whole of what an access answers. */
  const gone = () => {
    const path = process.env.DIRECTORY + "/" + process.pid + "-" + Math.random();
    const fd = fs.openSync(path, "w+");
    fs.ftruncateSync(fd, 4096);
    const registers = shim().mapRegisters(fd, 0n, 4096);
    fs.ftruncateSync(fd, 0);
    fs.unlinkSync(path);
    return { registers, fd };
  };
  const isGuarded = ({ registers }) => shim().readRegister32(registers, 0) === -5 && shim().writeRegister8(registers, 1, 1) === -5;
  /** A SIGBUS of somebody else's: ours is of the shim's own instructions only. */
  const touch = ({ registers }) => shim().read(shim().addressOfRegisters(registers), new Uint8Array(8));
`;

withShim(
  () => {
    const directory = mkdtempSync(join(tmpdir(), "dma-window-guard-"));
    test.after(() => rmSync(directory, { recursive: true }));

    /** How it ended, and what it said. */
    const observe = (program: string, more: Readonly<Record<string, string>> = {}) => {
      const env = { ...process.env, ADDON: addon, DIRECTORY: directory, ...more };
      const { status, signal, stdout, stderr } = spawnSync(process.execPath, ["-e", prelude + program], {
        encoding: "utf8",
        env,
        timeout: 60_000,
      });
      return { ended: signal ?? status, said: stdout.trim().split("\n").filter(Boolean), stderr };
    };
    const ends = (
      program: string,
      ended: unknown,
      said: readonly string[],
      more: Readonly<Record<string, string>> = {},
    ) => {
      const observed = observe(program, more);
      assert.equal([observed.ended, observed.said], [ended, said], observed.stderr);
    };

    test("an access to registers that are gone is answered, and any other to the same memory ends the process as ever", () => {
      ends("const r = gone(); say(isGuarded(r)); touch(r); say('alive');", "SIGBUS", ["true"]);
    });

    test("a SIGBUS that is sent ends the process as ever", () => {
      ends("say(isGuarded(gone())); process.kill(process.pid, 'SIGBUS'); setTimeout(say, 5000, 'alive');", "SIGBUS", [
        "true",
      ]);
    });

    test("a program that listens to SIGBUS goes on hearing of those that are sent", () => {
      const program = `
        process.on("SIGBUS", () => { say("heard"); say(isGuarded(r)); process.exit(3); });
        const r = gone();
        say(isGuarded(r));
        process.kill(process.pid, "SIGBUS");
        setTimeout(() => {}, 5000);`;
      ends(program, 3, ["true", "heard", "true"]);
    });

    test("after a listener of the program's has come and gone the next mapping is guarded again, and so is the former", () => {
      const program = `
        const first = gone();
        const listener = () => {};
        process.on("SIGBUS", listener);
        process.off("SIGBUS", listener);
        const second = gone();
        say([isGuarded(second), isGuarded(first)].join());
        touch(second);`;
      ends(program, "SIGBUS", ["true,true"]);
    });

    test("a thread that alone had loaded the shim leaves the signal as it was, also when it is over", () => {
      const program = `
        const worker = new Worker(process.env.PRELUDE + "say(isGuarded(gone()))", { eval: true });
        worker.on("exit", () => { process.kill(process.pid, "SIGBUS"); setTimeout(say, 5000, "alive"); });`;
      ends(program, "SIGBUS", ["true"], { PRELUDE: prelude });
    });

    test("threads are guarded at once, each in the middle of the others' accesses", () => {
      const part =
        "const r = gone(); let good = true; for (let i = 0; i < 20000; i++) good &&= isGuarded(r); say(good);";
      const program = `
        for (let i = 0; i < 4; i++) new Worker(process.env.PRELUDE + process.env.PART, { eval: true });
        eval(process.env.PART);`;
      ends(program, 0, Array(5).fill("true"), { PRELUDE: prelude, PART: part });
    });

    const library = join(directory, "handler.so");
    const source = fileURLToPath(new URL("./sigbus/handler.c", import.meta.url));
    const compiled = spawnSync("cc", ["-shared", "-fPIC", "-Wl,-z,nodelete", "-o", library, source], {
      encoding: "utf8",
    });
    if (compiled.error !== undefined) return;

    const touched = "const r = gone(); say(isGuarded(r)); touch(r); say('alive');";
    const sent = "say(isGuarded(gone())); process.kill(process.pid, 'SIGBUS'); setTimeout(say, 100, 'alive');";
    const rows: readonly [handler: string, program: string, ended: unknown, said: readonly string[]][] = [
      ["siginfo", touched, 42, ["true", "siginfo: adrerr"]],
      ["siginfo", sent, 42, ["true", "siginfo"]],
      ["plain", touched, 42, ["true", "plain"]],
      ["plain", sent, 42, ["true", "plain"]],
      // It comes back from the handler to the same instruction, and to the default.
      ["once", touched, "SIGBUS", ["true", "once"]],
      ["once", sent, 0, ["true", "once", "alive"]],
      ["ignore", touched, "SIGBUS", ["true"]],
      ["ignore", sent, 0, ["true", "alive"]],
    ];
    for (const [handler, program, ended, said] of rows) {
      const how = program === sent ? "is sent" : "comes of an access";
      test(`a handler that was there before (${handler}) gets a SIGBUS that ${how}`, () => {
        assert.is(compiled.status, 0, compiled.stderr);
        ends(program, ended, said, { HANDLER: handler, LIBRARY: library });
      });
    }
  },
  "registers()",
  (kernel) => kernel.registers?.(0, 0n, 4096),
);

test.run();
