/** Many maps, a batch at a time, with the event loop running between two batches: all of them, or none. */
import { core, Owner } from "../core.ts";
import { argumentTypeError, DmaWindowError, leftBy, withResidue } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import { bytes, hex } from "../hex.ts";
import { LongWork, type LongWorkOptions, turn } from "../long-work.ts";
import type { Segment } from "../memory/segment.ts";
import type { IovaMode } from "../plan/index.ts";
import { size } from "../validate.ts";
import { rows } from "./columns.ts";
import type { Among } from "./failures.ts";
import { performMaps } from "./maps.ts";
import { type MapRequest, writeMaps, writeUnmaps } from "./requests.ts";
import type { Target } from "./target.ts";
import { performUnmaps } from "./unmaps.ts";

const OPERATION = "window.mapManyAsync";

/** A batch has so many requests at most, and not more than the kernel pins in some ten milliseconds, where a request has not more. */
const BATCH = 1024;
const BATCH_BYTES = 1n << 28n;

/** The window, while it is open. */
export interface MapTarget {
  readonly target: Target;
  readonly iovaMode: IovaMode;
  readonly closed: boolean;
}

/** What is mapped by now, and where it began. */
interface Made {
  readonly va: bigint;
  readonly iova: bigint;
  readonly length: bigint;
}

/** Gives the IOVAs, in the order of the requests. @throws as `window.mapManyAsync`. */
export async function mapLater(
  given: readonly (MapRequest | Segment)[],
  window: MapTarget,
  options: LongWorkOptions,
): Promise<bigint[]> {
  if (!Array.isArray(given)) throw argumentTypeError("requests", "an array", given);
  const requests = Array.from(given); // what the program does to its array meanwhile is nothing to us
  const lengths = requests.map((request, i) => size(`requests[${i}].length`, request?.length));
  const work = new LongWork(
    OPERATION,
    lengths.reduce((sum, length) => sum + length, 0n),
    options,
  );
  const made: Made[] = [];
  try {
    for (let at = 0; at < requests.length; ) {
      const end = endOfBatch(lengths, at);
      const batch = requests.slice(at, end);
      const iovas = exclusively(OPERATION, () => {
        if (window.closed) throw new DmaWindowError("ERR_CLOSED", "the window is closed");
        return mapRequests(window, batch, { first: at, count: requests.length });
      });
      made.push(...iovas.map((iova, i) => ({ va: batch[i]?.va ?? 0n, iova, length: lengths[at + i] ?? 0n })));
      await work.did(lengths.slice(at, end).reduce((sum, length) => sum + length, 0n));
      at = end;
    }
    return made.map(({ iova }) => iova);
  } catch (error) {
    throw withResidue(error, await undo(made, window));
  }
}

function endOfBatch(lengths: readonly bigint[], from: number): number {
  let at = from;
  for (let sum = 0n; at < lengths.length && at - from < BATCH && (at === from || sum < BATCH_BYTES); at++) {
    sum += lengths[at] as bigint;
  }
  return at;
}

/** Maps all of them, or none, in one crossing. Gives their IOVAs. */
export function mapRequests(
  { target, iovaMode }: Omit<MapTarget, "closed">,
  requests: readonly (MapRequest | Segment)[],
  among?: Among,
): bigint[] {
  const count = writeMaps(target, iovaMode, requests);
  performMaps(target, count, Owner.PROGRAM, among);
  return [...rows(count).iovas];
}

/** Unmaps what is still as it was made: the program may have unmapped some meanwhile. Gives a sentence for each that stays. */
async function undo(made: readonly Made[], window: MapTarget): Promise<string[]> {
  const left: string[] = [];
  for (let end = made.length; end > 0 && !window.closed; end -= BATCH) {
    const batch = made.slice(Math.max(0, end - BATCH), end).reverse();
    exclusively(OPERATION, () => left.push(...unmapLive(window.target, batch)));
    await turn();
  }
  return left;
}

/** All in one crossing; where that fails, each by itself. */
function unmapLive(target: Target, made: readonly Made[]): string[] {
  const isLive = ({ va, iova }: Made) => core.windowReverse(target.window, iova) === va;
  const unmap = (these: readonly Made[]) => performUnmaps(target, writeUnmaps(target, these), Owner.PROGRAM);
  const live = made.filter(isLive);
  if (live.length === 0) return [];
  const said = leftBy(() => unmap(live));
  const still = live.filter(isLive);
  if (still.length === 0) return [...said];
  return still.flatMap((one) =>
    leftBy(() => unmap([one]), `${bytes(one.length)} at IOVA ${hex(one.iova)} is still mapped`),
  );
}
