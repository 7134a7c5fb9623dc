/** Several processes and several programs in one; and the end of any of them, at any moment. */
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { exec, kindsIn, notHere, program } from "./command.ts";

const processes = suite("processes");
const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

const why = notHere();
if (why !== undefined) processes("are not begun here", () => console.log(why));
else {
  for (const platform of ["type1", "powernv"]) {
    processes(`a child has the descriptors and a memory of its own (${platform})`, () => {
      const { out, report, err } = exec(["--platform", platform], [program("processes"), platform, "fork"]);
      assert.is(out, "child: the group Device or resource busy, API 0\nparent: unmapped\n", err);
      assert.equal(report.findings, []);
    });

    processes(
      `a child that begins once the program has ended is heard, and the status is the program's (${platform})`,
      () => {
        const { code, report, err } = exec(["--platform", platform], [program("processes"), platform, "outlive"]);
        assert.equal([code, report.exit, report.findings], [7, 7, []], err);
        assert.ok(report.calls > 0);
      },
    );

    processes(`threads share memory and descriptors (${platform})`, () => {
      const { code, report, err } = exec(["--platform", platform], [program("processes"), platform, "thread"]);
      assert.is(code, 0, err);
      assert.equal(report.findings, []);
    });

    processes(`a program that is executed has the descriptors, and another memory (${platform})`, () => {
      const ran = exec(["--platform", platform], [program("processes"), platform, "exec"]);
      // A container of sPAPR is its first process's memory's, and that is gone: `tce_iommu_ioctl`, EPERM.
      assert.is(ran.out, `executed: API 0, MAP ${platform === "type1" ? "0" : "Operation not permitted"}\n`, ran.err);
      assert.ok(kindsIn(ran).includes("given-back-while-reachable"));
      assert.match(ran.report.findings[0]?.message ?? "", /execve/);
    });
  }

  processes("the program killed: the command ends as it did", async () => {
    const { pids, ended } = await begin("busy");
    process.kill(pids[0] ?? 0, "SIGKILL");
    assert.is(await ended, 128 + 9);
  });

  const kills: Readonly<Record<string, (begun: Begun) => void>> = {
    "the supervisor": ({ child }) => {
      child.kill("SIGKILL");
    },
    "the supervisor and the program": ({ child, pids: [own = 0] }) => {
      process.kill(own, "SIGKILL");
      child.kill("SIGKILL");
    },
    "the supervisor's process group": ({ child: { pid = 0 } }) => {
      process.kill(-pid, "SIGKILL");
    },
  };
  for (const [how, kill] of Object.entries(kills)) {
    processes(`${how} killed: nothing stays of the program, its children and theirs`, async () => {
      const begun = await begin("descendants");
      // The program, its children, the supervisor's own one, and it itself.
      const all = [...begun.pids, ...childrenOf(begun.child.pid ?? 0), begun.child.pid ?? 0];
      assert.is(begun.pids.length, 7);
      assert.ok(begun.pids.every(isThere));
      kill(begun);
      await begun.ended;
      for (let tries = 0; all.some(isThere) && tries < 500; tries++) await new Promise((next) => setTimeout(next, 10));
      assert.equal(all.filter(isThere), []);
    });
  }

  processes("the program killed: its children are on their own, and the command goes on until they end", async () => {
    const { pids, child, ended } = await begin("descendants");
    const [program = 0, ...others] = pids;
    process.kill(program, "SIGKILL");
    await new Promise((next) => setTimeout(next, 300));
    assert.is(child.exitCode, null);
    assert.ok(others.every(isThere));
    for (const pid of others) process.kill(pid, "SIGKILL");
    assert.is(await ended, 128 + 9);
    assert.equal(pids.filter(isThere), []);
  });

  processes("a command that has ended leaves nothing of its own", async () => {
    const { pids, child, ended } = await begin("busy");
    const own = childrenOf(child.pid ?? 0);
    assert.ok(own.length > 0);
    process.kill(pids[0] ?? 0, "SIGKILL");
    await ended;
    assert.equal(own.filter(isThere), []);
  });

  processes("the supervisor asked to end: the program is asked, and its end is the command's", async () => {
    const { child, ended } = await begin("busy");
    child.kill("SIGTERM");
    assert.is(await ended, 128 + 15);
  });

  processes("the supervisor is asked to end, and hears it between calls that it lets pass without end", async () => {
    const { child, ended } = await begin("busy", "nothing");
    child.kill("SIGTERM");
    assert.is(await ended, 128 + 15);
  });
}

processes.run();

/** A program that runs for ever, and the numbers that it has printed: its own first. In a process group of its own, with its supervisor. */
async function begin(name: string, ...words: readonly string[]) {
  const line = ["exec", "--platform", "powernv", "--", program(name), "powernv", ...words];
  const child = spawn(process.execPath, [main, ...line], { stdio: ["ignore", "pipe", "ignore"], detached: true });
  const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
  const pids = await new Promise<number[]>((resolve) =>
    child.stdout.once("data", (text) => resolve(String(text).trim().split(" ").map(Number))),
  );
  return { child, pids, ended };
}

type Begun = Awaited<ReturnType<typeof begin>>;

function childrenOf(pid: number): number[] {
  const all = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return all.map(Number).filter((each) => new RegExp(`^PPid:\\s*${pid}$`, "m").test(statusOf(each)));
}

/** A process that nobody has waited for yet has ended. */
function isThere(pid: number): boolean {
  return /^State:\s*[^ZX\s]/m.test(statusOf(pid));
}

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, "latin1");
  } catch {
    return ""; // it has ended
  }
}
