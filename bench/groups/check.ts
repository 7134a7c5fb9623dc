/** Requests held against a window: whether each lies in it, and which TCE it begins at. */
import { coreBuild } from "../../src/core.ts";
import { row } from "../harness/goals.ts";
import { type Bench, type Figure, fastest, figures, type Group } from "../harness/group.ts";
import { inJavaScript } from "../harness/loop.ts";
import type { Contender } from "../harness/rounds.ts";
import { inC } from "../rivals/native.ts";
import { mustEqual, spoil } from "../tables/batch.ts";
import { inCore, NONE, PAGE_SHIFT, type Requests, requestsFor, SIZE, START } from "../tables/requests.ts";

/** The core, and the same in C on the same columns. */
function withRivals(bench: Bench, requests: Requests): Contender[] {
  const { core, ours, iovas, lengths, indexes, checks } = inCore("the core", coreBuild, requests);
  const count = requests.iovas.length;
  const rivals = [bench.rivals.native, bench.rivals.portable].flatMap((rival) =>
    rival === undefined
      ? []
      : (["comparing", "signs", "one comparison"] as const).map((how) =>
          inC(rival, {
            kernel: `check_by_${how.replace(" ", "_")}`,
            how: `by ${how}`,
            memory: () => core.bytes(),
            parameters: [START, START + SIZE - 1n, PAGE_SHIFT, iovas.pointer, lengths.pointer, indexes.pointer, count],
            expected: BigInt(requests.inside),
            ...checks,
          }),
        ),
  );
  return [ours, ...rivals];
}

/** Exact for every u64, as the core is. */
function withBigInts({ iovas, lengths, indexes, inside }: Requests): Contender[] {
  const output = new BigUint64Array(iovas.length);
  const work = (name: string, test: string): Contender =>
    inJavaScript({
      name,
      once: `for (let i = 0; i < ${iovas.length}; i++) {
        const iova = iovas[i];
        const length = lengths[i];
        ${test} { output[i] = (iova - start) >> shift; sum++; } else output[i] = none;
      }`,
      scope: {
        iovas,
        lengths,
        output,
        start: START,
        end: START + SIZE,
        shift: BigInt(PAGE_SHIFT),
        none: NONE,
        size: SIZE,
      },
      expected: inside,
      spoil: () => spoil(output),
      verify: () => mustEqual(name, output, indexes),
    });
  return [
    work("JavaScript: bigints", "if (length > 0n && iova >= start && iova + length <= end)"),
    work(
      "JavaScript: bigints, asUintN",
      "const offset = BigInt.asUintN(64, iova - start); if (length > 0n && offset < size && length <= size - offset)",
    ),
  ];
}

/** Numbers, in a window that begins at 0: from 2^53 on they are not exact, and a window at 1 << 59 is out of their reach. */
function withNumbers(requests: Requests): Contender {
  const count = requests.iovas.length;
  const iovas = Float64Array.from(requests.iovas, (iova) => Number(BigInt.asIntN(64, iova - START)));
  const lengths = Float64Array.from(requests.lengths, Number);
  const expected = Float64Array.from(requests.indexes, (index) => (index === NONE ? -1 : Number(index)));
  const output = new Float64Array(count);
  const name = "JavaScript: numbers, inexact";
  return inJavaScript({
    name,
    once: `for (let i = 0; i < ${count}; i++) {
      const iova = iovas[i];
      const length = lengths[i];
      if (length > 0 && iova >= 0 && iova + length <= ${Number(SIZE)}) {
        output[i] = Math.floor(iova / ${2 ** PAGE_SHIFT});
        sum++;
      } else output[i] = -1;
    }`,
    scope: { iovas, lengths, output },
    expected: requests.inside,
    spoil: () => output.fill(Number.NaN),
    verify: () => mustEqual(name, output, expected),
  });
}

async function atSize(bench: Bench, count: number): Promise<Figure[]> {
  bench.say(`check: making ${count} requests`);
  const requests = requestsFor(count, bench.random);
  const contenders = [
    ...withRivals(bench, requests),
    inCore("the scalar core", "core.scalar", requests).ours,
    withNumbers(requests),
    ...withBigInts(requests),
  ];
  return figures(await bench.compete(`check, ${count} requests`, contenders), count, count);
}

export const check: Group = {
  name: "check",
  title: "Requests held against a window: inside or not, and the TCE",
  unit: "ns per request",
  sizes: "requests in a batch",
  rows: ["check-batch-64k-vs-c-native", "check-batch-64k-vs-c-x86-64-v2", "batch-vs-js-bigint"],
  run: async (bench) => {
    const found: Figure[] = [];
    for (const count of [1024, 65536, 1048576]) found.push(...(await atSize(bench, count)));
    const ours = fastest(found, "the core", 65536);
    const rows = (
      [
        ["check-batch-64k-vs-c-native", "C -O3 -march=native"],
        ["check-batch-64k-vs-c-x86-64-v2", "C -O3 -march=x86-64-v2"],
        ["batch-vs-js-bigint", "JavaScript: bigints"],
      ] as const
    ).flatMap(([name, begins]) => {
      const rival = fastest(found, begins, 65536);
      return ours && rival ? [row(name, ours.minimum, rival.minimum, rival.contender)] : [];
    });
    return { figures: found, rows };
  },
};
