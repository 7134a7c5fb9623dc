/**
 * Commands and their statuses: what the software controller answers, and what QEMU's does. Where the two differ, the row says why, and
 * docs/model.md has the table of it. QEMU's answers were observed (7.2.22), and are asked again wherever there is a QEMU.
 */
import type { Fields } from "./rig.ts";

/** Pages of the host's memory by number, and a page that is not there. */
export interface Places {
  readonly page: (index: number) => bigint;
  readonly far: bigint;
}

export interface Answer {
  readonly what: string;
  readonly queue: "admin" | "io";
  readonly fields: (at: Places) => Fields;
  readonly status: number;
  readonly result?: number;
  /** Where it is another one than `status`. */
  readonly qemu?: number;
  readonly why?: string;
}

/** QEMU answers otherwise. */
const otherwise = (qemu: number, why: string) => ({ qemu, why });

type Rest = { readonly result?: number; readonly qemu?: number; readonly why?: string };

function admin(what: string, fields: Answer["fields"], status: number, rest: Rest = {}): Answer {
  return { what, queue: "admin", fields, status, ...rest };
}

/** On namespace 1 with page 0, unless the fields say otherwise. */
function io(what: string, fields: (at: Places) => Fields, status: number, rest: Rest = {}): Answer {
  return { what, queue: "io", fields: (at) => ({ nsid: 1, prp1: at.page(0), ...fields(at) }), status, ...rest };
}

const IDENTIFY = 6;
const GET_FEATURES = 0x0a;
const SET_FEATURES = 9;
const GET_LOG = 2;

const identify = (what: string, fields: Partial<Fields>, status: number, rest: Rest = {}) =>
  admin(`Identify: ${what}`, ({ page }) => ({ opcode: IDENTIFY, prp1: page(0), ...fields }), status, rest);
const get = (what: string, fields: Partial<Fields>, status: number, rest: Rest = {}) =>
  admin(`Get Features: ${what}`, () => ({ opcode: GET_FEATURES, ...fields }), status, rest);
const set = (what: string, fields: Partial<Fields>, status: number, rest: Rest = {}) =>
  admin(`Set Features: ${what}`, () => ({ opcode: SET_FEATURES, ...fields }), status, rest);
const log = (what: string, fields: Partial<Fields>, status: number, rest: Rest = {}) =>
  admin(`Get Log Page: ${what}`, ({ page }) => ({ opcode: GET_LOG, prp1: page(0), ...fields }), status, rest);
const cq = (what: string, fields: (at: Places) => Partial<Fields>, status: number, rest: Rest = {}) =>
  admin(
    `Create CQ: ${what}`,
    (at) => ({ opcode: 5, prp1: at.page(2), dw10: 1 | (15 << 16), dw11: 1, ...fields(at) }),
    status,
    rest,
  );
const sq = (what: string, fields: (at: Places) => Partial<Fields>, status: number, rest: Rest = {}) =>
  admin(
    `Create SQ: ${what}`,
    (at) => ({ opcode: 1, prp1: at.page(3), dw10: 1 | (15 << 16), dw11: 1 | (1 << 16), ...fields(at) }),
    status,
    rest,
  );

const NONE = 0xffff_ffff;
const SAVE = 0x8000_0000;

const MSIX_OFF = "QEMU takes vector 0 alone while MSI-X is off, which the device cannot see here";
const NOT_THERE = "QEMU has it: it is optional";
const BYTE_OFFSET = "QEMU takes any offset; NVMe 1.4, 4.3: dword aligned";
const UNMAPPED = "QEMU moves nothing and says that it did";
const FUSED_OR_SGL = "QEMU does not look at the flags of a command that moves nothing";

/** In this order: some rows stand on those before them. */
export const ANSWERS: readonly Answer[] = [
  identify("the controller", { dw10: 1 }, 0),
  identify("a namespace", { nsid: 1 }, 0),
  identify("a namespace that is not there", { nsid: 3 }, 0),
  identify("namespace 0", { nsid: 0 }, 0x400b),
  identify("a namespace above the limit", { nsid: 257 }, 0x400b),
  identify("all namespaces", { nsid: NONE }, 0x400b),
  identify("the list of namespaces", { dw10: 2 }, 0),
  identify("the list, above the last", { dw10: 2, nsid: 0xffff_fffd }, 0),
  identify("the list, above 0xfffffffe", { dw10: 2, nsid: 0xffff_fffe }, 0x400b),
  identify("descriptors", { dw10: 3, nsid: 1 }, 0),
  identify("descriptors of none", { dw10: 3, nsid: 3 }, 0x4002),
  identify("descriptors of namespace 0", { dw10: 3, nsid: 0 }, 0x400b),
  identify("descriptors of all", { dw10: 3, nsid: NONE }, 0x400b),
  identify("an unknown structure", { dw10: 0x20, nsid: 1 }, 0x4002),
  identify("by command set", { dw10: 6, nsid: 1 }, 0x4002, otherwise(0, NOT_THERE)),
  identify("allocated namespaces", { dw10: 0x10, nsid: 0 }, 0x4002, otherwise(0, NOT_THERE)),
  admin("Identify: fused", ({ page }) => ({ opcode: IDENTIFY, flags: 1, prp1: page(0), dw10: 1 }), 0x0002),
  admin("Identify: SGLs", ({ page }) => ({ opcode: IDENTIFY, flags: 0x40, prp1: page(0), dw10: 1 }), 0x4002),
  admin(
    "Identify: over two pages",
    ({ page }) => ({ opcode: IDENTIFY, prp1: page(0) + 8n, prp2: page(1), dw10: 1 }),
    0,
  ),
  admin(
    "Identify: PRP2 with an offset",
    ({ page }) => ({ opcode: IDENTIFY, prp1: page(0) + 8n, prp2: page(1) + 8n, dw10: 1 }),
    0x4013,
  ),
  admin(
    "Identify: PRP1 at a byte",
    ({ page }) => ({ opcode: IDENTIFY, prp1: page(0) + 1n, prp2: page(1), dw10: 1 }),
    0x4013,
    otherwise(0, BYTE_OFFSET),
  ),
  admin(
    "Identify: unmapped memory",
    ({ far }) => ({ opcode: IDENTIFY, prp1: far, dw10: 1 }),
    0x0004,
    otherwise(0, UNMAPPED),
  ),
  ...[3, 7, 0x10, 0x11, 0x14, 0x18, 0x7f, 0xc0, 0xff].map((opcode) =>
    admin(`opcode 0x${opcode.toString(16)}`, () => ({ opcode }), 0x4001),
  ),
  admin("opcode 0xff, fused", () => ({ opcode: 0xff, flags: 1 }), 0x4001),
  admin("Format NVM", () => ({ opcode: 0x80 }), 0x4001, otherwise(0x400b, NOT_THERE)),
  admin("Namespace Attachment", () => ({ opcode: 0x15 }), 0x4001, otherwise(0x400b, NOT_THERE)),

  get("arbitration", { dw10: 1 }, 0, { result: 7 }),
  get("power", { dw10: 2 }, 0, { result: 0 }),
  get("the temperature's threshold", { dw10: 4 }, 0, { result: 343 }),
  get("the lower threshold", { dw10: 4, dw11: 0x10_0000 }, 0, { result: 0 }),
  get("a threshold of another kind", { dw10: 4, dw11: 0x20_0000 }, 0x4002),
  get("a sensor that is not there", { dw10: 4, dw11: 0x1_0000 }, 0, { result: 0 }),
  get("error recovery", { dw10: 5, nsid: 1 }, 0, { result: 0 }),
  get("error recovery of namespace 0", { dw10: 5, nsid: 0 }, 0x400b),
  get("error recovery of none", { dw10: 5, nsid: 3 }, 0x4002),
  get("error recovery of all", { dw10: 5, nsid: NONE }, 0x400b),
  get("the write cache", { dw10: 6 }, 0, { result: 1 }),
  get("numbers of queues", { dw10: 7 }, 0, { result: 0x3f003f }),
  get("numbers of queues, default", { dw10: 7 | (1 << 8) }, 0, { result: 0x3f003f }),
  get("coalescing", { dw10: 8 }, 0, { result: 0 }),
  get("the admin queue's vector", { dw10: 9 }, 0, { result: 0x1_0000 }),
  get("a vector", { dw10: 9, dw11: 64 }, 0, { result: 64 }),
  get("a vector that is not there", { dw10: 9, dw11: 65 }, 0x4002),
  get("atomicity", { dw10: 10 }, 0, { result: 0 }),
  get("events", { dw10: 11 }, 0, { result: 0 }),
  get("whether the threshold can be changed", { dw10: 4 | (3 << 8) }, 0, { result: 4 }),
  get("whether error recovery can be changed", { dw10: 5 | (3 << 8), nsid: 1 }, 0, { result: 6 }),
  get("whether coalescing can be changed", { dw10: 8 | (3 << 8) }, 0, { result: 0 }),
  get("feature 0", { dw10: 0 }, 0x4002),
  get("feature 3", { dw10: 3 }, 0x4002),
  get("feature 0x1f", { dw10: 0x1f }, 0x4002),
  get("a timestamp", { dw10: 0x0e }, 0x4002, otherwise(0, NOT_THERE)),

  set("to be saved", { dw10: (6 | SAVE) >>> 0 }, 0x410d),
  set("an unknown one, to be saved", { dw10: (3 | SAVE) >>> 0 }, 0x410d),
  set("feature 3", { dw10: 3 }, 0x4002),
  set("coalescing", { dw10: 8 }, 0x410e),
  set("a vector", { dw10: 9 }, 0x410e),
  set("atomicity", { dw10: 10 }, 0x410e),
  set("arbitration", { dw10: 1, dw11: 7 }, 0, otherwise(0x410e, "QEMU's arbitration cannot be changed")),
  set("the power state", { dw10: 2 }, 0, otherwise(0x410e, "QEMU's power state cannot be changed")),
  set("the write cache of a namespace", { dw10: 6, nsid: 1 }, 0x410f),
  set("the write cache of none", { dw10: 6, nsid: 3 }, 0x410f),
  set("the write cache above the limit", { dw10: 6, nsid: 257 }, 0x400b),
  set("the write cache of all", { dw10: 6, nsid: NONE }, 0),
  get("and it is off", { dw10: 6 }, 0, { result: 0 }),
  set("error recovery", { dw10: 5, nsid: 2, dw11: 7 }, 0),
  get("and it is set", { dw10: 5, nsid: 2 }, 0, { result: 7 }),
  get("and not for the other", { dw10: 5, nsid: 1 }, 0, { result: 0 }),
  set("error recovery of all", { dw10: 5, nsid: NONE, dw11: 9 }, 0),
  get("and it is set", { dw10: 5, nsid: 1 }, 0, { result: 9 }),
  set("error recovery of namespace 0", { dw10: 5, nsid: 0 }, 0x400b),
  set("error recovery of none", { dw10: 5, nsid: 3 }, 0x4002),
  set("the temperature's threshold", { dw10: 4, dw11: 400 }, 0),
  get("and it is set", { dw10: 4 }, 0, { result: 400 }),
  set("the lower threshold", { dw10: 4, dw11: 0x10_0000 | 100 }, 0),
  get("and it is set", { dw10: 4, dw11: 0x10_0000 }, 0, { result: 100 }),
  set("a threshold of another kind", { dw10: 4, dw11: 0x20_0000 }, 0x4002),
  set("numbers of queues", { dw10: 7, dw11: 0x1_0003 }, 0, { result: 0x3f003f }),
  set("65536 submission queues", { dw10: 7, dw11: 0xffff }, 0x4002),
  set("65536 completion queues", { dw10: 7, dw11: 0xffff_0000 }, 0x4002),
  set("events", { dw10: 11, dw11: 2 }, 0),
  get("and it is set", { dw10: 11 }, 0, { result: 2 }),

  log("errors", { dw10: 1 | (15 << 16), nsid: NONE }, 0),
  log("health", { dw10: 2 | (127 << 16), nsid: NONE }, 0),
  log("health of a namespace", { dw10: 2 | (127 << 16), nsid: 1 }, 0),
  log("health of none", { dw10: 2 | (127 << 16), nsid: 3 }, 0x400b),
  log(
    "health of namespace 0",
    { dw10: 2 | (127 << 16), nsid: 0 },
    0,
    otherwise(0x400b, "NVMe 1.4, 5.14.1.2: 0 is the controller, as 0xffffffff is"),
  ),
  log("firmware", { dw10: 3 | (127 << 16), nsid: NONE }, 0),
  log("health, the end", { dw10: 2 | (3 << 16), nsid: NONE, dw12: 508 }, 0),
  log("health, behind the end", { dw10: 2 | (3 << 16), nsid: NONE, dw12: 512 }, 0x4002),
  log("health, far behind the end", { dw10: 2 | (3 << 16), nsid: NONE, dw13: 1 }, 0x4002),
  log("health, from a byte on", { dw10: 2 | (3 << 16), nsid: NONE, dw12: 2 }, 0x4002),
  log(
    "the second error",
    { dw10: 1 | (15 << 16), nsid: NONE, dw12: 64 },
    0,
    otherwise(0x4002, "QEMU keeps one error, and it is empty"),
  ),
  log("an unknown one", { dw10: 0x70, nsid: NONE }, 0x4109, otherwise(0x4002, "NVMe 1.4, 5.14: Invalid Log Page")),
  log("effects of commands", { dw10: 5, nsid: NONE }, 0x4109, otherwise(0, NOT_THERE)),

  admin("Abort: a command that is not there", () => ({ opcode: 8, dw10: 99 << 16 }), 0, { result: 1 }),
  admin("Abort: a queue that is not there", () => ({ opcode: 8, dw10: 9 }), 0x4002, { result: 1 }),

  sq("no completion queue", () => ({}), 0x4100),
  sq("completion queue 0", () => ({ dw11: 1 }), 0x4100),
  cq("queue 0", () => ({ dw10: 15 << 16 }), 0x4101),
  cq("above the number of queues", () => ({ dw10: 65 | (15 << 16) }), 0x4101),
  cq("one entry", () => ({ dw10: 1 }), 0x4102),
  cq("more than MQES", () => ({ dw10: 1 | (2048 << 16) }), 0x4102),
  cq("not at a page", ({ page }) => ({ prp1: page(2) + 64n }), 0x4013),
  cq("a vector that is not there", () => ({ dw11: 1 | (65 << 16) }), 0x4108),
  cq("not contiguous", () => ({ dw11: 0 }), 0x4002),
  cq("size, place, vector", ({ page }) => ({ prp1: page(2) + 64n, dw10: 1 | (2048 << 16), dw11: 65 << 16 }), 0x4102),
  cq("place, vector", ({ page }) => ({ prp1: page(2) + 64n, dw11: 65 << 16 }), 0x4013),
  cq("vector, not contiguous", () => ({ dw11: 65 << 16 }), 0x4108),
  cq("vector 64", () => ({ dw10: 7 | (15 << 16), dw11: 1 | (64 << 16) }), 0, otherwise(0x4108, MSIX_OFF)),
  cq("good", () => ({}), 0),
  cq("once more", () => ({}), 0x4101),
  sq("queue 0", () => ({ dw10: 15 << 16 }), 0x4101),
  sq("above the number of queues", () => ({ dw10: 65 | (15 << 16) }), 0x4101),
  sq("one entry", () => ({ dw10: 1 }), 0x4102),
  sq("not at a page", ({ page }) => ({ prp1: page(3) + 64n }), 0x4013),
  sq("not contiguous", () => ({ dw11: 1 << 16 }), 0x4002),
  sq("queue 0, completion queue 0", () => ({ dw10: 15 << 16, dw11: 1 }), 0x4100),
  sq("good", () => ({}), 0),
  sq("once more", () => ({}), 0x4101),
  set("numbers of queues while there are some", { dw10: 7, dw11: 0 }, 0x400c),
  admin("Delete CQ: still used", () => ({ opcode: 4, dw10: 1 }), 0x010c),
  admin(
    "Delete CQ: queue 0",
    () => ({ opcode: 4, dw10: 0 }),
    0x4101,
    otherwise(0x4100, "NVMe 1.4, 5.5: Invalid Queue Identifier"),
  ),
  admin(
    "Delete CQ: none",
    () => ({ opcode: 4, dw10: 33 }),
    0x4101,
    otherwise(0x4100, "NVMe 1.4, 5.5: Invalid Queue Identifier"),
  ),
  admin("Delete SQ: queue 0", () => ({ opcode: 0, dw10: 0 }), 0x4101),
  admin("Delete SQ: none", () => ({ opcode: 0, dw10: 33 }), 0x4101),
  admin("Delete SQ", () => ({ opcode: 0, dw10: 1 }), 0),
  admin("Delete CQ", () => ({ opcode: 4, dw10: 1 }), 0),

  io("Read", () => ({ opcode: 2 }), 0),
  io("Read: namespace 0", () => ({ opcode: 2, nsid: 0 }), 0x400b),
  io("Read: a namespace that is not there", () => ({ opcode: 2, nsid: 3 }), 0x4002),
  io("Read: above the limit", () => ({ opcode: 2, nsid: 257 }), 0x400b),
  io("Read: all namespaces", () => ({ opcode: 2, nsid: NONE }), 0x4002),
  io("Read: the last block", () => ({ opcode: 2, dw10: 2047 }), 0),
  io("Read: behind the end", () => ({ opcode: 2, dw10: 2048 }), 0x4080),
  io("Read: across the end", () => ({ opcode: 2, dw10: 2047, dw12: 1 }), 0x4080),
  io("Read: block 2^32", () => ({ opcode: 2, dw11: 1 }), 0x4080),
  io("Read: block 2^64 - 1", () => ({ opcode: 2, dw10: NONE, dw11: NONE }), 0x4080),
  io("Read: too much, and behind the end", () => ({ opcode: 2, dw10: 2047, dw12: 2000 }), 0x4002),
  io("Read: more than MDTS", () => ({ opcode: 2, dw12: 1024 }), 0x4002),
  io("Read: MDTS, by a list that is not mapped", ({ far }) => ({ opcode: 2, dw12: 1023, prp2: far }), 0x4004),
  io("Read: fused", () => ({ opcode: 2, flags: 1 }), 0x0002),
  io(
    "Read: SGLs",
    () => ({ opcode: 2, flags: 0x40 }),
    0x4002,
    otherwise(0x400f, "QEMU has SGLs, and this one is wrong"),
  ),
  io("Read: PRP1 at 4", ({ page }) => ({ opcode: 2, prp1: page(0) + 4n }), 0),
  io("Read: PRP1 at a byte", ({ page }) => ({ opcode: 2, prp1: page(0) + 1n }), 0x4013, otherwise(0, BYTE_OFFSET)),
  io("Read: PRP2 with an offset", ({ page }) => ({ opcode: 2, dw12: 15, prp2: page(1) + 8n }), 0x4013),
  io(
    "Read: a list at 4",
    ({ page }) => ({ opcode: 2, dw12: 23, prp2: page(4) + 4n }),
    0x4013,
    otherwise(0, "NVMe 1.4, 4.3: a list begins at a multiple of 8"),
  ),
  io("Read: unmapped memory", ({ far }) => ({ opcode: 2, prp1: far }), 0x0004, otherwise(0, UNMAPPED)),
  io("Write: unmapped memory", ({ far }) => ({ opcode: 1, prp1: far }), 0x0004, otherwise(0, UNMAPPED)),
  io(
    "Read: an unmapped second page",
    ({ far }) => ({ opcode: 2, dw12: 15, prp2: far }),
    0x0004,
    otherwise(0, UNMAPPED),
  ),
  io("Write", ({ page }) => ({ opcode: 1, dw10: 8, dw12: 7, prp1: page(1) }), 0),
  io("Compare: the same", ({ page }) => ({ opcode: 5, dw10: 8, dw12: 7, prp1: page(1) }), 0),
  io("Compare: other bytes", ({ page }) => ({ opcode: 5, dw10: 0, dw12: 7, prp1: page(1) }), 0x0285),
  io("Compare: behind the end", () => ({ opcode: 5, dw10: 2048 }), 0x4080),
  io("Compare: more than MDTS", () => ({ opcode: 5, dw12: 1024 }), 0x4002),
  io("Compare: unmapped memory", ({ far }) => ({ opcode: 5, prp1: far }), 0x0004, otherwise(0, UNMAPPED)),
  io("Write Zeroes", () => ({ opcode: 8, dw10: 8 }), 0),
  io("Write Zeroes: behind the end", () => ({ opcode: 8, dw10: 2048 }), 0x4080),
  io("Write Zeroes: more than MDTS", () => ({ opcode: 8, dw12: 2047 }), 0),
  io("Write Zeroes: SGLs", () => ({ opcode: 8, flags: 0x40 }), 0x4002, otherwise(0, FUSED_OR_SGL)),
  io("Dataset Management: nothing to deallocate", ({ far }) => ({ opcode: 9, prp1: far }), 0),
  io(
    "Dataset Management: unmapped ranges",
    ({ far }) => ({ opcode: 9, prp1: far, dw11: 4 }),
    0x0004,
    otherwise(0, UNMAPPED),
  ),
  io("Dataset Management: no blocks", () => ({ opcode: 9, dw11: 4, dw10: 0 }), 0),
  io(
    "Dataset Management: behind the end",
    ({ page }) => ({ opcode: 9, dw11: 4, prp1: page(5) }),
    0x4080,
    otherwise(0, "QEMU leaves such ranges out"),
  ),
  io("Flush", () => ({ opcode: 0 }), 0),
  io("Flush: all namespaces", () => ({ opcode: 0, nsid: NONE }), 0),
  io("Flush: namespace 0", () => ({ opcode: 0, nsid: 0 }), 0x400b),
  io("Flush: a namespace that is not there", () => ({ opcode: 0, nsid: 3 }), 0x4002),
  io("Flush: above the limit", () => ({ opcode: 0, nsid: 257 }), 0x400b),
  io("Flush: fused", () => ({ opcode: 0, flags: 1 }), 0x0002, otherwise(0, FUSED_OR_SGL)),
  ...[3, 4, 6, 7, 0x0a, 0x0d, 0x55, 0x7a, 0xff].map((opcode) =>
    io(`opcode 0x${opcode.toString(16)}`, () => ({ opcode }), 0x4001),
  ),
  io("an unknown opcode, on a namespace that is not there", () => ({ opcode: 0x55, nsid: 3 }), 0x4002),
  io("Verify", () => ({ opcode: 0x0c }), 0x4001, otherwise(0, NOT_THERE)),
  io("Copy", () => ({ opcode: 0x19 }), 0x4001, otherwise(0, NOT_THERE)),
];

/** Bytes that rows find in the host's memory, by page. */
export const CONTENTS: readonly { readonly page: number; readonly bytes: Uint8Array }[] = [
  { page: 1, bytes: new Uint8Array(4096).fill(9) },
  // A range of one block, behind the end of namespace 1.
  { page: 5, bytes: Uint8Array.of(0, 0, 0, 0, 1, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0) },
];

/** Of the controllers that rows are asked on. */
export const NAMESPACES = [
  { blocks: 2048, blockBytes: 512 },
  { blocks: 256, blockBytes: 4096 },
] as const;
