/** Several processes and several programs in one; and the end of any of them, at any moment. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
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
    const { pid, ended } = await begun();
    process.kill(pid, "SIGKILL");
    assert.is(await ended, 128 + 9);
  });

  processes("the supervisor killed: the program ends too", async () => {
    const { pid, child, ended } = await begun();
    child.kill("SIGKILL");
    await ended;
    for (let tries = 0; isThere(pid) && tries < 500; tries++) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.not.ok(isThere(pid));
  });

  processes("the supervisor asked to end: the program is asked, and its end is the command's", async () => {
    const { child, ended } = await begun();
    child.kill("SIGTERM");
    assert.is(await ended, 128 + 15);
  });
}

processes.run();

/** A program that maps and unmaps for ever. */
async function begun() {
  const child = spawn(process.execPath, [main, "exec", "--platform", "powernv", "--", program("busy"), "powernv"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
  const pid = await new Promise<number>((resolve) => child.stdout.once("data", (text) => resolve(Number(text))));
  return { child, pid, ended };
}

/** A process that nobody has waited for yet has ended. */
function isThere(pid: number): boolean {
  try {
    return !/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, "latin1"));
  } catch {
    return false;
  }
}
