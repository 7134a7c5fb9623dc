/** The disk is wanted back, by somebody who unbinds it or by Ctrl-C: the driver stops, closes, and the kernel's own driver has it again. */
import { spawn } from "node:child_process";
import { modelKernel, pciDevice, softwareNvme } from "dma-window";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Signals, Stand } from "../../examples/nvme/stand.mjs";
import { root } from "../package/imports.ts";
import { ADDRESS } from "./rig.ts";

const wanted = suite("a disk that is wanted back");

const machine = (platform: "type1" | "powernv" | "noiommu") =>
  modelKernel({ platform, devices: [{ ...softwareNvme({ address: ADDRESS }), driver: "nvme" }] });

/** Reads again and again, until the controller is closed. */
async function work(stand: Stand): Promise<never> {
  const [disk] = stand.controller.namespaces;
  const bytes = new Uint8Array(512);
  for (;;) await Promise.all([disk?.read(0, bytes), disk?.read(1, new Uint8Array(512))]);
}

for (const platform of ["type1", "powernv", "noiommu"] as const) {
  const open = async () => {
    const kernel = machine(platform);
    assert.is(pciDevice(ADDRESS, { kernel }).driver, "nvme");
    const stand = await Stand.open({ kernel, address: ADDRESS, noIommu: platform === "noiommu" });
    return { kernel, stand };
  };

  wanted(
    `${platform}: by an unbind, which waits: it is closed with commands in flight, and the unbind goes through`,
    async () => {
      const { kernel, stand } = await open();
      let isUnbound = false;
      const working = work(stand).catch(() => {});
      const asked = stand.wanted().then(
        () => undefined,
        (error: unknown) => error,
      );
      const unbind = kernel
        .plugged(ADDRESS)
        .unbind()
        .then(() => {
          isUnbound = true;
        });
      const error = (await asked) as { code: string; message: string };
      assert.is(error.code, "ERR_NVME_WANTED");
      assert.match(error.message, "somebody wants the device back");
      assert.is(isUnbound, false);
      await stand.close();
      await Promise.all([unbind, working]);
      assert.is(isUnbound, true);
      assert.is(pciDevice(ADDRESS, { kernel }).driver, "nvme");
      assert.equal(kernel.leaks(), []);
    },
  );

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    wanted(`${platform}: by ${signal}, with commands in flight`, async () => {
      const before = process.listenerCount(signal);
      const signals = new Signals();
      const { kernel, stand } = await open();
      const working = work(stand).catch(() => {});
      const asked = stand.wanted(signals).catch((error: unknown) => error);
      assert.is(process.listenerCount(signal), before + 1);
      process.emit(signal);
      assert.is(process.listenerCount(signal), before, "the next one ends the program");
      assert.match(((await asked) as Error).message, signal);
      await stand.close();
      await working;
      assert.is(process.listenerCount(signal), before);
      assert.is(pciDevice(ADDRESS, { kernel }).driver, "nvme");
      assert.equal(kernel.leaks(), []);
    });
  }
}

/** Says when the program listens. */
const LISTENING = `data:text/javascript,process.on("newListener", (name) => name === "SIGINT" && console.log("listening"))`;

wanted(
  "by Ctrl-C in a terminal, however early: the program says so, gives the disk back, and ends with 1",
  async () => {
    for (const after of [0, 1000]) {
      const words = ["--import", LISTENING, "examples/nvme/main.mjs", "bench", "--seconds", "600"];
      const child = spawn(process.execPath, words, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
      let said = "";
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding("utf8").on("data", (text) => (said += text));
      const ended = new Promise((resolve) => child.on("close", (code, signal) => resolve([code, signal])));
      await new Promise((resolve) => child.stdout.once("data", resolve));
      await new Promise((resolve) => setTimeout(resolve, after));
      child.kill("SIGINT");
      assert.equal(await ended, [1, null], said);
      assert.match(said, "ERR_NVME_WANTED: SIGINT: the disk was given back");
    }
  },
);

wanted.run();
