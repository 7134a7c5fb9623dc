/** A memory is attached a step at a time, with the event loop running between two steps. */
import { DmaWindowError, withResidue } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import { type LongWork, turn } from "../long-work.ts";
import type { Attachment } from "./attachment.ts";

const OPERATION = "container.attachAsync";

/**
 * Maps what is in the memory. `attachment` is prepared, and known to its container; where this throws it is dropped, and `forget` tells
 * the container.
 */
export async function attachLater(attachment: Attachment, work: LongWork, forget: () => void): Promise<void> {
  try {
    let from: bigint | undefined = 0n;
    let first = 0;
    while (from !== undefined) {
      const at: bigint = from;
      const step = exclusively(OPERATION, () => attachment.mapNext(at, first));
      first += step.count;
      await work.did(step.length);
      if (!attachment.isAttached) throw ended();
      from = step.next;
    }
    attachment.isWhole = true;
  } catch (error) {
    if (!attachment.isAttached) throw error; // whoever ended it has unmapped all
    throw withResidue(error, await undo(attachment, forget));
  }
}

async function undo(attachment: Attachment, forget: () => void): Promise<string[]> {
  const left: string[] = [];
  let from: bigint | undefined = 0n;
  while (from !== undefined && attachment.isAttached) {
    const at: bigint = from;
    from = exclusively(OPERATION, () => attachment.unmapNext(at, left)).next;
    if (from !== undefined) await turn();
  }
  if (!attachment.isAttached) return [];
  attachment.drop(left.length === 0);
  forget();
  return left;
}

function ended(): DmaWindowError {
  return new DmaWindowError(
    "ERR_NOT_ATTACHED",
    "the memory was detached, or its window closed, while it was being attached: await container.attachAsync() first",
  );
}
