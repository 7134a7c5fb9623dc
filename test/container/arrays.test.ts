/** Batches from arrays do what batches of objects do: the same calls, the same maps, the same errors. */
import vm from "node:vm";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { RequestRows, Window } from "../../src/container/window.ts";
import { NO_ADDRESS } from "../../src/core.ts";
import { agree, refusedUnseen, stateOf } from "../support/agreement.ts";
import { failure, thrownBy } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { readyOnType1, readyWithoutIommu } from "../support/other-iommus.ts";
import { GiB, MiB, Program, ready } from "../support/program.ts";

const PAGE = 4096n;

/** The arrays of a batch: the caller's own, or the core's. */
type Arrays = Pick<RequestRows, "vas" | "iovas" | "lengths" | "permissions" | "indexes" | "capacity">;

function own(capacity: number): Arrays {
  const column = () => new BigUint64Array(capacity).fill(NO_ADDRESS);
  const permissions = new Uint32Array(capacity).fill(3);
  return {
    capacity,
    vas: column(),
    iovas: column(),
    lengths: new BigUint64Array(capacity),
    permissions,
    indexes: column(),
  };
}

/** Of a context that has classes of its own: no `instanceof` of ours knows them. */
function foreign(capacity: number): Arrays {
  const columns = `({
    vas: new BigUint64Array(${capacity}), iovas: new BigUint64Array(${capacity}), lengths: new BigUint64Array(${capacity}),
    permissions: new Uint32Array(${capacity}).fill(3), indexes: new BigUint64Array(${capacity}),
  })`;
  const arrays = vm.runInNewContext(columns) as Omit<Arrays, "capacity">;
  assert.not(arrays.vas instanceof BigUint64Array);
  for (const column of [arrays.vas, arrays.iovas, arrays.indexes]) column.fill(NO_ADDRESS);
  return { ...arrays, capacity };
}

/** Arrays that are taken anew each time: those in the core's memory last until it grows. */
function over(take: { readonly [K in keyof Arrays]: K extends "capacity" ? number : () => Arrays[K] }): Arrays {
  return {
    capacity: take.capacity,
    get vas() {
      return take.vas();
    },
    get lengths() {
      return take.lengths();
    },
    get iovas() {
      return take.iovas();
    },
    get permissions() {
      return take.permissions();
    },
    get indexes() {
      return take.indexes();
    },
  };
}

const KINDS: readonly (readonly [name: string, make: (window: Window, capacity: number) => Arrays])[] = [
  ["arrays of the program", (_, capacity) => own(capacity)],
  ["arrays of another realm", (_, capacity) => foreign(capacity)],
  ["rows in the core's memory", (window, capacity) => window.requests(capacity)],
  [
    "rows that are read, and arrays of the program that are written",
    (window, capacity) => {
      const [{ iovas, indexes }, rows] = [own(capacity), window.requests(capacity)];
      return over({
        capacity,
        vas: () => rows.vas,
        lengths: () => rows.lengths,
        permissions: () => rows.permissions,
        iovas: () => iovas,
        indexes: () => indexes,
      });
    },
  ],
  [
    "a part of longer arrays, some of them in the core's memory",
    (window, capacity) => {
      const [{ vas, permissions }, rows] = [own(capacity + 2), window.requests(capacity + 2)];
      return over({
        capacity,
        vas: () => vas.subarray(1),
        lengths: () => rows.lengths.subarray(1),
        permissions: () => permissions.subarray(1),
        iovas: () => rows.iovas.subarray(1),
        indexes: () => rows.indexes.subarray(1),
      });
    },
  ],
];

interface Machine {
  /** How long the requests are. Without an IOMMU only what lies together in physical memory can be one. */
  readonly pages: readonly bigint[];
  readonly window: Window;
  readonly va: bigint;
  readonly record: Program["record"];
}

const PLATFORMS: readonly (readonly [name: string, make: () => Machine])[] = [
  ["PowerNV", () => machine(ready())],
  ["PowerNV with pages of 64 KiB", () => machine(ready({ pageSize: 65536 }))],
  ["an LPAR", () => machine(ready({ platform: "pseries" }, 4n * GiB))],
  ["type1 v2", () => machine(readyOnType1())],
  ["type1 v1", () => machine(readyOnType1({ iommuVersion: 1 }))],
  [
    "no IOMMU",
    () => {
      const { window, memory, list, record } = readyWithoutIommu({ hugepages: { 21: 64 } });
      const { va } = memory.allocate(list, 16);
      record.take();
      return { pages: [1n, 1n, 1n], window, va, record };
    },
  ],
];

function machine({ program, window, va }: { program: Program; window: Window; va: bigint }): Machine {
  return { pages: [1n, 2n, 3n], window, va, record: program.record };
}

/** Three requests, apart from each other, with their IOVAs or without. */
function fill(arrays: Arrays, { window, va, pages }: Machine, withIovas: boolean): void {
  const page = 1n << BigInt(window.pageShift);
  for (const [i, some] of pages.entries()) {
    arrays.vas[i] = va + BigInt(i) * 4n * page;
    arrays.lengths[i] = some * page;
    arrays.iovas[i] = withIovas ? window.start + BigInt(3 - i) * 8n * page : NO_ADDRESS;
    arrays.permissions[i] = i + 1;
  }
}

const objects = ({ vas, iovas, lengths, permissions }: Arrays, count: number) =>
  Array.from({ length: count }, (_, i) => ({
    va: vas[i] as bigint,
    length: lengths[i] as bigint,
    ...(iovas[i] === NO_ADDRESS ? {} : { iova: iovas[i] as bigint }),
    read: ((permissions[i] as number) & 1) !== 0,
    write: ((permissions[i] as number) & 2) !== 0,
  }));

const same = suite("a batch from arrays");
for (const [platform, make] of PLATFORMS) {
  for (const [kind, arraysOf] of KINDS) {
    same(`asks the kernel what a batch of objects does: ${platform}, ${kind}`, () => {
      for (const withIovas of platform === "no IOMMU" ? [false] : [false, true]) {
        const [one, other] = [make(), make()];
        const arrays = arraysOf(one.window, 4);
        fill(arrays, one, withIovas);
        const twin = own(4);
        fill(twin, other, withIovas);
        one.window.mapInto(arrays.vas, arrays.lengths, arrays.iovas, arrays.permissions, 3);
        const iovas = other.window.mapMany(objects(twin, 3));
        assert.equal([...arrays.iovas.subarray(0, 3)], iovas);
        assert.equal(one.record.take(), other.record.take());
        assert.equal([...one.window.maps()], [...other.window.maps()]);
        const pages = one.pages.reduce((sum, some) => sum + some);
        assert.is(one.window.liveBytes, pages << BigInt(one.window.pageShift));
        arrays.vas[1] = NO_ADDRESS; // whatever is there
        one.window.unmapFrom(arrays.iovas, arrays.lengths, arrays.vas, 3);
        other.window.unmapMany(objects(twin, 3).map(({ va, length }, i) => ({ va, length, iova: iovas[i] as bigint })));
        assert.equal(one.record.take(), other.record.take());
        assert.equal([...one.window.maps()], []);
      }
    });
  }
}

for (const [kind, arraysOf] of KINDS) {
  same(`writes IOVAs, and nothing else: ${kind}`, () => {
    const one = machine(ready());
    const arrays = arraysOf(one.window, 4);
    fill(arrays, one, false);
    const before = [arrays.vas, arrays.lengths, arrays.permissions, arrays.indexes].map((each) => [...each]);
    one.window.mapInto(arrays.vas, arrays.lengths, arrays.iovas, arrays.permissions, 3);
    const again = [arrays.vas, arrays.lengths, arrays.permissions, arrays.indexes].map((each) => [...each]);
    assert.equal(again, before);
    assert.equal([...arrays.iovas.subarray(0, 4)], [0n, PAGE, 3n * PAGE, NO_ADDRESS]);
  });

  same(`that the kernel or the core refuses leaves the arrays as they were, and all unmapped: ${kind}`, () => {
    for (const nth of [0, 1, 2, 3, 4, 5]) {
      const { program, window, va } = ready();
      const arrays = arraysOf(window, 3);
      fill(arrays, machine({ program, window, va }), false);
      const rows = () => [...arrays.vas, ...arrays.lengths, ...arrays.iovas, ...arrays.permissions];
      const [before, state] = [rows(), stateOf(program, window)];
      program.kernel.fail({ nth, answer: no.ENOMEM });
      failure("ERR_KERNEL", () => window.mapInto(arrays.vas, arrays.lengths, arrays.iovas, arrays.permissions, 3));
      assert.equal(rows(), before);
      assert.equal(stateOf(program, window), state);
      arrays.lengths[2] = PAGE + 1n;
      const map = () => window.mapInto(arrays.vas, arrays.lengths, arrays.iovas, arrays.permissions, 3);
      const error = refusedUnseen(program, window, "ERR_UNALIGNED_LENGTH", map);
      assert.match(error.message, "(request 2 of 3)");
      agree(program, window);
    }
  });

  same(`to unmap that fails says what is still mapped: ${kind}`, () => {
    const { program, window, va } = ready();
    const arrays = arraysOf(window, 3);
    fill(arrays, machine({ program, window, va }), false);
    window.mapInto(arrays.vas, arrays.lengths, arrays.iovas, arrays.permissions, 3);
    program.kernel.fail({ call: "UNMAP_DMA", nth: 1, answer: no.EIO });
    const error = failure("ERR_KERNEL", () => window.unmapFrom(arrays.iovas, arrays.lengths, arrays.vas, 3));
    assert.equal(error.residue?.left, [
      "8 KiB at IOVA 0x1000 is still mapped",
      "12 KiB at IOVA 0x3000 is still mapped",
    ]);
    agree(program, window);
    program.kernel.fail({ call: "UNREGISTER_MEMORY", answer: no.EBUSY });
    const part = [arrays.iovas, arrays.lengths, arrays.vas].map((each) => each.subarray(1)) as [
      BigUint64Array,
      BigUint64Array,
      BigUint64Array,
    ];
    failure("ERR_STILL_REGISTERED", () => window.unmapFrom(...part, 2));
    assert.equal([...window.maps()], []);
  });

  same(`of no rows does nothing: ${kind}`, () => {
    const { program, window } = ready();
    const { vas, lengths, iovas, permissions, indexes } = arraysOf(window, 2);
    window.mapInto(vas, lengths, iovas, permissions, 0);
    window.unmapFrom(iovas, lengths, vas, 0);
    assert.is(window.checkInto(iovas, lengths, indexes, 0), 0);
    assert.is(window.translateInto(vas, iovas, 0), 0);
    assert.equal(program.record.takeNames(), []);
  });
}

same("takes all rows of the first array where no number is given", () => {
  const { window, va } = ready();
  const arrays = own(3);
  fill(arrays, machine({ program: new Program(), window, va }), false);
  const longer = new BigUint64Array(5).fill(NO_ADDRESS);
  window.mapInto(arrays.vas, arrays.lengths, longer, arrays.permissions);
  assert.equal([...longer], [0n, PAGE, 3n * PAGE, NO_ADDRESS, NO_ADDRESS]);
  window.unmapFrom(longer.subarray(0, 3), arrays.lengths, arrays.vas);
  assert.is(window.liveBytes, 0n);
});

same("in IOVA mode va takes the address where the IOVA is left open, and the IOVA where it is not", () => {
  const program = new Program();
  const va = program.allocate(4n * PAGE);
  const window = program.window(1n << 48n, { iovaMode: "va" });
  for (const [, arraysOf] of KINDS) {
    const arrays = arraysOf(window, 2);
    arrays.vas.set([va, va + 2n * PAGE]);
    arrays.lengths.set([PAGE, PAGE]);
    arrays.iovas.set([NO_ADDRESS, MiB]);
    window.mapInto(arrays.vas, arrays.lengths, arrays.iovas, arrays.permissions, 2);
    assert.equal([...arrays.iovas.subarray(0, 2)], [va, MiB]);
    window.unmapFrom(arrays.iovas, arrays.lengths, arrays.vas, 2);
  }
});

same("takes for open only what is all ones: an IOVA that ends in ones is refused", () => {
  const program = new Program();
  const va = program.allocate(PAGE);
  const window = program.window(1n << 48n, { iovaMode: "va" });
  const rows = window.requests(1);
  rows.vas[0] = va;
  rows.lengths[0] = PAGE;
  for (const iova of [0x1_ffff_ffffn, 0xffff_ffff_0000_0000n, 0xffff_ffffn]) {
    rows.iovas[0] = iova;
    const code = iova % PAGE === 0n ? "ERR_OUTSIDE_WINDOW" : "ERR_UNALIGNED_IOVA";
    refusedUnseen(program, window, code, () => window.mapInto(rows.vas, rows.lengths, rows.iovas, rows.permissions));
  }
});

same("in IOVA mode pa refuses an IOVA that is left open, by its row", () => {
  const { program, window, va } = readyOnType1({}, { iovaMode: "pa", highestRam: 16n * MiB - 1n });
  for (const [, arraysOf] of KINDS) {
    const arrays = arraysOf(window, 2);
    arrays.vas.set([va, va + PAGE]);
    arrays.lengths.set([PAGE, PAGE]);
    arrays.iovas.set([MiB, NO_ADDRESS]);
    const error = refusedUnseen(program, window, "ERR_INVALID_ARG_TYPE", () =>
      window.mapInto(arrays.vas, arrays.lengths, arrays.iovas, arrays.permissions, 2),
    );
    assert.match(error.message, "iovas[1]");
  }
});
same.run();

const questions = suite("questions in bulk");
for (const [kind, arraysOf] of KINDS) {
  questions(`say what single ones do: ${kind}`, () => {
    for (const size of [5, 4096, 9000]) {
      const { window, va } = ready({ platform: "pseries" }, 4n * GiB);
      window.map({ va, length: 32n * PAGE });
      const arrays = arraysOf(window, size);
      for (let i = 0; i < size; i++) {
        arrays.vas[i] = va + BigInt((i * 977) % (64 * 4096));
        arrays.iovas[i] = window.start + BigInt(i - 3) * 1_000_003n;
        arrays.lengths[i] = i % 7 === 0 ? 0n : BigInt(i) * 77_777n;
      }
      const inside = [...arrays.iovas].map((iova, i) => window.contains(iova, arrays.lengths[i] as bigint));
      const expected = [...arrays.iovas].map((iova, i) => (inside[i] ? (window.tceIndex(iova) as bigint) : NO_ADDRESS));
      assert.is(
        window.checkInto(arrays.iovas, arrays.lengths, arrays.indexes, size),
        inside.filter((one) => one).length,
      );
      assert.equal([...arrays.indexes.subarray(0, size)], expected.slice(0, size));
      const translated = [...arrays.vas.subarray(0, size)].map((each) => window.translate(each) ?? NO_ADDRESS);
      const found = window.translateInto(arrays.vas, arrays.iovas, size);
      assert.is(found, translated.filter((iova) => iova !== NO_ADDRESS).length);
      assert.equal([...arrays.iovas.subarray(0, size)], translated);
      assert.ok(found > 0 && (size === 5 || found < size));
    }
  });

  questions(`may be answered over what was asked: ${kind}`, () => {
    const { window, va } = ready();
    window.map({ va, length: 2n * PAGE, iova: MiB });
    const arrays = arraysOf(window, 3);
    arrays.vas.set([va + 1n, va + 2n * PAGE, va + PAGE]);
    assert.is(window.translateInto(arrays.vas, arrays.vas, 3), 2);
    assert.equal([...arrays.vas.subarray(0, 3)], [MiB + 1n, NO_ADDRESS, MiB + PAGE]);
    arrays.iovas.set([MiB, 16n * MiB, 5n]);
    arrays.lengths.set([PAGE, 1n, 1n]);
    assert.is(window.checkInto(arrays.iovas, arrays.lengths, arrays.lengths, 3), 2);
    assert.equal([...arrays.lengths.subarray(0, 3)], [MiB / PAGE, NO_ADDRESS, 0n]);
  });
}
questions.run();

const bad = suite("bad arrays");
const NONE: readonly unknown[] = [undefined, null, 5, "va", [1n], {}, new Float64Array(4), new BigInt64Array(4)];

bad("are refused by their names, and the kernel is never asked", () => {
  const { program, window, va } = ready();
  const { vas, iovas, lengths, permissions, indexes } = own(2);
  vas.fill(va);
  const calls: Record<string, ((wrong: never) => unknown)[]> = {
    vas: [
      (wrong) => window.mapInto(wrong, lengths, iovas, permissions, 1),
      (wrong) => window.unmapFrom(iovas, lengths, wrong, 1),
      (wrong) => window.translateInto(wrong, iovas, 1),
    ],
    lengths: [
      (wrong) => window.mapInto(vas, wrong, iovas, permissions, 1),
      (wrong) => window.unmapFrom(iovas, wrong, vas, 1),
      (wrong) => window.checkInto(iovas, wrong, indexes, 1),
    ],
    iovas: [
      (wrong) => window.mapInto(vas, lengths, wrong, permissions, 1),
      (wrong) => window.unmapFrom(wrong, lengths, vas, 1),
      (wrong) => window.translateInto(vas, wrong, 1),
      (wrong) => window.checkInto(wrong, lengths, indexes, 1),
    ],
    permissions: [(wrong) => window.mapInto(vas, lengths, iovas, wrong, 1)],
    indexes: [(wrong) => window.checkInto(iovas, lengths, wrong, 1)],
  };
  for (const [name, all] of Object.entries(calls)) {
    for (const call of all) {
      for (const wrong of [...NONE, name === "permissions" ? vas : permissions]) {
        const error = refusedUnseen(program, window, "ERR_INVALID_ARG_TYPE", () => call(wrong as never));
        assert.match(error.message, new RegExp(`^${name} must be a `));
      }
      const none = name === "permissions" ? new Uint32Array(0) : new BigUint64Array(0);
      refusedUnseen(program, window, "ERR_OUT_OF_RANGE", () => call(none as never));
    }
  }
});

bad("as counts are refused: more than there are, fractions, other kinds", () => {
  const { program, window } = ready();
  const { vas, iovas, lengths, permissions, indexes } = own(2);
  const calls: ((count: never) => unknown)[] = [
    (count) => window.mapInto(vas, lengths, iovas, permissions, count),
    (count) => window.unmapFrom(iovas, lengths, vas, count),
    (count) => window.translateInto(vas, iovas, count),
    (count) => window.checkInto(iovas, lengths, indexes, count),
  ];
  for (const call of calls) {
    for (const count of [3, -1, 0.5, Number.NaN, 2 ** 32, Number.POSITIVE_INFINITY]) {
      refusedUnseen(program, window, "ERR_OUT_OF_RANGE", () => call(count as never));
    }
    for (const count of [null, "1", 1n, {}]) {
      refusedUnseen(program, window, "ERR_INVALID_ARG_TYPE", () => call(count as never));
    }
  }
});

bad("that overlap in part are refused where one is written while the other is read", () => {
  const { program, window } = ready();
  const [mine, rows] = [new BigUint64Array(8), window.requests(8)];
  for (const whole of [() => mine, () => rows.vas]) {
    const [a, b, c] = [() => whole().subarray(0, 4), () => whole().subarray(1, 5), () => whole().subarray(4, 8)];
    for (const ask of [
      () => window.translateInto(a(), b()),
      () => window.translateInto(b(), a()),
      () => window.checkInto(a(), c(), b()),
      () => window.checkInto(c(), a(), b()),
    ]) {
      assert.match(refusedUnseen(program, window, "ERR_OUT_OF_RANGE", ask).message, "overlap");
    }
    assert.is(window.translateInto(a(), c()), 0);
    assert.is(window.translateInto(a(), b(), 1), 0, "one of them alone is not overlapped");
  }
});

bad("in their values are refused as objects are, by their row", () => {
  const { program, window, va } = ready();
  const rows = window.requests(2);
  const fault = (code: string, change: () => void) => {
    rows.vas.set([va, va + PAGE]);
    rows.lengths.fill(PAGE);
    rows.iovas.set([MiB, 2n * MiB]);
    rows.permissions.fill(3);
    change();
    const map = () => window.mapInto(rows.vas, rows.lengths, rows.iovas, rows.permissions);
    const error = refusedUnseen(program, window, code, map);
    assert.match(error.message, "(request 1 of 2)");
  };
  fault("ERR_BAD_PERMISSION", () => rows.permissions.fill(0, 1));
  fault("ERR_BAD_PERMISSION", () => rows.permissions.fill(4, 1));
  fault("ERR_UNALIGNED_VA", () => rows.vas.fill(va + 1n, 1));
  fault("ERR_UNALIGNED_IOVA", () => rows.iovas.fill(MiB + 1n, 1));
  fault("ERR_ZERO_LENGTH", () => rows.lengths.fill(0n, 1));
  fault("ERR_WRAPS", () => rows.lengths.fill((1n << 64n) - PAGE, 1));
  fault("ERR_OUTSIDE_WINDOW", () => rows.iovas.fill(16n * MiB, 1));
  fault("ERR_ALREADY_LIVE", () => rows.iovas.fill(MiB, 1));
  fault("ERR_VA_ALREADY_MAPPED", () => rows.vas.fill(va, 1));
});

bad("or good ones, are not taken by a window that is closed", () => {
  const { window } = ready();
  window.close();
  const { vas, iovas, lengths, permissions, indexes } = own(1);
  for (const ask of [
    () => window.mapInto(vas, lengths, iovas, permissions),
    () => window.unmapFrom(iovas, lengths, vas),
    () => window.checkInto(iovas, lengths, indexes),
    () => window.translateInto(vas, iovas),
    () => window.requests(1),
    () => window.mapInto(null as never, null as never, null as never, null as never),
  ]) {
    assert.is((thrownBy(ask) as { code?: string }).code, "ERR_CLOSED");
  }
});
bad.run();
