/** How much garbage an operation leaves. For programs of their own, with --expose-gc and --no-concurrent-recompilation. */

/** Operations of a round. */
export const ROUND = 4096;

/** Bytes for each operation: the least of twenty rounds, which are too short for a collection of their own. `before`: rounds until it is compiled. */
export function measure(run: () => number, before = 500): number {
  for (let i = 0; i < before; i++) if (run() === 0) throw new Error("no operation went well");
  const used: number[] = [];
  for (let i = 0; i < 20; i++) {
    globalThis.gc?.();
    const start = process.memoryUsage().heapUsed;
    run();
    used.push(process.memoryUsage().heapUsed - start);
  }
  return Math.min(...used) / ROUND;
}

/** A function of its own for each operation, so that each is compiled for one kind of argument. Gives how often it said yes. */
export function rounds(operation: (i: number) => boolean): () => number {
  return new Function(
    "operation",
    `return () => { let yes = 0; for (let i = 0; i < ${ROUND}; i++) if (operation(i)) yes++; return yes; };`,
  )(operation);
}
