/** edu through the library's own device: its registers in its own byte order, MSI and the interrupt line, and both devices in one container. */
import * as assert from "uvu/assert";
import {
  type Bar,
  type Device,
  MemsegTable,
  openContainer,
  planWindow,
  type Vector,
  type Vectors,
} from "../../../src/index.ts";
import { linuxKernel } from "../../../src/linux/index.ts";
import { testLater } from "./say.ts";
import type { Site } from "./site.ts";
import { MiB } from "./site.ts";

const Register = { IDENTITY: 0x00, STATUS: 0x24, RAISE: 0x60, ACKNOWLEDGE: 0x64 } as const;
const IDENTITY = 0x010000ed;
const ROUNDS = 50;
const PATIENCE_MS = 30_000;

export async function eduInterrupts(site: Site): Promise<void> {
  const { name } = site.device();
  for (const mode of ["msi", "intx"] as const) {
    await testLater(`edu by ${mode}: each of ${ROUNDS} interrupts is heard`, async () => {
      const container = openContainer({ kernel: linuxKernel(), devices: [name] });
      try {
        const device = container.device();
        const bar = registersOf(device);
        device.busMaster = true; // a message is a write to memory
        const on = mode === "msi" ? device.irqs.msi(1) : device.irqs.intx();
        assert.is(await hear(bar, on), ROUNDS);
      } finally {
        container.close();
      }
    });
  }
}

/** Big-endian on POWER: its identity tells. */
function registersOf(device: Device): Bar {
  const little = device.bar(0);
  if (little.read32(Register.IDENTITY) === IDENTITY) return little;
  little.close();
  const big = device.bar(0, { endian: "big" });
  assert.is(big.read32(Register.IDENTITY), IDENTITY);
  return big;
}

/** Raises interrupts one after the other; gives how many were heard. */
async function hear(bar: Bar, on: Vectors): Promise<number> {
  const vector = on.vector(0) as Vector;
  let heard = 0;
  let told: () => void = () => {};
  const stop = vector.on(() => {
    heard++;
    bar.write32(Register.ACKNOWLEDGE, bar.read32(Register.STATUS));
    told();
  });
  for (let round = 1; round <= ROUNDS; round++) {
    await new Promise<void>((resolve, reject) => {
      const clock = setTimeout(() => reject(new Error(`interrupt ${round} was not heard`)), PATIENCE_MS);
      told = () => {
        clearTimeout(clock);
        resolve();
      };
      bar.write32(Register.RAISE, round);
    });
  }
  stop();
  return heard;
}

/** Two devices, each in a container of its own and both in one, where the machine lets it. */
export async function twoDevices(site: Site): Promise<void> {
  const [nvme, edu] = [site.nvme.name, site.device().name];
  await testLater("two devices in two containers: each answers, and the end of one is not the other's", async () => {
    const kernel = linuxKernel();
    const first = openContainer({ kernel, devices: [nvme] });
    const second = openContainer({ kernel, devices: [edu] });
    const [one, other] = [first.device(), second.device()];
    assert.is(one.bar(0).read32(8), 0x10400);
    first.close();
    registersOf(other);
    second.close();
  });
  if (site.machine.machine === "pseries") {
    await testLater("an LPAR's container has one group, and says so", async () => {
      const kernel = linuxKernel();
      assert.throws(
        () => openContainer({ kernel, devices: [nvme, edu] }),
        (error: { code?: unknown }) => error.code === "ERR_ONE_GROUP",
      );
      openContainer({ kernel, devices: [nvme] }).close();
    });
    return;
  }
  await testLater("two devices in one container, with one window: each is opened, and closed alone", async () => {
    const kernel = linuxKernel();
    const container = openContainer({ kernel, devices: [nvme, edu] });
    try {
      const memory = new MemsegTable({ kernel });
      memory.addList({ pageSize: site.page, maxBytes: 4n * MiB });
      container.createWindow(planWindow({ memory, info: container.info() }));
      const [one, other] = [container.device(nvme), container.device(edu)];
      assert.is(one.bar(0).read32(8), 0x10400);
      registersOf(other);
      one.close();
      registersOf(other).read32(Register.STATUS);
      assert.equal(container.devices, [other]);
    } finally {
      container.close();
    }
  });
}
