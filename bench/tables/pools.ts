/** Pools of ours in use, as mempool.c uses DPDK's. */
import type { Work } from "../harness/loop.ts";
import type { Random } from "../harness/random.ts";

export const PAIRS = 4096;
export const BULK = 32;
export const HELD = 4096;
export const OBJECTS = 16384;

/** A pool, however it is called: expressions, made of other expressions and the words of the scope. */
export interface PoolInUse {
  /** An expression: a handle above 0. */
  readonly get: string;
  /** A statement. */
  readonly put: (handle: string) => string;
  /** An expression: how many were got, of {@link BULK}. */
  readonly getMany: string;
  /** A statement that puts back what getMany got. */
  readonly putMany: string;
  readonly scope: Readonly<Record<string, unknown>>;
  /** Takes one; not measured. */
  readonly take: () => number;
  readonly slotOf: (handle: number) => number;
  readonly freeCount: () => number;
  readonly close: () => void;
}

function mustHave(name: string, pool: PoolInUse, free: number): void {
  if (pool.freeCount() !== free) throw new Error(`${name} has ${pool.freeCount()} free objects, not ${free}`);
}

export function pairsOf(name: string, pool: PoolInUse): Work {
  const free = pool.freeCount();
  return {
    name,
    once: `for (let i = 0; i < ${PAIRS}; i++) {
      const handle = ${pool.get};
      sum += handle > 0 ? 1 : 0;
      ${pool.put("handle")}
    }`,
    scope: pool.scope,
    expected: PAIRS,
    verify: () => mustHave(name, pool, free),
  };
}

/** {@link HELD} are held from now on. */
export function exchangesOf(name: string, pool: PoolInUse, random: Random): Work {
  const held = Int32Array.from({ length: HELD }, () => pool.take());
  const order = Int32Array.from({ length: PAIRS }, () => random.below(HELD));
  return {
    name,
    once: `for (let i = 0; i < ${PAIRS}; i++) {
      const at = order[i];
      ${pool.put("held[at]")}
      const handle = ${pool.get};
      held[at] = handle;
      sum += handle > 0 ? 1 : 0;
    }`,
    scope: { ...pool.scope, held, order },
    expected: PAIRS,
    verify: () => {
      if (new Set(Array.from(held, pool.slotOf)).size !== HELD) throw new Error(`${name}: an object has two owners`);
    },
  };
}

export function bulkOf(name: string, pool: PoolInUse): Work {
  const free = pool.freeCount();
  return {
    name,
    once: `for (let i = 0; i < ${PAIRS / BULK}; i++) {
      sum += ${pool.getMany};
      ${pool.putMany}
    }`,
    scope: pool.scope,
    expected: PAIRS,
    verify: () => mustHave(name, pool, free),
  };
}
