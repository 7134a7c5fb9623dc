// @ts-check
/**
 * Switching a controller on and off (NVMe 1.4, 7.6.1 and 7.6.2), by its registers alone.
 *
 *     off   CC.EN = 0, until CSTS.RDY is 0           nothing in memory is read or written after that
 *     on    AQA, ASQ, ACQ; bus master; CC.EN = 1; until CSTS.RDY is 1
 *     shut down   CC.SHN = 1, until CSTS.SHST is 2   caches are written back; then off
 *
 * Waiting is done between turns of the event loop: it can take as long as CAP.TO says, 127 seconds at most.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { NvmeError, wordsOf } from "./errors.mjs";
import { CC, CSTS } from "./registers.mjs";

/** @typedef {import("./registers.mjs").ControllerRegisters} ControllerRegisters */
/** @typedef {import("./registers.mjs").Capabilities} Capabilities */

/** A shutdown of a controller that does not say how long it takes. */
const SHUTDOWN_MS = 5000;

/**
 * @param {ControllerRegisters} registers @param {(status: number) => boolean} isSo @param {number} ms @param {string} what
 */
async function until(registers, isSo, ms, what) {
  const end = performance.now() + ms;
  for (;;) {
    const isLate = performance.now() > end; // before the look: a thread that slept long has looked once more
    const status = registers.status();
    if (isSo(status)) return;
    if (isLate) {
      const facts = { csts: status, cc: registers.read("CC"), ms };
      throw new NvmeError(
        "ERR_NVME_TIMEOUT",
        `${what} takes longer than the ${ms} ms that it may (CSTS is 0x${status.toString(16)}): reset the device`,
        { facts },
      );
    }
    await sleep(1);
  }
}

/** @param {ControllerRegisters} registers @param {Capabilities} can */
export async function switchOff(registers, can) {
  const configuration = registers.read("CC");
  const status = registers.status();
  const isOn = (configuration & CC.ENABLE) !== 0;
  // One that is on its way to being ready takes no other order before; what has failed never gets there.
  if (isOn && (status & (CSTS.READY | CSTS.FATAL)) === 0) {
    const isSettled = (/** @type {number} */ now) => (now & (CSTS.READY | CSTS.FATAL)) !== 0;
    await until(registers, isSettled, can.timeoutMs, "becoming ready").catch(unlessGone);
  }
  if (isOn) registers.write("CC", configuration & ~(CC.ENABLE | CC.SHUTDOWN_MASK));
  await until(registers, (now) => (now & CSTS.READY) === 0, can.timeoutMs, "stopping");
}

/** @param {unknown} error */
function unlessGone(error) {
  if (!(error instanceof NvmeError) || error.code !== "ERR_NVME_TIMEOUT") throw error;
}

/**
 * @param {ControllerRegisters} registers @param {Capabilities} can
 * @param {import("./types.d.ts").DriverDevice} device
 * @param {import("./queue.mjs").QueuePair} admin @param {number} pageShift
 */
export async function switchOn(registers, can, device, admin, pageShift) {
  registers.write("AQA", (admin.entries - 1) | ((admin.entries - 1) << 16));
  registers.writeWide("ASQ", admin.submissionIova);
  registers.writeWide("ACQ", admin.completionIova);
  // Not before: what an earlier driver left in these registers may be anybody's memory. And not later: a doorbell of a device that may not
  // reach memory is fatal for it.
  device.busMaster = true;
  registers.write("CC", CC.ENTRY_SIZES | ((pageShift - 12) << CC.MPS_SHIFT) | CC.ENABLE);
  const isSettled = (/** @type {number} */ now) => (now & (CSTS.READY | CSTS.FATAL)) !== 0;
  await until(registers, isSettled, can.timeoutMs, "becoming ready");
  if ((registers.status() & CSTS.FATAL) !== 0) {
    throw new NvmeError(
      "ERR_NVME_FATAL",
      "the controller failed as it was switched on (CSTS.CFS is 1): reset the device",
    );
  }
}

/** @param {ControllerRegisters} registers @param {number} ms How long it says that it takes; 0: it does not say. */
export async function shutDown(registers, ms) {
  registers.write("CC", (registers.read("CC") & ~CC.SHUTDOWN_MASK) | CC.SHUTDOWN_NORMAL);
  const isDone = (/** @type {number} */ now) => (now & CSTS.SHUTDOWN_MASK) === CSTS.SHUTDOWN_DONE;
  await until(registers, isDone, Math.max(ms, SHUTDOWN_MS), "shutting down");
}

/**
 * Until it moves nothing any more: by its own register, or else without bus mastering and by a reset of the device.
 *
 * @param {ControllerRegisters} registers @param {Capabilities} can @param {import("./types.d.ts").DriverDevice} device
 * @throws `ERR_NVME_NOT_STOPPED` where none of it helps: memory that it knows must not be used again then.
 */
export async function halt(registers, can, device) {
  try {
    await switchOff(registers, can);
    return;
  } catch (cause) {
    let isQuiet = isGone(cause) || device.gone;
    try {
      device.busMaster = false;
      isQuiet ||= !device.busMaster;
      if (device.canReset) await device.resetAsync();
    } catch (error) {
      if (isQuiet || isGone(error)) return;
      const why = `the controller does not stop (${wordsOf(cause)}), and neither does the device (${wordsOf(error)})`;
      const message = `${why}: what it knows stays allocated until the device is closed`;
      throw new NvmeError("ERR_NVME_NOT_STOPPED", message, { cause: error });
    }
    if (isQuiet || device.canReset) return;
    const message = `the controller does not stop (${wordsOf(cause)}), and its bus mastering stays on`;
    throw new NvmeError("ERR_NVME_NOT_STOPPED", message, { cause });
  }
}

/** Whether nobody answers, or the device was closed, which stops it: what is gone reaches nothing. @param {unknown} error */
export function isGone(error) {
  const code = /** @type {{ code?: unknown }} */ (error)?.code;
  return code === "ERR_NVME_GONE" || code === "ERR_CLOSED";
}
