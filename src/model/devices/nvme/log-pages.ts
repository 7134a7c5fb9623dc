/** Get Log Page. NVMe 1.4, 5.14. */
import type { Command } from "./command.ts";
import type { ControllerState } from "./controller-state.ts";
import { isTooWarm, SMART_TEMPERATURE, TEMPERATURE } from "./features.ts";
import { text } from "./identify.ts";
import type { Namespace } from "./namespace.ts";
import { EVERY_NAMESPACE } from "./opcodes.ts";
import { Status } from "./status.ts";

const Log = { ERRORS: 1, SMART: 2, FIRMWARE: 3 } as const;
const PAGE_BYTES = 512;

/** A part of a page, from an offset on. What is asked for behind the end is not written. */
export function getLogPage(state: ControllerState, command: Command): number {
  const log = command.dw10 & 0xff;
  const page = pageOf(state, command, log);
  if (typeof page === "number") return page;
  const bytes = ((command.dw10 >>> 16) + (command.dw11 & 0xffff) * 0x1_0000 + 1) * 4;
  const offset = command.dw13 * 2 ** 32 + command.dw12;
  if (offset % 4 !== 0 || offset >= page.length) return Status.INVALID_FIELD;
  const part = page.subarray(offset, offset + bytes);
  const status = state.memory.open(command, part.length);
  if (status !== Status.SUCCESS) return status;
  if (!state.memory.write(part)) return Status.DATA_TRANSFER_ERROR;
  const retained = (command.dw10 & RETAIN_EVENT) !== 0;
  if (!retained) state.events.read(log);
  return Status.SUCCESS;
}

/** Reading the page does not unmask its events. */
const RETAIN_EVENT = 0x8000;

function pageOf(state: ControllerState, { nsid }: Command, log: number): Uint8Array | number {
  switch (log) {
    case Log.ERRORS:
      return state.errors.page();
    case Log.SMART: {
      if (nsid === 0 || nsid === EVERY_NAMESPACE) return smart(state, state.namespaces);
      const namespace = state.namespaces[nsid];
      return namespace === undefined ? Status.INVALID_NAMESPACE : smart(state, [namespace]);
    }
    case Log.FIRMWARE:
      return firmware(state);
    default:
      return Status.INVALID_LOG_PAGE;
  }
}

/** Health: nothing wears out here. */
function smart({ features, errors }: ControllerState, namespaces: readonly (Namespace | undefined)[]): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES);
  const view = new DataView(page.buffer);
  const count = (at: number, value: number) => view.setBigUint64(at, BigInt(value), true);
  const sum = (of: (namespace: Namespace) => number) =>
    namespaces.reduce((total, one) => total + (one === undefined ? 0 : of(one)), 0);
  const units = (of: (namespace: Namespace) => number) =>
    Math.ceil(sum((one) => of(one) * (one.blockBytes / 512)) / 1000);
  view.setUint8(0, isTooWarm(features) ? SMART_TEMPERATURE : 0);
  view.setUint16(1, TEMPERATURE, true);
  view.setUint8(3, 100); // per cent of the spare blocks
  view.setUint8(4, 10);
  count(
    32,
    units((one) => one.blocksRead),
  );
  count(
    48,
    units((one) => one.blocksWritten),
  );
  count(
    64,
    sum((one) => one.reads),
  );
  count(
    80,
    sum((one) => one.writes),
  );
  count(112, 1); // power cycles
  count(176, errors.count);
  return page;
}

/** One slot, and it is active. */
function firmware({ settings }: ControllerState): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES);
  page[0] = 1;
  text(page, 8, 8, settings.firmware);
  return page;
}
