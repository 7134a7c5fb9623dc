/** The commands of devices, as a user has them, on trees of our own; and their command lines. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { DeviceLine } from "../../src/cli/device-line.ts";
import { bindCommand, devicesCommand, unbindCommand } from "../../src/cli/devices.ts";
import { doctorCommand } from "../../src/cli/doctor.ts";
import { parseCommandLine } from "../../src/cli/options.ts";
import { UsageError } from "../../src/cli/usage.ts";
import { withKernelBeside } from "../pci/kernel-beside.ts";
import { SysfsActor } from "../pci/sysfs-actor.ts";
import { thrownBy } from "../support/failure.ts";
import { dmaWindow, WITHOUT_SHIM } from "./command.ts";

const NVME = "0000:01:00.0";
const parse = (line: string) => parseCommandLine(line.split(" "));

const lines = suite("a command line of devices");

lines("means this machine, or the one below a root, or a model", () => {
  assert.equal(parse("devices"), { command: "devices", kernel: "linux", platform: "powernv", json: false });
  assert.equal(parse(`devices 0000:0A:00.0 --root /host --json`), {
    command: "devices",
    address: "0000:0a:00.0",
    kernel: "linux",
    platform: "powernv",
    root: "/host",
    json: true,
  });
  assert.equal(parse(`bind ${NVME} --force --kernel model --platform type1`), {
    command: "bind",
    address: NVME,
    force: true,
    kernel: "model",
    platform: "type1",
    json: false,
  });
  assert.equal(parse(`unbind ${NVME} --kernel linux`), {
    command: "unbind",
    address: NVME,
    force: false,
    kernel: "linux",
    platform: "powernv",
    json: false,
  });
});

for (const [line, expected] of [
  ["bind", "bind takes the ADDRESS of a device"],
  ["unbind 01:00.0", "it is likely 0000:01:00.0"],
  ["bind ../../x", "ADDRESS must be an address of PCI"],
  [`bind ${NVME} ${NVME}`, "takes one ADDRESS"],
  [`unbind ${NVME} --force`, "unbind takes no --force"],
  ["devices --steps 5", "devices takes no --steps"],
  ["devices --group 26", "devices takes no --group"],
  ["devices --kernel model --root /host", "the software kernel has files of its own"],
  ["devices --platform type1", "--platform says what the software kernel is like"],
  ["devices --platform typ1 --kernel model", "--platform takes"],
  ["run --force", "--force goes with bind"],
  ["plan --root /host", "--root goes with doctor, devices, bind and unbind"],
  ["device", "did you mean devices?"],
] as const) {
  lines(`"${line}" is refused`, () => {
    const error = thrownBy(() => parse(line));
    assert.instance(error, UsageError);
    assert.ok(error.message.includes(expected), error.message);
  });
}

lines("--root that is no directory is wrong usage, of each command that takes it", () => {
  const folder = mkdtempSync(join(tmpdir(), "dma-window-"));
  const at = (name: string) => join(folder, name);
  writeFileSync(at("file"), "");
  symlinkSync("loop", at("loop"));
  execFileSync("mkfifo", [at("pipe")]);
  for (const root of [at("none"), at("file"), at("file/below"), at("loop"), at("pipe"), at("x".repeat(300))]) {
    for (const command of ["doctor", "doctor --json", "devices", `devices ${NVME}`, `bind ${NVME}`, `unbind ${NVME}`]) {
      const words = `${command} --root ${root}`;
      const line = parseCommandLine(words.split(" ")) as DeviceLine;
      const perform = { doctor: doctorCommand, devices: devicesCommand, bind: bindCommand, unbind: unbindCommand };
      const act = perform[line.command] as (line: DeviceLine, print: (text: string) => void) => number;
      const error = thrownBy(() => act(line, () => assert.unreachable(words)));
      assert.instance(error, UsageError, words);
      assert.match((error as Error).message, "no such directory", words);
    }
  }
  assert.is(dmaWindow(`doctor --root ${at("none")}`).code, 2);
  rmSync(folder, { recursive: true });
});

lines.run();

const commands = suite("the commands of devices");

const machine = () =>
  new SysfsActor({
    [NVME]: { group: 26, drivers: ["nvme"], files: { "nvme/nvme0/nvme0n1/dev": "259:0\n" } },
    "0000:00:01.0": { group: 26, drivers: ["pcieport"], class: "0x060400" },
  });

commands("list devices, say all of one, and what they say for programs; without the shim", () => {
  const actor = machine();
  try {
    actor.put("proc/swaps", "Filename\n/dev/nvme0n1 partition 1 0 -2\n");
    const list = dmaWindow(`devices --root ${actor.root}`, { env: WITHOUT_SHIM });
    assert.is(list.code, 0, list.err);
    assert.match(
      list.out,
      /^ {2}0000:01:00\.0 {2}NVMe controller {2}1b36:0010 {2}group 26 {2}nvme\n +in use: \/dev\/nvme0n1 is swap$/m,
    );
    const one = dmaWindow(`devices ${NVME} --root ${actor.root}`);
    assert.match(one.out, /^ {2}group +26, with 0000:00:01\.0$/m);
    assert.match(one.out, /^ {2}not yet +0000:01:00\.0 is with its driver nvme: bind it/m);
    const { devices } = JSON.parse(dmaWindow(`devices --root ${actor.root} --json`).out);
    assert.equal(
      [devices.length, devices[1].vendor, devices[1].revision, devices[1].inUse],
      [2, 0x1b36, null, ["/dev/nvme0n1 is swap"]],
    );
  } finally {
    actor.end();
  }
});

commands("refuse what is in use, and what is not there, in a line that names the option", () => {
  const actor = machine();
  try {
    actor.put("proc/swaps", "Filename\n/dev/nvme0n1 partition 1 0 -2\n");
    const { code, err } = dmaWindow(`bind ${NVME} --root ${actor.root}`);
    assert.is(code, 1);
    assert.match(
      err,
      /^dma-window: 0000:01:00\.0 is in use: \/dev\/nvme0n1 is swap\. .* with --force .*\[ERR_IN_USE\]\n$/,
    );
    assert.match(
      dmaWindow(`unbind 0000:02:00.0 --root ${actor.root}`).err,
      /the nearest is 0000:01:00\.0.*\[ERR_NO_DEVICE\]/,
    );
  } finally {
    actor.end();
  }
});

commands("bind a device that stays bound, and give it back in another run, as after a SIGKILL", async () => {
  await withKernelBeside(machine(), NVME, ({ root }) => {
    const bound = dmaWindow(`bind ${NVME} --root ${root}`);
    assert.is(bound.code, 0, bound.err);
    assert.match(bound.out, /^ {2}0000:01:00\.0 +is with vfio-pci; nvme had it\n {2}group +26, with 0000:00:01\.0\n/);
    const again = JSON.parse(dmaWindow(`bind ${NVME} --root ${root} --json`).out);
    assert.equal([again.group, again.previousDriver], [26, "vfio-pci"]);
    assert.is(dmaWindow(`unbind ${NVME} --root ${root}`).out, `  ${NVME}  is with nvme\n`);
    const json = JSON.parse(dmaWindow(`unbind ${NVME} --root ${root} --json`).out);
    assert.equal(json, { address: NVME, driver: "nvme" });
  });
});

commands.run();
