/** Identify. NVMe 1.4, 5.15: what the controller and its namespaces say of themselves. */
import type { Command } from "./command.ts";
import type { ControllerState } from "./controller-state.ts";
import { ERROR_ENTRIES } from "./error-log.ts";
import { EVENT_REQUESTS } from "./events.ts";
import type { Namespace } from "./namespace.ts";
import { EVERY_NAMESPACE } from "./opcodes.ts";
import { CQES, SQES, VERSION } from "./registers.ts";
import { Status } from "./status.ts";

const Cns = { NAMESPACE: 0, CONTROLLER: 1, ACTIVE: 2, DESCRIPTORS: 3 } as const;
const BYTES = 4096;

/** Commands beyond the mandatory ones: Compare, Dataset Management, Write Zeroes. */
const ONCS = 0b1101;

/** A volatile write cache is there, and Flush takes all namespaces at once. */
const VWC = 0b111;

export function identify(state: ControllerState, command: Command): number {
  const data = dataFor(state, command);
  if (typeof data === "number") return data;
  const status = state.memory.open(command, BYTES);
  if (status !== Status.SUCCESS) return status;
  return state.memory.write(data) ? Status.SUCCESS : Status.DATA_TRANSFER_ERROR;
}

function dataFor(state: ControllerState, { nsid, dw10 }: Command): Uint8Array | number {
  switch (dw10 & 0xff) {
    case Cns.NAMESPACE:
      if (nsid === 0 || nsid > state.namespaceLimit) return Status.INVALID_NAMESPACE;
      return aboutNamespace(state, state.namespaces[nsid]);
    case Cns.CONTROLLER:
      return aboutController(state);
    case Cns.ACTIVE:
      if (nsid >= EVERY_NAMESPACE - 1) return Status.INVALID_NAMESPACE;
      return activeNamespaces(state, nsid);
    case Cns.DESCRIPTORS: {
      if (nsid === 0 || nsid > state.namespaceLimit) return Status.INVALID_NAMESPACE;
      const namespace = state.namespaces[nsid];
      return namespace === undefined ? Status.INVALID_FIELD : descriptors(state, namespace);
    }
    default:
      return Status.INVALID_FIELD;
  }
}

/** ASCII, and spaces up to the end of the field. */
export function text(into: Uint8Array, at: number, length: number, words: string): void {
  for (let i = 0; i < length; i++) into[at + i] = i < words.length ? words.charCodeAt(i) : 0x20;
}

function aboutController({ settings, namespaceLimit }: ControllerState): Uint8Array {
  const data = new Uint8Array(BYTES);
  const view = new DataView(data.buffer);
  view.setUint16(0, settings.vendor, true);
  view.setUint16(2, settings.subsystemVendor, true);
  text(data, 4, 20, settings.serial);
  text(data, 24, 40, settings.model);
  text(data, 64, 8, settings.firmware);
  data[72] = 6; // recommended burst, as a power of two
  data.set([0x00, 0x54, 0x52], 73); // IEEE OUI, low byte first
  data[77] = settings.mdts;
  view.setUint32(80, VERSION, true);
  data[111] = 1; // CNTRLTYPE: an I/O controller
  data[258] = 3; // ACL: aborts at a time, less one
  data[259] = EVENT_REQUESTS;
  data[260] = 0b11; // FRMW: one slot for firmware, read only
  data[261] = 0b101; // LPA: SMART of each namespace, extended offsets
  data[262] = ERROR_ENTRIES - 1;
  view.setUint16(266, WARNING_KELVIN, true);
  view.setUint16(268, CRITICAL_KELVIN, true);
  data[512] = SQES | (SQES << 4);
  data[513] = CQES | (CQES << 4);
  view.setUint32(516, namespaceLimit, true);
  view.setUint16(520, ONCS, true);
  data[525] = VWC;
  const name = new TextEncoder().encode(`nqn.2014-08.org.nvmexpress:uuid:${uuidOf(settings.serial, 0)}`);
  data.set(name, 768); // zeros behind it
  view.setUint16(2048, 2500, true); // power state 0: 25 W, in hundredths
  return data;
}

const WARNING_KELVIN = 343;
const CRITICAL_KELVIN = 373;

/** Zeros for one that is not there. */
function aboutNamespace({ settings }: ControllerState, namespace: Namespace | undefined): Uint8Array {
  const data = new Uint8Array(BYTES);
  if (namespace === undefined) return data;
  const view = new DataView(data.buffer);
  const blocks = BigInt(namespace.blocks);
  view.setBigUint64(0, blocks, true); // size, capacity, use
  view.setBigUint64(8, blocks, true);
  view.setBigUint64(16, blocks, true);
  data[33] = 0b1001; // DLFEAT: what is deallocated reads as zeros, and Write Zeroes may deallocate
  data.set(eui64Of(settings.serial, namespace.id), 120);
  data[130] = Math.log2(namespace.blockBytes); // LBADS of format 0, the only one
  return data;
}

/** The first 1024 that are there above an NSID, in order. */
function activeNamespaces({ namespaces }: ControllerState, above: number): Uint8Array {
  const data = new Uint8Array(BYTES);
  const view = new DataView(data.buffer);
  let at = 0;
  for (const namespace of namespaces) {
    if (namespace === undefined || namespace.id <= above || at === BYTES) continue;
    view.setUint32(at, namespace.id, true);
    at += 4;
  }
  return data;
}

/** EUI-64 and UUID: kind, length, two bytes of nothing, the bytes. */
function descriptors({ settings }: ControllerState, namespace: Namespace): Uint8Array {
  const data = new Uint8Array(BYTES);
  data.set([1, 8, 0, 0, ...eui64Of(settings.serial, namespace.id)]);
  const uuid = uuidOf(settings.serial, namespace.id).replaceAll("-", "");
  data.set([3, 16, 0, 0, ...(uuid.match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16))], 12);
  return data;
}

/** FNV-1a: names that differ have ids that differ, for a test's purposes. */
function hash(words: string): number {
  let state = 0x811c9dc5;
  for (let i = 0; i < words.length; i++) state = Math.imul(state ^ words.charCodeAt(i), 0x01000193);
  return state >>> 0;
}

/** The same on every run: of the serial number and the namespace, as version 8 has them (RFC 9562). */
function uuidOf(serial: string, namespace: number): string {
  const digits = [0, 1, 2, 3]
    .map((part) => hash(`${part}/${serial}/${namespace}`).toString(16).padStart(8, "0"))
    .join("");
  return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-8${digits.slice(13, 16)}-8${digits.slice(17, 20)}-${digits.slice(20)}`;
}

/** Locally administered, as virtual machines have them. */
function eui64Of(serial: string, namespace: number): readonly number[] {
  const id = hash(serial);
  return [0x52, 0x54, 0x00, id & 0xff, (id >>> 8) & 0xff, (id >>> 16) & 0xff, namespace >>> 8, namespace & 0xff];
}
