/** What `run --json` and `plan --json` promise to programs: these keys, of these types, and no others. */
import * as assert from "uvu/assert";

type Check = (value: unknown, name: string) => void;

const hex: Check = (value, name) => {
  assert.type(value, "string", name);
  assert.match(value as string, /^0x(0|[1-9a-f][0-9a-f]*)$/, name);
  assert.ok(BigInt(value as string) < 1n << 64n, name);
};

const count: Check = (value, name) => {
  assert.ok(Number.isSafeInteger(value) && (value as number) >= 0, `${name} is ${value}`);
};

const text: Check = (value, name) => {
  assert.ok(typeof value === "string" && value.length > 0, `${name} is ${value}`);
};

const orNull =
  (check: Check): Check =>
  (value, name) => {
    if (value !== null) check(value, name);
  };

const oneOf =
  (...choices: readonly string[]): Check =>
  (value, name) => {
    assert.ok(choices.includes(value as string), `${name} is ${value}`);
  };

const list =
  (check: Check): Check =>
  (value, name) => {
    assert.ok(Array.isArray(value), name);
    (value as unknown[]).forEach((item, i) => {
      check(item, `${name}[${i}]`);
    });
  };

/** `absent` are keys that may be left out. */
const object =
  (fields: Readonly<Record<string, Check>>, ...absent: readonly string[]): Check =>
  (value, name) => {
    assert.type(value, "object", name);
    const there = Object.keys(fields).filter((key) => !absent.includes(key) || key in (value as object));
    assert.equal(Object.keys(value as object), there, name);
    for (const [key, check] of Object.entries(fields).filter(([one]) => there.includes(one)))
      check((value as never)[key], `${name}.${key}`);
  };

const range = object({ start: hex, last: hex });

/** What every plan begins with, behind its window. */
const sizes = {
  iovaMode: oneOf("rebased", "va", "pa"),
  start: hex,
  size: hex,
  needed: hex,
  pageShift: count,
  levels: count,
  tces: count,
  levelBytes: list(count),
  tableBytes: count,
  chargeBytes: count,
  dmaMaskBits: count,
} satisfies Readonly<Record<string, Check>>;

/** What it ends with. */
const outlook = {
  fullGrowth: object({
    memoryBytes: hex,
    lockedBytes: hex,
    lockable: orNull(hex),
    maps: count,
    mapsAvailable: orNull(count),
    hugepages: list(object({ pageSize: hex, needed: count, available: orNull(count) })),
  }),
  warnings: list(text),
  rejected: list(object({ choice: text, reason: text })),
} satisfies Readonly<Record<string, Check>>;

const kind = oneOf("spapr", "type1", "noiommu");

const plan = object(
  {
    kind,
    window: oneOf("new", "default"),
    ...sizes,
    deviceAddressBits: orNull(count),
    holes: list(range),
    alignment: orNull(hex),
    ...outlook,
  },
  "warnings", // where there are any
);

/** The plan as `planWindow` gives it: what it does not have is not there. */
const ownPlan = {
  format: oneOf("dma-window plan"),
  version: count,
  kind,
  window: oneOf("default"),
  ...sizes,
  holes: list(range),
  alignment: hex,
  pieces: list(object({ length: hex, pageSize: hex })),
  deviceAddressBits: count,
  ...outlook,
} satisfies Readonly<Record<string, Check>>;

const system = object({
  highestRam: orNull(hex),
  ramBytes: orNull(hex),
  ramRanges: list(range),
  ramUnknownBecause: orNull(text),
});

/** What both begin with. */
const head = {
  kernel: oneOf("model", "linux"),
  platform: orNull(oneOf("powernv", "pseries", "type1", "noiommu")),
  noIommu: (value: unknown, name: string) => assert.type(value, "boolean", name),
  plan,
  system,
  memory: object({ kind: text, pages: count, pageSize: count, simulatedBecause: orNull(text) }),
} satisfies Readonly<Record<string, Check>>;

const share: Check = (value, name) => {
  assert.ok(typeof value === "number" && value >= 0 && value <= 1, `${name} is ${value}`);
};

const otherWay = object({ resizes: count, liveIovasInterrupted: count, failures: count, nanosecondsPerStep: count });

const run = object({
  ...head,
  window: object({ start: hex, size: hex }),
  mapped: object({ segments: count, bytes: count }),
  storm: object({
    steps: count,
    seed: count,
    allocations: count,
    frees: count,
    failures: count,
    firstFailure: orNull(text),
  }),
  grown: object({ segments: count, bytes: count, share: list(share) }),
  resizes: count,
  liveIovasInterrupted: count,
  nanosecondsPerStep: count,
  leaks: count,
  leftBehind: list(text),
  // None where physical pages are the IOVAs and too small for buffers.
  heap: orNull(otherWay),
  // There is no such scheme where the kernel has no windows.
  dynamicScheme: orNull(otherWay),
});

/** Fails unless it is what `run --json` prints. */
export function shapeOfRun(document: unknown): void {
  run(document, "the document");
}

/** Fails unless it is what `run --json` begins with, and `plan --json` has beside the plan itself. */
export function shapeOfPlan(document: unknown): void {
  object(head)(document, "the document");
}

const limit = object({
  what: text,
  unit: oneOf("bytes", "maps", "pages"),
  needed: hex,
  available: orNull(hex),
  at: orNull(hex),
});

const compared = list(
  object({
    pageSize: hex,
    plan: orNull(object(ownPlan, "window", "alignment", "pieces", "deviceAddressBits")),
    limits: list(limit),
    rejected: list(object({ choice: text, reason: text })),
  }),
);

/** Fails unless it is what `plan --json` prints: of this machine, or of one that is described. */
export function shapeOfPlanned(document: unknown, isDescribed = false): void {
  const of = isDescribed ? { machine: object({ name: text, platform: text }) } : head;
  const fields = { ...ownPlan, ...of, limits: list(limit), compared };
  object(fields, "window", "alignment", "pieces", "deviceAddressBits", "compared")(document, "the document");
}
