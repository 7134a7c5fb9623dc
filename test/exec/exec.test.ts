/** The command: what of the program comes through it, and what it says of its own. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { exec, notHere, program } from "./command.ts";

const command = suite("dma-window exec");

command("begins no program without the shim, says why, and ends with a status of its own", () => {
  const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
  const env = { ...process.env, DMA_WINDOW_SHIM: "/nonexistent.node" };
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, "exec", "--", "echo", "begun"], {
    encoding: "utf8",
    env,
  });
  assert.equal([status, stdout], [125, ""]);
  assert.match(stderr, /^dma-window: .* \[ERR_SHIM_UNAVAILABLE\]\n$/);
});

const why = notHere();
if (why !== undefined) command("is not tried here", () => console.log(why));
else {
  for (const platform of ["type1", "powernv"]) {
    command(`lets a program map and unmap on ${platform}, and ends with its status`, () => {
      const { code, out, err, report } = exec(["--platform", platform], [program("map"), platform, "7"]);
      assert.is(code, 7);
      assert.is(out, "API 0, status 7\n");
      assert.is(err, "");
      const { program: words, calls, linux, ...rest } = report;
      assert.equal(words, [program("map"), platform, "7"]);
      assert.is(calls, platform === "type1" ? 5 : 7);
      assert.match(linux, /^\d+\.\d+(\.\d+)?$/);
      assert.equal(rest, { exit: 7, signal: null, platform, findings: [] });
    });
  }

  command("reports the version of Linux that answered, whatever text named it", () => {
    assert.is(exec(["--linux", "6.12.107+deb13-powerpc64le"], ["true"]).report.linux, "6.12.107");
  });

  command("hands on arguments, environment, stdin and a signal's end as they are", () => {
    assert.is(exec([], ["sh", "-c", 'echo "$1-$HOME"', "x", "a b"]).out, `a b-${process.env.HOME}\n`);
    const killed = exec([], ["sh", "-c", "kill -TERM $$"]);
    assert.is(killed.code, 128 + 15);
    assert.is(killed.report.signal, "SIGTERM");
    assert.is(killed.report.exit, null);
  });

  command("says as a shell does that there is no program, and that it cannot be executed", () => {
    const missing = exec([], ["no-such-program-here"]);
    assert.is(missing.code, 127);
    assert.match(missing.err, /no program no-such-program-here in PATH \[ERR_EXEC_NO_PROGRAM\]/);
    assert.is(exec([], ["/"]).code, 126);
    assert.is(exec([], ["/etc/passwd"]).code, 126);
  });

  command("fails by --fail-on where the program does not, and only for those kinds", () => {
    const wrong = [program("never-unmapped"), "type1", "wrong"];
    assert.is(exec(["--platform", "type1", "--fail-on", "never-unmapped"], wrong).code, 99);
    assert.is(exec(["--platform", "type1", "--fail-on", "any"], wrong).code, 99);
    assert.is(exec(["--platform", "type1", "--fail-on", "zombie"], wrong).code, 0);
    assert.is(exec(["--platform", "type1", "--fail-on", "any"], [program("map"), "type1", "7"]).code, 7);
    assert.match(exec(["--fail-on", "zombies"], wrong).err, /--fail-on takes given-back-while-reachable, .*zombie/);
  });

  command("says without a stack that its report cannot be written, once the program has ended", () => {
    const { code, out, err } = exec(["--report", "/none/report"], ["echo", "done"]);
    assert.equal([code, out], [1, "done\n"]);
    assert.match(err, /^dma-window: \/none\/report cannot be written: .* \[ERR_FILE_UNWRITABLE\]\n$/);
  });

  command("shows the model's devices in /sys and /dev, to the program alone", () => {
    const shown = exec(
      ["--platform", "type1", "--group", "7"],
      ["sh", "-c", "ls /dev/vfio /sys/kernel/iommu_groups; realpath /sys/bus/pci/devices/*/iommu_group"],
    );
    assert.is(shown.out, "/dev/vfio:\n7\nvfio\n\n/sys/kernel/iommu_groups:\n7\n/sys/kernel/iommu_groups/7\n");
    assert.is(exec([], ["sh", "-c", "echo x > /dev/null && test -c /dev/zero && ls /dev/pts > /dev/null"]).code, 0);
    assert.not.ok(existsSync("/dev/vfio/7"));
  });

  command("says that a trace has no calls of a second process, where one makes any", () => {
    const folder = mkdtempSync(join(tmpdir(), "dma-window-"));
    try {
      const options = ["--platform", "type1", "--trace", join(folder, "trace")];
      const told = /another process makes calls too: the trace has those of the first one/g;
      const line = `${program("map")} type1; ${program("map")} type1; ${program("map")} type1`;
      assert.is(exec(options, ["sh", "-c", line]).err.match(told)?.length, 1);
      assert.not.match(exec(options, [program("map"), "type1"]).err, told);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  command("writes a trace that replay reads, and a report that only its owner may", () => {
    const folder = mkdtempSync(join(tmpdir(), "dma-window-"));
    try {
      const options = ["--platform", "powernv", "--trace", join(folder, "trace"), "--report", join(folder, "report")];
      exec(options, [program("map"), "powernv"]);
      const lines = readFileSync(join(folder, "trace"), "utf8").trimEnd().split("\n");
      const calls = lines.slice(1).map((line) => (JSON.parse(line) as { call: string }).call);
      assert.equal(calls.slice(0, 4), ["open", "open", "GROUP_SET_CONTAINER", "SET_IOMMU"]);
      assert.ok(["REGISTER_MEMORY", "MAP_DMA", "UNMAP_DMA", "UNREGISTER_MEMORY"].every((call) => calls.includes(call)));
      assert.is(statSync(join(folder, "report")).mode & 0o777, 0o600);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

command.run();
