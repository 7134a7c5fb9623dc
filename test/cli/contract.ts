/** What `run --json` promises to programs: these keys, of these types, and no others. */
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

const plan = object(
  {
    iovaMode: oneOf("rebased", "va", "pa"),
    start: hex,
    size: hex,
    pageShift: count,
    levels: count,
    tableBytes: count,
    chargeBytes: count,
    dmaMaskBits: count,
    warnings: list(text),
    rejected: list(object({ choice: text, reason: text })),
  },
  "warnings", // where there are any
);

const system = object({ highestRam: orNull(hex), ramRanges: list(object({ start: hex, last: hex })) });

const run = object({
  kernel: oneOf("model", "linux"),
  plan,
  system,
  mapped: object({ segments: count, bytes: count }),
  storm: object({ allocations: count, frees: count, failures: count }),
  resizes: count,
  liveIovasInterrupted: count,
  leaks: count,
  // There is no such scheme where the kernel has no windows.
  dynamicScheme: orNull(object({ resizes: count, liveIovasInterrupted: count })),
});

/** Fails unless it is what `run --json` prints. */
export function shapeOfRun(document: unknown): void {
  run(document, "the document");
}

/** Fails unless it is what `plan --json` prints. */
export function shapeOfPlan(document: unknown): void {
  object({ kernel: oneOf("model", "linux"), plan, system })(document, "the document");
}
