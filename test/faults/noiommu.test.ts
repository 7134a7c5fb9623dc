/** The sweep without an IOMMU: few calls, and the only thing that can go wrong with a map is the kernel's word on where memory is. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Container } from "../../src/container/container.ts";
import { openContainer } from "../../src/container/open.ts";
import type { Window } from "../../src/container/window.ts";
import { DmaWindowError } from "../../src/errors.ts";
import type { Segment } from "../../src/memory/segment.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import type { MemsegList } from "../../src/memory/types.ts";
import { type Fault, faulty, killed } from "../../src/model/faults.ts";
import { type ModelKernel, ModelProcessEnded, modelKernel } from "../../src/model/index.ts";
import { planWindow } from "../../src/plan/index.ts";
import { MapFlag, Protection, type Syscalls } from "../../src/syscalls.ts";
import { answersTo } from "./answers.ts";

const GROUP = 26;
const PAGE = 2n << 20n;

// Each of these kernels would be warned of once: it is meant here.
process.removeAllListeners("warning");

/** A day of a program; what fails is tried once more. Gives the codes of what failed. */
function session(model: ModelKernel, kernel: Syscalls): string[] {
  const failed: string[] = [];
  const own = model.mmap(0n, 2n * PAGE, Protection.READ | Protection.WRITE, MapFlag.HUGETLB, 21);
  let window: Window | undefined;
  const act = <R>(run: () => R): R => {
    try {
      return run();
    } catch (error) {
      if (!(error instanceof DmaWindowError)) throw error;
      failed.push(`${error.code}: ${error.message}`);
      agrees(model, window);
      return run();
    } finally {
      agrees(model, window);
    }
  };
  const container: Container = act(() => openContainer({ kernel, groups: [GROUP], noIommu: true }));
  const table = new MemsegTable({ kernel, physical: true });
  const list: MemsegList = act(() => table.addList({ pageSize: PAGE, maxBytes: 8n * PAGE }));
  const plan = planWindow({ memory: table, info: container.info(), iovaMode: "pa", growTo: 1n << 56n });
  window = act(() => container.createWindow(plan));
  act(() => container.attach(table));
  const segments: Segment[] = [1, 1, 1].map((pages) => act(() => table.allocate(list, pages)));
  const iova = act(() => window?.map({ va: own, length: PAGE }));
  assert.is(iova, model.physicalAddresses(own, 1, 2 << 20)[0]);
  for (const segment of segments.slice(1))
    once(
      () => table.free(segment),
      () => segment.freed,
      act,
    );
  act(() => table.allocate(list, 1));
  act(() => window?.unmap({ iova: iova ?? 0n, length: PAGE }));
  act(() => container.detach(table));
  act(() => window?.close());
  act(() => container.close());
  act(() => table.close());
  assert.is(model.munmap(own, 2n * PAGE), 0);
  return failed;
}

/** Not again, where it failed and was done all the same. */
function once(run: () => void, isDone: () => boolean, act: (run: () => void) => void): void {
  act(() => {
    if (!isDone()) run();
  });
}

/** What the window says is where the memory really is. */
function agrees(model: ModelKernel, window: Window | undefined): void {
  if (window === undefined || window.closed || model.snapshot().processes.length === 0) return;
  for (const { va, iova, length } of window.maps())
    for (let at = 0n; at < length; at += PAGE) assert.is(model.tceAt(GROUP, iova + at)?.va, va + at);
}

function run(fault: (model: ModelKernel) => Fault) {
  const model = modelKernel({ platform: "noiommu", groups: [GROUP] });
  const free = model.snapshot().hugepages;
  const kernel = faulty(model, fault(model));
  return { model, kernel, free, failed: () => session(model, kernel) };
}

function callsOf(): string[] {
  const names: string[] = [];
  const { failed } = run(() => ({ times: Number.POSITIVE_INFINITY, before: ({ name }) => void names.push(name) }));
  assert.equal(failed(), []);
  return names;
}

test("no IOMMU: whichever call fails, and however, nothing is left", () => {
  let [runs, told] = [0, 0];
  for (const [nth, name] of callsOf().entries()) {
    for (const answer of answersTo(name, false)) {
      const { model, kernel, free, failed } = run(() => ({ nth, answer, made: name === "close" }));
      const about = `call ${nth}, ${name}, answered ${answer}`;
      const errors = failed();
      assert.equal(kernel.refused, [name], about);
      assert.ok(errors.length > 0, `${about}, and nobody was told`);
      assert.equal(model.leaks(), [], about);
      const space = errors.some((error) => error.includes("munmap"));
      if (!space) assert.equal(model.snapshot().hugepages, free, about);
      runs++;
      told += errors.length;
    }
  }
  console.log(`no IOMMU: ${runs} runs with a fault, ${told} errors`);
  assert.ok(runs > 60, `${runs} runs`);
});

test("no IOMMU: wherever the process is killed, the machine has nothing left of it", () => {
  for (const [nth, name] of callsOf().entries()) {
    const { model, free, failed } = run((kernel) => killed(kernel, { nth }));
    let last: unknown;
    try {
      failed();
    } catch (error) {
      last = error;
    }
    assert.ok(
      last instanceof ModelProcessEnded || /has ended/.test(String(last)),
      `killed in call ${nth}, ${name}: ${last}`,
    );
    assert.equal(model.leaks(), []);
    assert.equal(model.snapshot().hugepages, free, name);
  }
});

test.run();
