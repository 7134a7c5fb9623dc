/**
 * The depot: three lock-free stacks of magazines, and how a magazine changes hands so that it is known whose it is when its worker
 * is killed at any instruction.
 *
 * The magazines of a worker are those in `loaded`, `previous` and `third` of its record; `hand` only repeats one of them. One that
 * is on its way lies in `third`, and `attempt` is the head that the worker is about to write; 0: nothing is on its way.
 *
 *     take     attempt = head', third = magazine, compare-exchange, attempt = 0
 *     push     third is the magazine, attempt = head', compare-exchange, third = 0, attempt = 0
 *
 * Whether the attempt of a worker that is gone succeeded must not be guessed: a magazine that is in the depot and with somebody has
 * two owners, one that is with neither is lost. It is known, because a head names the worker that wrote it, and **whoever replaces a
 * head writes down first which one that is** (`SEEN`, a row for each worker, which that one alone writes). So the attempt succeeded
 * if it is the head, or if somebody has seen it; and otherwise it did not:
 *
 *     it is the head                 only that worker writes heads with its number, and each has another tag
 *     it was replaced, by h          h wrote it down before that. What h sees later of the same worker would be a later head, and
 *                                    there is none: the attempt is the last thing that the worker did
 *     it was never written           then nobody has seen it: a worker tries again only with another tag
 *
 * The head is looked at first: if it is replaced after that, it was the head when it was looked at. What h wrote down is there by
 * then, because the head that is read comes from h's compare-exchange, or from a later one.
 *
 * A magazine's `next` may be read here while a new owner writes it. Then the head has another tag by now, and the compare-exchange
 * fails. Tags go round after 2^40 exchanges, so a worker would have to sleep through exactly so many.
 */
import {
  headOf,
  MAGAZINE_SHIFT,
  magazine,
  NUMBER_BITS,
  PUSH,
  SEEN,
  shared,
  WORKER_BITS,
  Word,
  worker,
  workerOf,
} from "./shared-layout";

/** Where a worker writes down the heads of a stack that it replaces: those that another one wrote. */
function seenAt(self: u32, stack: u32, writer: u32): u32 {
  return self + SEEN + (stack << 9) + (writer << 3);
}

/** The number of the magazine on top: the low bits of a head. */
function numberIn(head: u64): u32 {
  return <u32>head & ((1 << (<u32>NUMBER_BITS)) - 1);
}

/** Makes `number` the top of a stack, if that is still as it was seen; by the order of stores that is drawn above. */
function replace(self: u32, stack: u32, seen: u64, number: u32, at: u32): bool {
  const all = worker(self);
  store<u64>(seenAt(self, stack, <u32>(seen >> NUMBER_BITS) & ((1 << (<u32>WORKER_BITS)) - 1)), seen);
  const tag = (seen >> (NUMBER_BITS + WORKER_BITS)) + 1;
  const attempt = (((tag << WORKER_BITS) | all.id) << NUMBER_BITS) | number;
  all.attempt = attempt;
  all.third = at;
  return Word.swap(headOf(all.pool, stack), seen, attempt);
}

/** Takes a magazine from a stack into `third`, which is empty; false when there is none. */
export function take(self: u32, stack: u32): bool {
  const all = worker(self);
  all.stack = stack;
  while (true) {
    const seen = atomic.load<u64>(headOf(all.pool, stack));
    const number = numberIn(seen);
    if (number == 0) {
      all.third = 0;
      all.attempt = 0;
      return false;
    }
    const at = shared(all.pool).magazines + (number << MAGAZINE_SHIFT);
    if (replace(self, stack, seen, magazine(at).next, at)) break;
  }
  all.attempt = 0;
  return true;
}

/** Gives the magazine in `third` to a stack. */
export function push(self: u32, stack: u32): void {
  const all = worker(self);
  const at = all.third;
  all.stack = stack | PUSH;
  while (true) {
    const seen = atomic.load<u64>(headOf(all.pool, stack));
    magazine(at).next = numberIn(seen);
    if (replace(self, stack, seen, (at - shared(all.pool).magazines) >> MAGAZINE_SHIFT, at)) break;
  }
  all.third = 0;
  all.attempt = 0;
}

/** Exchanges `loaded` and `previous`. At each step each of them is in some place, and what is in two places is one magazine. */
export function exchangePrevious(self: u32): void {
  const all = worker(self);
  all.hand = all.loaded;
  all.loaded = all.previous;
  all.previous = all.hand;
  all.hand = 0;
}

/** Exchanges `loaded` and `third`, likewise. */
export function exchangeThird(self: u32): void {
  const all = worker(self);
  all.hand = all.loaded;
  all.loaded = all.third;
  all.third = all.hand;
  all.hand = 0;
}

/**
 * Decides the attempt of a worker that is gone, and finishes its exchange: then no magazine is in two places. Whoever does this may
 * be killed too, and the next one begins again.
 */
export function settleMagazines(self: u32): void {
  const all = worker(self);
  if (all.attempt != 0) {
    // A take that failed has got nothing, and a push that succeeded has nothing left.
    if (hasSucceeded(self) == ((all.stack & PUSH) != 0)) all.third = 0;
    all.attempt = 0;
  }
  const hand = all.hand;
  if (hand != 0 && hand != all.loaded) {
    // `loaded` has the other one by now; the place that it came from has it still, or has got this one.
    if (all.previous == all.loaded) all.previous = hand;
    else if (all.third == all.loaded) all.third = hand;
  }
  all.hand = 0;
  // One that was being put into its place, or given away from it.
  if (all.third == all.loaded || all.third == all.previous) all.third = 0;
}

function hasSucceeded(self: u32): bool {
  const all = worker(self);
  const stack = all.stack & ~PUSH;
  if (atomic.load<u64>(headOf(all.pool, stack)) == all.attempt) return true;
  for (let id = shared(all.pool).workers; id != 0; id--) {
    if (load<u64>(seenAt(workerOf(all.pool, id), stack, all.id)) == all.attempt) return true;
  }
  return false;
}
