/** A guest with a person in it: `npm run test:kernels -- --shell pseries --with probe.ts`. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename, resolve } from "node:path";
import { qemuArguments } from "./boot.ts";
import type { Boot } from "./boots.ts";
import { bundle } from "./bundle.ts";
import { type Entry, file, program } from "./cpio.ts";
import type { Guest } from "./guests.ts";
import type { Images } from "./images.ts";

/** A boot without parts: it lasts as long as the person likes. */
export function shellOf(guest: Guest): Boot {
  return { guest, name: `${guest.name} shell`, parts: [], cpus: 1, seconds: Number.POSITIVE_INFINITY };
}

/**
 * What the image has besides: the script that gives the terminal, and the person's own files. A TypeScript program becomes
 * one file beside the suite's programs, `/app/src/probe.mjs`, with all that it imports; anything else is put into `/root`.
 */
export async function luggage(root: string, paths: readonly string[]): Promise<Entry[]> {
  const script = program("app/shell.sh", readFileSync(`${root}/test/kernels/guest/shell.sh`));
  const own = paths.map(async (path) => {
    const name = basename(path);
    if (!/\.[cm]?ts$/.test(name)) return program(`root/${name}`, readFileSync(path));
    return file(`app/src/${name.replace(/\.[cm]?ts$/, ".mjs")}`, await bundle(root, resolve(path)));
  });
  return [script, ...(await Promise.all(own))];
}

/** Boots a guest on this terminal; ends when it goes off. Ctrl-C is the guest's, Ctrl-A X ends QEMU. */
export function bootOnTerminal(boot: Boot, images: Images): Promise<number> {
  const { architecture } = boot.guest;
  const machine = spawn(architecture.qemu, qemuArguments(boot.guest, images, boot.cpus, "terminal"), {
    stdio: "inherit",
  });
  return new Promise((resolve, reject) => {
    machine.on("error", reject);
    machine.on("close", (status) => resolve(status ?? 1));
  });
}
