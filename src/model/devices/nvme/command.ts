import type { CompletionQueue } from "./completion-queue.ts";
import { Status } from "./status.ts";

/** The bytes of an entry in a submission queue. */
export const ENTRY_BYTES = 64;

/** The submission queue that a command comes from. */
export interface CommandSource {
  readonly id: number;
  /** How far the controller has come: completions say so. */
  readonly head: number;
  readonly completions: CompletionQueue;
  /** Commands that were taken and are not completed. */
  inFlight: number;
}

/** A command that was fetched: its entry, taken apart, and what came of it. The objects are used again. */
export class Command {
  queue: CommandSource | undefined;
  opcode = 0;
  /** FUSE in bits 1:0, PSDT in 7:6. */
  flags = 0;
  id = 0;
  nsid = 0;
  prp1 = 0n;
  prp2 = 0n;
  /** Their low halves: what is asked of offsets is asked of these. */
  prp1Low = 0;
  prp2Low = 0;
  dw10 = 0;
  dw11 = 0;
  dw12 = 0;
  dw13 = 0;
  /** The first word of the completion. */
  result = 0;
  /** The command has been carried out, and this is its status; until then `undefined`. Only where completions take their time. */
  status: number | undefined;
  /** It waits for an event, and keeps no place in its completion queue. */
  awaitsEvent = false;

  /** @param at where the entry begins; all of it is there */
  take(queue: CommandSource, from: DataView, at: number): void {
    const head = from.getUint32(at, true);
    this.queue = queue;
    this.opcode = head & 0xff;
    this.flags = (head >>> 8) & 0xff;
    this.id = head >>> 16;
    this.nsid = from.getUint32(at + 4, true);
    this.prp1Low = from.getUint32(at + 24, true);
    this.prp1 = from.getBigUint64(at + 24, true);
    this.prp2Low = from.getUint32(at + 32, true);
    // Most commands have none, and a bigint is an object.
    this.prp2 = this.prp2Low === 0 && from.getUint32(at + 36, true) === 0 ? 0n : from.getBigUint64(at + 32, true);
    this.dw10 = from.getUint32(at + 40, true);
    this.dw11 = from.getUint32(at + 44, true);
    this.dw12 = from.getUint32(at + 48, true);
    this.dw13 = from.getUint32(at + 52, true);
    this.result = 0;
    this.status = undefined;
    this.awaitsEvent = false;
  }
}

/** FUSE and PSDT. */
const FUSED = 0x03;
const SGLS = 0xc0;

/** Commands are neither fused here, nor do they take SGLs. */
export function flagStatus({ flags }: Command): number {
  if ((flags & SGLS) !== 0) return Status.INVALID_FIELD;
  return (flags & FUSED) === 0 ? Status.SUCCESS : Status.FUSED;
}
