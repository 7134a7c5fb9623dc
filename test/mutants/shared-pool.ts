/** Ways to break the pool that workers share. */
import type { Mutant } from "./mutants.ts";

const pairs = "test/worker/pairs.test.ts";

export const sharedPoolMutants: readonly Mutant[] = [
  {
    broken: "whoever replaces a head of the depot does not write down what it saw",
    file: "assembly/alloc/shared-depot.ts",
    from: "  store<u64>(seenAt(self, stack, <u32>(seen >> NUMBER_BITS) & ((1 << (<u32>WORKER_BITS)) - 1)), seen);\n",
    to: "",
    noticedBy: pairs,
  },
  {
    broken: "an attempt that is the head is taken for one that failed",
    file: "assembly/alloc/shared-depot.ts",
    from: "  if (atomic.load<u64>(headOf(all.pool, stack)) == all.attempt) return true;\n",
    to: "",
    noticedBy: pairs,
  },
  {
    broken: "heads of the depot have no tags",
    file: "assembly/alloc/shared-depot.ts",
    from: "const tag = (seen >> (NUMBER_BITS + WORKER_BITS)) + 1;",
    to: "const tag = seen >> (NUMBER_BITS + WORKER_BITS);",
    noticedBy: pairs,
  },
  {
    broken: "an exchange that was not finished loses a magazine",
    file: "assembly/alloc/shared-depot.ts",
    from: "    else if (all.third == all.loaded) all.third = hand;\n",
    to: "",
    noticedBy: pairs,
  },
  {
    broken: "a put that was not finished loses its handle",
    file: "assembly/alloc/shared-workers.ts",
    from: "if (isFreed && last != putting) {",
    to: "if (false) {",
    noticedBy: pairs,
  },
  {
    broken: "a put that another worker did is taken for the one that was not finished",
    file: "assembly/alloc/shared-workers.ts",
    from: "load<u64>(shared(all.pool).cellOf(putting)) == (all.stamp | <u64>(FREE | putting))",
    to: "load<u32>(shared(all.pool).cellOf(putting)) == (FREE | putting)",
    noticedBy: pairs,
  },
  {
    broken: "a get that was not finished leaves its handle in the magazine",
    file: "assembly/alloc/shared-workers.ts",
    from: "} else if (top != 0 && load<u32>(shared(all.pool).cellOf(last)) != (FREE | last)) {",
    to: "} else if (false) {",
    noticedBy: pairs,
  },
  {
    broken: "a compare-exchange of the shared pool is a load and a store",
    file: "assembly/alloc/shared-layout.ts",
    from: "    return atomic.cmpxchg<u64>(at, expected, wanted) == expected;",
    to: "    if (load<u64>(at) != expected) return false;\n    store<u64>(at, wanted);\n    return true;",
    noticedBy: pairs,
  },
];
