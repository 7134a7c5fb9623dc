/** The kernel's part in a process of its own, that looks at a tree's files now and then: what is written is done a little later. */
import { spawn } from "node:child_process";
import type { SysfsActor } from "./sysfs-actor.ts";

/** It prints when it begins, and ends when its input does. Without an override the device is nvme's. */
const KERNEL = `
  import { readFileSync, readlinkSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
  const [root, address] = process.argv.slice(-2);
  const bus = root + "/sys/bus/pci/";
  const device = bus + "devices/" + address;
  const read = (path) => { try { return readFileSync(path, "utf8").trim(); } catch { return ""; } };
  const driver = () => { try { return readlinkSync(device + "/driver").split("/").at(-1); } catch { return ""; } };
  setInterval(() => {
    const unbind = bus + "drivers/" + driver() + "/unbind";
    if (driver() !== "" && read(unbind) === address) {
      writeFileSync(unbind, "");
      unlinkSync(device + "/driver");
    }
    if (driver() === "" && read(bus + "drivers_probe") === address) {
      writeFileSync(bus + "drivers_probe", "");
      const wanted = read(device + "/driver_override").replace("(null)", "") || "nvme";
      symlinkSync("../../../bus/pci/drivers/" + wanted, device + "/driver");
    }
  }, 3);
  process.stdin.resume().on("end", () => process.exit());
  console.log("ready");
`;

/** Calls `use` while it works on the device of a tree, which is removed in the end. */
export async function withKernelBeside(
  actor: SysfsActor,
  address: string,
  use: (actor: SysfsActor) => void | Promise<void>,
): Promise<void> {
  const kernel = spawn(process.execPath, ["--input-type=module", "--eval", KERNEL, actor.root, address]);
  try {
    await new Promise((ready) => kernel.stdout.once("data", ready));
    await use(actor);
  } finally {
    kernel.stdin.end();
    await new Promise((ended) => kernel.once("exit", ended));
    actor.end();
  }
}
