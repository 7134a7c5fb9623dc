/** Eventfds, and who hears of them. What ends a thread or the process is in one of its own. */
import { spawnSync } from "node:child_process";
import { closeSync, openSync, readdirSync, writeSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { linuxKernel } from "../../src/linux/index.ts";
import type { Listening, Syscalls } from "../../src/syscalls.ts";
import { addon, errno, withShim } from "./native.ts";

/** Counts up an eventfd, as a device does. */
function raise(fd: number, count = 1): void {
  writeSync(fd, new Uint8Array(new BigUint64Array([BigInt(count)]).buffer));
}

/** Waits until it is so; what never becomes so ends the test. */
async function until(isSo: () => boolean): Promise<void> {
  for (let i = 0; !isSo(); i++) {
    if (i > 5000) throw new Error(`not so after five seconds: ${isSo}`);
    await pause(1);
  }
}

withShim(
  () => {
    const kernel = linuxKernel() as { [K in keyof Syscalls]-?: NonNullable<Syscalls[K]> };
    const listen = (fd: number, listener: (count: number) => void): Listening => {
      const listening = kernel.listen(fd, listener);
      assert.type(listening, "object");
      return listening as Listening;
    };
    const descriptors = () => readdirSync("/proc/self/fd").length;
    const threads = () => readdirSync("/proc/self/task").length;

    test("an eventfd counts, gives its count once, and does not block", () => {
      const fd = kernel.eventfd();
      assert.ok(fd > 2);
      assert.is(kernel.takeEvents(fd), 0);
      raise(fd, 3);
      raise(fd, 4);
      assert.is(kernel.takeEvents(fd), 7);
      assert.is(kernel.takeEvents(fd), 0);
      assert.is(kernel.close(fd), 0);
      assert.is(kernel.takeEvents(fd), errno("EBADF"));
    });

    test("what is no eventfd, or not open, cannot be listened to", () => {
      const other = openSync("/dev/zero", "r");
      assert.is(
        kernel.listen(other, () => {}),
        errno("EINVAL"),
      );
      assert.is(
        kernel.listen(2 ** 31 - 1, () => {}),
        errno("EBADF"),
      );
      closeSync(other);
    });

    test("a listener hears of all that was counted, before and after, and what came together is one call", async () => {
      const fd = kernel.eventfd();
      const heard: number[] = [];
      raise(fd, 5);
      const listening = listen(fd, (count) => heard.push(count));
      raise(fd);
      await until(() => heard.length > 0);
      assert.equal(heard, [6]);
      for (let i = 0; i < 1000; i++) raise(fd);
      await until(() => heard.length > 1);
      assert.equal(heard, [6, 1000]);
      for (let sum = 1006; sum < 1106; sum++) {
        raise(fd);
        await until(() => heard.reduce((all, one) => all + one, 0) === sum + 1);
      }
      listening.end();
      listening.end();
      kernel.close(fd);
    });

    test("after its end a listener hears nothing, also of what had happened, which the eventfd keeps", async () => {
      const [fd, other] = [kernel.eventfd(), kernel.eventfd()];
      let heard = 0;
      const listening = listen(fd, () => heard++);
      const second = listen(other, () => {});
      raise(fd, 9);
      const end = Date.now() + 20; // the waiting thread has it by now
      while (Date.now() < end);
      listening.end();
      await pause(20);
      assert.is(heard, 0);
      assert.is(kernel.takeEvents(fd), 9);
      second.end();
      for (const each of [fd, other]) kernel.close(each);
    });

    test("a listener may end itself and others, and begin again, while it is called", async () => {
      const fds = [kernel.eventfd(), kernel.eventfd()] as const;
      const heard: string[] = [];
      const others: Listening[] = [];
      const first = listen(fds[0], (count) => {
        heard.push(`first ${count}`);
        first.end();
        for (const other of others) other.end();
        const again = listen(fds[0], (more) => {
          heard.push(`again ${more}`);
          again.end();
        });
        raise(fds[0], 2);
      });
      raise(fds[0]);
      await until(() => heard.length === 2);
      others.push(listen(fds[1], () => heard.push("never")));
      for (const other of others) other.end();
      raise(fds[1]);
      await pause(20);
      assert.equal(heard, ["first 1", "again 2"]);
      for (const each of fds) kernel.close(each);
    });

    test("the descriptor may be closed under a listener, and its number be another one's", async () => {
      const fd = kernel.eventfd();
      let heard = 0;
      const listening = listen(fd, (count) => {
        heard += count;
      });
      closeSync(fd);
      const next = kernel.eventfd();
      raise(next, 5);
      await pause(20);
      assert.is(heard, 0);
      assert.is(kernel.takeEvents(next), 5);
      listening.end();
      kernel.close(next);
    });

    test("many eventfds, each with its listener, are each heard", async () => {
      const fds = Array.from({ length: 200 }, () => kernel.eventfd());
      const heard = fds.map(() => 0);
      const all = fds.map((fd, i) =>
        listen(fd, (count) => {
          heard[i] = (heard[i] ?? 0) + count;
        }),
      );
      for (const [i, fd] of fds.entries()) raise(fd, i + 1);
      await until(() => heard.every((count, i) => count === i + 1));
      for (const one of all) one.end();
      for (const fd of fds) kernel.close(fd);
    });

    test("neither descriptors nor threads are left, after thousands of listeners", async () => {
      const before = [descriptors(), threads()];
      const fd = kernel.eventfd();
      let heard = 0;
      for (let i = 0; i < 3000; i++) {
        const listening = listen(fd, () => heard++);
        if (i % 3 === 0) raise(fd);
        if (i % 500 === 0) await pause(1);
        listening.end();
      }
      kernel.close(fd);
      assert.ok(heard > 0);
      await until(() => descriptors() === before[0] && threads() === before[1]);
    });

    // ---- What ends, in processes of their own ----

    const prelude = `
      const fs = require("node:fs");
      const { Worker } = require("node:worker_threads");
      const shim = require(process.env.ADDON);
      const say = (text) => fs.writeSync(1, text + "\\n");
      const raise = (fd) => fs.writeSync(fd, new Uint8Array(new BigUint64Array([1n]).buffer));
    `;
    const ends = (program: string, ended: unknown, said: readonly string[]) => {
      const env = { ...process.env, ADDON: addon, PRELUDE: prelude };
      const options = { encoding: "utf8", env, timeout: 60_000 } as const;
      const { status, signal, stdout, stderr } = spawnSync(process.execPath, ["-e", prelude + program], options);
      assert.equal([signal ?? status, stdout.trim().split("\n").filter(Boolean)], [ended, said], stderr);
    };

    test("what a listener throws is an exception that nobody caught, and it hears of what comes later", () => {
      ends(
        `const fd = shim.eventfd();
         let calls = 0;
         process.on("uncaughtException", (error) => { say(error.message); raise(fd); });
         const listening = shim.listen(fd, () => {
           if (++calls < 3) throw new Error("thrown " + calls);
           shim.endListening(listening);
           say("heard");
         });
         raise(fd);`,
        0,
        ["thrown 1", "thrown 2", "heard"],
      );
      ends("const fd = shim.eventfd(); shim.listen(fd, () => { throw new Error('x'); }); raise(fd);", 1, []);
    });

    test("promises go on between two listeners' calls", () => {
      ends(
        `const fds = [shim.eventfd(), shim.eventfd()];
         const all = fds.map((fd, i) => shim.listen(fd, async () => { say("call"); await null; say("then"); shim.endListening(all[i]); }));
         for (const fd of fds) raise(fd);`,
        0,
        ["call", "then", "call", "then"],
      );
    });

    test("a listener keeps the process alive until it ends or is let go, and hears while something else does", () => {
      ends("shim.listen(shim.eventfd(), () => {}); setTimeout(() => { say('alive'); process.exit(3); }, 50);", 3, [
        "alive",
      ]);
      ends("const l = shim.listen(shim.eventfd(), () => {}); shim.holdLoop(l, 0); shim.holdLoop(l, 0);", 0, []);
      ends("const l = shim.listen(shim.eventfd(), () => {}); setTimeout(() => shim.endListening(l), 20);", 0, []);
      ends(
        `const fd = shim.eventfd();
         const unheld = shim.listen(fd, () => { say("heard"); shim.holdLoop(unheld, 1); setTimeout(() => shim.endListening(unheld), 1); });
         shim.holdLoop(unheld, 0);
         setTimeout(() => raise(fd), 10);
         setTimeout(() => {}, 50);`,
        0,
        ["heard"],
      );
    });

    test("process.exit() ends a process that listens, also from within, while events pour in", () => {
      ends("const fd = shim.eventfd(); shim.listen(fd, () => {}); raise(fd); process.exit(4);", 4, []);
      ends(
        `const fd = shim.eventfd();
         let calls = 0;
         shim.listen(fd, () => { raise(fd); if (++calls === 100) process.exit(5); });
         raise(fd);`,
        5,
        [],
      );
    });

    test("a thread that listens may be terminated, exit, throw, or come to its end, while events pour in", () => {
      ends(
        `const fds = Array.from({ length: 4 }, () => shim.eventfd());
         const part = process.env.PRELUDE + \`
           const { parentPort, workerData } = require("node:worker_threads");
           let calls = 0;
           const all = workerData.fds.map((fd) => shim.listen(fd, () => {
             calls++;
             if (workerData.how === "exit" && calls === 20) process.exit(0);
             if (workerData.how === "throw" && calls === 20) throw new Error("x");
             if (workerData.how === "end" && calls === 20) for (const one of all) shim.holdLoop(one, 0);
             if (calls === 20) parentPort.postMessage("heard");
           }));\`;
         const before = fs.readdirSync("/proc/self/fd").length;
         (async () => {
           for (let i = 0; i < 40; i++) {
             const how = ["terminate", "exit", "throw", "end"][i % 4];
             const worker = new Worker(part, { eval: true, workerData: { fds, how } }).on("error", () => {});
             const exited = new Promise((resolve) => worker.on("exit", resolve));
             let over = false;
             exited.then(() => { over = true; });
             if (how === "terminate") worker.on("message", () => worker.terminate());
             if (i % 8 === 0) setTimeout(() => worker.terminate(), i / 2);
             while (!over) { for (const fd of fds) raise(fd); await new Promise((resolve) => setImmediate(resolve)); }
             await exited;
           }
           say(fs.readdirSync("/proc/self/fd").length <= before + 2);
         })();`,
        0,
        ["true"],
      );
    });
  },
  "eventfd()",
  (kernel) => kernel.eventfd?.(),
);

test.run();
