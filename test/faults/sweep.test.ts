/**
 * One session, and every single thing that can go wrong in it, one at a time: each call fails in each of its ways, and the
 * process is killed in each. Whatever it is, the kernel has what the library says, step by step, and in the end nothing.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openContainer } from "../../src/container/open.ts";
import { DmaWindowError, errnoName } from "../../src/errors.ts";
import { type Fault, type FaultyKernel, faulty, killed } from "../../src/model/faults.ts";
import { ModelProcessEnded } from "../../src/model/index.ts";
import type { Passing } from "../../src/through.ts";
import { GROUPS, type Kind, World } from "../properties/world.ts";
import { no } from "../support/faulty.ts";
import { answersTo } from "./answers.ts";
import { Session } from "./session.ts";

const kinds: readonly Kind[] = [
  { platform: "powernv", pageSize: 4096 },
  { platform: "powernv", pageSize: 65536 },
  { platform: "pseries", pageSize: 4096 },
  { platform: "pseries", pageSize: 65536 },
  { platform: "type1", pageSize: 4096 },
  { platform: "type1", pageSize: 4096, iommuVersion: 1 },
];

interface Run {
  readonly world: World;
  readonly session: Session;
  readonly kernel: FaultyKernel;
}

/** A world whose kernel has these faults, counted from its first call. */
function prepared(kind: Kind, faultsFor: (world: Pick<World, "model">) => readonly Fault[]): Run {
  let kernel: FaultyKernel | undefined;
  const world = new World(kind, (behind, model) => {
    kernel = faulty(behind, ...faultsFor({ model }));
    return kernel;
  });
  return { world, session: new Session(world), kernel: kernel as FaultyKernel };
}

/** The calls of the session on a day when nothing fails. */
function callsOf(kind: Kind): string[] {
  const names: string[] = [];
  const { session } = prepared(kind, () => [
    { times: Number.POSITIVE_INFINITY, before: ({ name }) => void names.push(name) },
  ]);
  session.run();
  assert.equal(session.errors, []);
  return names;
}

/** Not every call's failure is an error: one that is asked only to be sure, or is made once more. */
const MAY_BE_ABSORBED = ["VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY", "VFIO_CHECK_EXTENSION"];

/** The error of the call itself: another may say what came of it. */
function originOf(error: DmaWindowError): DmaWindowError {
  const { syscall, cause } = error;
  return syscall === undefined && cause instanceof DmaWindowError ? originOf(cause) : error;
}

/** The error says which call it was, what the kernel answered, and what to do. */
function checkWords(error: DmaWindowError, name: string, answer: number): void {
  const about = `${name} answered ${answer}: ${error.code}: ${error.message}`;
  if (name === "VFIO_GET_API_VERSION" || name === "VFIO_CHECK_EXTENSION") {
    assert.match(error.code, /ERR_VFIO_VERSION|ERR_NO_IOMMU_DRIVER/, about);
    return;
  }
  const called = name.replace("SPAPR_TCE_GET_INFO", "GET_INFO");
  const says = error.message.replaceAll("SPAPR_TCE_GET_INFO", "GET_INFO");
  assert.ok(says.includes(called), about);
  assert.ok(answer < 0 ? says.includes(errnoName(answer)) : /answer was|only the first/.test(says), about);
  const surprises: readonly number[] = [no.EINTR, no.EIO];
  // What to do stands behind the errno, for every answer that the kernel is known to give.
  if (answer < 0 && !surprises.includes(answer)) assert.match(says, `${errnoName(answer)}: `, about);
  if (error.code === "ERR_CLOSE") return;
  const origin = originOf(error);
  assert.is(origin.syscall?.replace("SPAPR_TCE_GET_INFO", "GET_INFO"), called, about);
  assert.is(origin.errno, answer < 0 ? answer : undefined, about);
}

for (const kind of kinds) {
  const version = kind.iommuVersion === undefined ? "" : ` v${kind.iommuVersion}`;
  const title = `${kind.platform}${version}, CPU pages of ${kind.pageSize / 1024} KiB`;

  test(`${title}: whichever call fails, and however, nothing is lost and nothing is left`, () => {
    const names = callsOf(kind);
    assert.ok(names.length >= 60, `${names.length} calls`);
    let [runs, told] = [0, 0];
    for (const [nth, name] of names.entries()) {
      for (const answer of answersTo(name, kind.platform !== "type1")) {
        // A close that fails has closed all the same.
        const { session, kernel } = prepared(kind, () => [{ nth, answer, made: name === "close" }]);
        const about = `call ${nth}, ${name}, answered ${answer}`;
        try {
          session.run();
        } catch (error) {
          throw Object.assign(new Error(`${about}: ${(error as Error).message}`), { stack: (error as Error).stack });
        }
        runs++;
        assert.equal(kernel.refused, [name], about);
        const [error] = session.errors;
        if (error === undefined) {
          assert.ok(MAY_BE_ABSORBED.includes(name), `${about}, and nobody was told`);
          continue;
        }
        told++;
        checkWords(error, name, answer);
      }
    }
    console.log(`${title}: ${names.length} calls, ${runs} runs with a fault, ${told} of them told the program`);
  });

  test(`${title}: wherever the process is killed, the machine has nothing left of it`, () => {
    const names = callsOf(kind);
    for (const [nth, name] of names.entries()) {
      const { world, session } = prepared(kind, ({ model }) => [killed(model, { nth })]);
      let last: unknown;
      try {
        session.run();
      } catch (error) {
        last = error;
      }
      const about = `killed in call ${nth}, ${name}`;
      assert.ok(hasEnded(last), `${about}: ${last}`);
      assert.is(world.isAlive, false, about);
      assert.equal(world.model.leaks(), [], about);
      const { containers, zombies, lockedBytes, hugepages } = world.model.snapshot();
      assert.equal([containers, zombies, lockedBytes], [[], [], 0n], about);
      const next = world.model.spawn();
      assert.ok(
        hugepages.every(({ free }, i) => free >= (world.hugepages[i]?.free ?? 0)),
        about,
      );
      for (const group of GROUPS) openContainer({ kernel: next, groups: [group] }).close();
      assert.equal(next.leaks(), [], about);
    }
    console.log(`${title}: ${names.length} runs that end in the middle`);
  });
}

/** Writes into the struct of an UNMAP how much is said to have been unmapped. */
function saySize(bytes: bigint): (call: Passing) => void {
  return ({ memory, at = 0 }) => {
    const { buffer, byteOffset } = memory as Uint8Array;
    new DataView(buffer, byteOffset).setBigUint64(at + 16, bytes, true);
  };
}

for (const [version, fault, code] of [
  // What v1 answers where it would have to cut a map, and leaves it alone.
  [1, { answer: 0, before: saySize(0n) }, /ERR_UNMAP_SIZE|says that it unmapped/],
  // What v2 answers where less was mapped than was asked about.
  [2, { after: saySize(4096n) }, /ERR_UNMAP_SIZE|says that it unmapped/],
] as const) {
  test(`type1 v${version}: an UNMAP that says another size than was asked for is told, and the tables follow it`, () => {
    const kind: Kind = { platform: "type1", pageSize: 4096, iommuVersion: version };
    const names = callsOf(kind);
    let told = 0;
    for (const [nth, name] of names.entries()) {
      if (name !== "VFIO_IOMMU_UNMAP_DMA") continue;
      const { session } = prepared(kind, () => [{ nth, ...fault }]);
      session.run();
      for (const { code: found, message } of session.errors) {
        assert.match(`${found}: ${message}`, code);
        told++;
      }
    }
    assert.ok(told > 5, `${told} were told`);
  });
}

/** The end of the process came up to the program, itself or as the cause of what it was told. */
function hasEnded(error: unknown): boolean {
  if (error instanceof ModelProcessEnded) return true;
  if (!(error instanceof Error)) return false;
  return hasEnded(error.cause) || error.message.includes("has ended");
}

test.run();
