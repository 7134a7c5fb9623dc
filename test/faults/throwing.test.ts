/**
 * The sweep once more, with a kernel interface that throws: before the kernel is asked, or after it has done the call. Nobody
 * is told which. Where the kernel can be asked again, the library knows in the end; what it cannot know its residue names.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { DmaWindowError } from "../../src/errors.ts";
import { faulty } from "../../src/model/faults.ts";
import type { Fault } from "../../src/model/index.ts";
import type { Syscalls } from "../../src/syscalls.ts";
import { Through } from "../../src/through.ts";
import { type Kind, World } from "../properties/world.ts";
import { Session } from "./session.ts";

const kinds: readonly Kind[] = [
  { platform: "powernv", pageSize: 4096 },
  { platform: "pseries", pageSize: 65536 },
  { platform: "type1", pageSize: 4096 },
  { platform: "type1", pageSize: 4096, iommuVersion: 1 },
];

const broke = (): never => {
  throw new Error("the interface broke");
};

/** The one in front makes the entries of a batch: what throws behind it has written no result. */
function run(kind: Kind, ...faults: readonly Fault[]): Session {
  const world = new World(kind, (behind) => faulty(faulty(behind, ...faults)));
  world.guard.asksToBeSure = faults.length > 0;
  const session = new Session(world);
  session.run();
  return session;
}

/** Each call of a good day, by its name; what is FIXED of the mmaps stands behind it. */
function callsOf(kind: Kind): string[] {
  const names: string[] = [];
  run(kind, {
    times: Number.POSITIVE_INFINITY,
    before: ({ name, va, flags = 0 }) =>
      void names.push(name === "mmap" && va !== undefined && (flags & 1) === 1 ? "mmap FIXED" : name),
  });
  return names;
}

/** Makes one batch in full, on a copy of the memory, and throws: every answer to it is lost. */
class Losing extends Through {
  readonly #nth: number;
  batches = 0;

  constructor(inner: Syscalls, nth: number) {
    super(inner);
    this.#nth = nth;
  }

  protected pass<R extends number | bigint>(_: unknown, make: () => R): R {
    return make();
  }

  override ioctlBatch(fd: number, memory: Uint8Array, table: number, count: number): number {
    if (this.batches++ !== this.#nth) return this.inner.ioctlBatch(fd, memory, table, count);
    this.inner.ioctlBatch(fd, memory.slice(), table, count);
    return broke();
  }
}

/** Gives also how many batches there were. */
function runLosing(kind: Kind, nth: number): { readonly errors: readonly DmaWindowError[]; readonly batches: number } {
  let losing: Losing | undefined;
  const world = new World(
    kind,
    (behind) => behind,
    (kernel) => {
      losing = new Losing(kernel, nth);
      return losing;
    },
  );
  world.guard.asksToBeSure = true;
  const session = new Session(world);
  session.run();
  return { errors: session.errors, batches: losing?.batches ?? 0 };
}

/** Descriptors and addresses that nobody was told: what is left of them is named, and cannot be taken back. */
const NOBODY_KNOWS = ["open", "mmap", "close"];

/** What was thrown is the error's cause, or that of its cause. */
function comesFromIt(error: DmaWindowError): boolean {
  for (let at: unknown = error; at instanceof Error; at = at.cause)
    if (at.message === "the interface broke") return true;
  return error.message.includes("the interface broke");
}

for (const kind of kinds) {
  const version = kind.iommuVersion === undefined ? "" : ` v${kind.iommuVersion}`;
  const title = `${kind.platform}${version}, CPU pages of ${kind.pageSize / 1024} KiB`;
  // What is lost after the call is the harder half; the other one differs between sPAPR and type1 only.
  for (const when of kind.platform === "powernv" || kind.iommuVersion === 1
    ? (["before", "after"] as const)
    : (["after"] as const)) {
    test(`${title}: whichever call throws ${when} the kernel did it, the kernel has what the library says`, () => {
      let runs = 0;
      for (const [nth, name] of callsOf(kind).entries()) {
        if (NOBODY_KNOWS.includes(name)) continue;
        const about = `call ${nth}, ${name}, throws ${when}`;
        try {
          const { errors } = run(kind, { nth, [when]: broke });
          runs++;
          assert.is(
            errors.length > 0 && comesFromIt(errors[0] as DmaWindowError),
            true,
            `nobody was told: ${errors[0]}`,
          );
          assert.is(errors.length, 1, `${errors.join("; ")}`);
        } catch (error) {
          throw Object.assign(new Error(`${about}: ${(error as Error).message}`), { stack: (error as Error).stack });
        }
      }
      console.log(`${title}: ${runs} runs in which the interface throws ${when}`);
    });
  }
}

for (const kind of kinds) {
  const version = kind.iommuVersion === undefined ? "" : ` v${kind.iommuVersion}`;
  const title = `${kind.platform}${version}, CPU pages of ${kind.pageSize / 1024} KiB`;
  test(`${title}: whichever batch is made in full and loses all answers, the kernel has what the library says`, () => {
    const { batches } = runLosing(kind, -1);
    assert.ok(batches > 10, `${batches} batches are no day`);
    for (let nth = 0; nth < batches; nth++) {
      try {
        const { errors } = runLosing(kind, nth);
        const said = errors.join("; ");
        assert.is(errors.length, 1, said);
        assert.is(comesFromIt(errors[0] as DmaWindowError), true, said);
        assert.equal(errors[0]?.residue?.left ?? [], [], said);
      } catch (error) {
        const about = `the answers to batch ${nth} are lost: ${(error as Error).message}`;
        throw Object.assign(new Error(about), { stack: (error as Error).stack });
      }
    }
    console.log(`${title}: ${batches} runs that lose the answers to a batch`);
  });
}

test.run();
