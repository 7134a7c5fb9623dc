/** `window.iovaOffset`: one addition gives the IOVA of all memory of a list, or the question is refused. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openContainer } from "../../src/container/open.ts";
import type { Window } from "../../src/container/window.ts";
import type { Segment } from "../../src/memory/segment.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import type { MemsegList } from "../../src/memory/types.ts";
import { type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { type IovaMode, planWindow } from "../../src/plan/index.ts";
import { failure, refused } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { GiB, HIGH, MiB, Program, TiB } from "../support/program.ts";
import { Random } from "../support/random.ts";

const HUGE = 2n * MiB;
const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);

/** Fails unless the offset says of an address what the window says, as a bigint, through an array, and as a number. */
function agreeAt(window: Window, offset: bigint, va: bigint): void {
  const iova = window.iovaOf(va);
  assert.is(u64(va + offset), iova);
  const ring = new BigUint64Array(1);
  ring[0] = va + offset;
  assert.is(ring[0], iova);
  if (va % 4096n === 0n || iova < 1n << 53n) {
    assert.is(Number(va) + Number(BigInt.asIntN(64, offset)), Number(iova), "as a number");
  }
}

/** Fails unless the list's offset is true of all of its memory, and of what the device reaches. How many memsegs it has. */
function agreeOn(program: Program, window: Window, memory: MemsegTable, list: MemsegList): number {
  const offset = window.iovaOffset(list);
  assert.ok(offset >= 0n && offset < 1n << 64n);
  const memsegs = [...memory.memsegs(list.base, list.length)];
  for (const { va, length } of memsegs) {
    for (const at of [va, va + 1n, va + length / 2n, va + length - 1n]) {
      agreeAt(window, offset, at);
      assert.is(program.model.tceAt(program.group, u64(at + offset))?.va, at, "what the device reaches");
    }
  }
  return memsegs.length;
}

interface Kind {
  readonly name: string;
  readonly options: ModelOptions;
  /** Modes in which lists have offsets here. */
  readonly modes: readonly IovaMode[];
}

const kinds: readonly Kind[] = [
  { name: "powernv", options: { platform: "powernv" }, modes: ["rebased"] },
  { name: "powernv, pages of 64 KiB", options: { platform: "powernv", pageSize: 65536 }, modes: ["rebased"] },
  { name: "pseries", options: { platform: "pseries" }, modes: ["rebased"] },
  { name: "type1 v1", options: { platform: "type1", iommuVersion: 1 }, modes: ["rebased", "va"] },
  { name: "type1 v2", options: { platform: "type1" }, modes: ["rebased", "va"] },
];

/** Lists of every kind that a window serves, and one that it does not. */
function listsOf(memory: MemsegTable, program: Program) {
  const page = BigInt(program.model.pageSize);
  return {
    huge: memory.addList({ pageSize: HUGE, maxBytes: 32n * HUGE }),
    small: memory.addList({ pageSize: page, maxBytes: 256n * page }),
    heap: memory.addList({
      pageSize: page,
      maxBytes: 16n * page,
      base: program.allocate(16n * page),
      external: true,
      heap: true,
    }),
    foreign: memory.addList({
      pageSize: page,
      maxBytes: 16n * page,
      base: program.allocate(16n * page),
      external: true,
    }),
  };
}

const property = suite("the offset of a list");

for (const { name, options, modes } of kinds) {
  for (const iovaMode of modes) {
    property(`is true of all its memory, whatever comes and goes: ${name}, ${iovaMode}`, () => {
      let checked = 0;
      for (let seed = 1; seed <= 6; seed++) {
        const random = new Random(seed);
        const program = new Program({ hugepages: { 21: 64 }, ...options });
        const page = BigInt(program.model.pageSize);
        const memory = program.memory();
        const { huge, small, heap, foreign } = listsOf(memory, program);
        const served = [huge, small, heap];
        const info = program.container.info();
        const window = program.container.createWindow(
          planWindow({ memory, info, iovaMode, growTo: plannedEnd(iovaMode) }),
        );
        const blocker =
          iovaMode === "rebased" && random.once(2) ? window.map({ va: program.allocate(page), length: page }) : 0n;
        let attached = false;
        let segments: Segment[] = [];
        const offsets = new Map<MemsegList, bigint>();
        for (let step = 0; step < 60; step++) {
          const act = random.below(10);
          if (act < 4) segments.push(memory.allocate(random.once(2) ? huge : small, 1 + random.below(3)));
          else if (act < 6 && segments.length > 0) {
            const [gone] = segments.splice(random.below(segments.length), 1);
            memory.free(gone as Segment);
          } else if (act === 6) {
            const va = heap.base + BigInt(random.below(16)) * page;
            if (memory.find(va)) memory.remove(va);
            else memory.add(heap, { va, length: page });
          } else if (act === 7) {
            if (attached) program.container.detach(memory);
            else program.container.attach(memory);
            attached = !attached;
            offsets.clear();
          } else if (act === 8 && served.length < 6) {
            served.push(memory.addList({ pageSize: page, maxBytes: 8n * page, ...near(iovaMode, small) }));
            segments.push(memory.allocate(served.at(-1) as MemsegList, 1 + random.below(4)));
          } else if (act === 9) {
            const segment = segments.at(-1);
            const list = segment?.list;
            if (segments.filter((one) => one.list === list).length === 1 && served.indexOf(list as MemsegList) > 2) {
              memory.free(segment as Segment);
              segments = segments.filter((one) => one !== segment);
              memory.removeList(list as MemsegList);
              served.splice(served.indexOf(list as MemsegList), 1);
              failure("ERR_NOT_ATTACHED", () => window.iovaOffset(list as MemsegList));
              offsets.delete(list as MemsegList);
            }
          }
          for (const list of served) {
            if (!attached) {
              failure("ERR_NOT_ATTACHED", () => window.iovaOffset(list));
              continue;
            }
            checked += agreeOn(program, window, memory, list);
            const offset = window.iovaOffset(list);
            assert.is(offset, offsets.get(list) ?? offset, `the same as long as it is attached; seed ${seed}`);
            offsets.set(list, offset);
            if (iovaMode === "va") assert.is(offset, 0n);
            else
              assert.is(
                window.tceIndex(u64(list.base + offset)) === undefined,
                false,
                "its region begins in the window",
              );
          }
          failure(attached ? "ERR_NOT_SERVED" : "ERR_NOT_ATTACHED", () => window.iovaOffset(foreign));
        }
        if (blocker !== 0n) assert.ok(window.vaOf(blocker) !== undefined);
        program.container.close();
        memory.close();
        assert.equal(program.model.leaks(), []);
      }
      assert.ok(checked > 300, `${checked} memsegs were looked at`);
    });
  }
}

/** How far memory may reach: what comes later has to fit. */
function plannedEnd(mode: IovaMode): bigint {
  return mode === "va" ? 1n << 46n : GiB;
}

function near(mode: IovaMode, list: MemsegList): { near?: bigint } {
  return mode === "va" ? { near: list.base } : {};
}

property.run();

const offset = suite("an offset");

/** A window with a memory of one list attached, and a page in it. */
function attached() {
  const program = new Program({ hugepages: { 21: 64 } });
  const memory = program.memory();
  const list = memory.addList({ pageSize: HUGE, maxBytes: 8n * HUGE });
  const window = program.container.createWindow(planWindow({ memory, info: program.container.info(), growTo: GiB }));
  program.container.attach(memory);
  const segment = memory.allocate(list, 1);
  return { program, memory, list, window, segment };
}

offset("is modulo 2^64 where the window lies below the memory, and where it lies above", () => {
  const { window, list } = attached();
  assert.is(window.start < list.base, true);
  assert.is(u64(list.base + window.iovaOffset(list)), window.start);
  assert.ok(window.iovaOffset(list) > 1n << 63n, "below zero as a signed number");
  const high = new Program({ platform: "pseries", hugepages: { 21: 16 } });
  const memory = high.memory();
  const above = memory.addList({ pageSize: HUGE, maxBytes: 16n * HUGE });
  const second = high.container.createWindow(planWindow({ memory, info: high.container.info() }));
  high.container.attach(memory);
  assert.is(second.start, HIGH);
  assert.is(second.iovaOffset(above), HIGH - above.base);
  assert.is(agreeOn(high, second, memory, above), 0);
  memory.allocate(above, 3);
  assert.ok(agreeOn(high, second, memory, above) > 0);
});

offset("is another one after detach and attach, when another place was free", () => {
  const { program, memory, list, window, segment } = attached();
  const before = window.iovaOffset(list);
  program.container.detach(memory);
  assert.equal(failure("ERR_NOT_ATTACHED", () => window.iovaOffset(list)).facts, {
    list: { base: list.base, length: list.length, pageSize: list.pageSize },
  });
  window.map({ va: program.allocate(HUGE, 21), length: HUGE, iova: window.start });
  program.container.attach(memory);
  assert.is.not(window.iovaOffset(list), before);
  assert.is(u64(segment.va + window.iovaOffset(list)), window.iovaOf(segment.va));
  agreeOn(program, window, memory, list);
});

offset("is one for each window", () => {
  const first = new Program({ groups: [27, 26] });
  const second = first.beside(27);
  const [one, another] = [first.window(16n * MiB), second.window(16n * MiB)];
  const memory = first.memory();
  const list = memory.addList({ pageSize: 4096, maxBytes: MiB });
  first.container.attach(memory);
  failure("ERR_NOT_ATTACHED", () => another.iovaOffset(list));
  another.map({ va: first.allocate(4096n), length: 4096n, iova: another.start });
  second.container.attach(memory);
  memory.allocate(list, 3);
  assert.is.not(one.iovaOffset(list), another.iovaOffset(list));
  agreeOn(first, one, memory, list);
  agreeOn(second, another, memory, list);
});

offset("stays where a detach fails, and where growth fails", () => {
  const { program, memory, list, window } = attached();
  const before = window.iovaOffset(list);
  program.kernel.fail({ call: "UNMAP_DMA", answer: no.EIO });
  failure("ERR_KERNEL", () => program.container.detach(memory));
  assert.is(window.iovaOffset(list), before);
  program.kernel.fail({ call: "MAP_DMA", answer: no.ENOMEM });
  failure("ERR_KERNEL", () => memory.allocate(list, 2));
  assert.is(window.iovaOffset(list), before);
  program.kernel.fail({ call: "UNMAP_DMA", answer: no.EIO });
  failure("ERR_KERNEL", () => window.close());
  assert.is(window.iovaOffset(list), before);
  agreeOn(program, window, memory, list);
});

offset("is not there after an attach that failed", () => {
  const program = new Program();
  const memory = program.memory();
  const list = memory.addList({ pageSize: 4096, maxBytes: MiB });
  memory.allocate(list, 4);
  const window = program.window(16n * MiB);
  program.kernel.fail({ call: "MAP_DMA", answer: no.ENOMEM });
  failure("ERR_KERNEL", () => program.container.attach(memory));
  failure("ERR_NOT_ATTACHED", () => window.iovaOffset(list));
  program.container.attach(memory);
  agreeOn(program, window, memory, list);
});

offset("is refused in mode pa, with and without an IOMMU", () => {
  for (const noIommu of [false, true]) {
    const kernel = modelKernel({ platform: noIommu ? "noiommu" : "type1", hugepages: { 21: 8 } });
    const container = openContainer({ kernel, groups: [26], noIommu });
    const memory = new MemsegTable({ kernel, physical: true });
    const list = memory.addList({ pageSize: HUGE, maxBytes: 8n * HUGE });
    const plan = planWindow({ memory, info: container.info(), iovaMode: "pa", highestRam: TiB / 64n - 1n });
    const window = container.createWindow(plan);
    failure("ERR_NO_OFFSET", () => window.iovaOffset(list));
    container.attach(memory);
    const segment = memory.allocate(list, 2);
    const error = failure("ERR_NO_OFFSET", () => window.iovaOffset(list));
    assert.match(error.message, "translate");
    assert.ok(window.iovaOf(segment.va) >= 0n);
  }
});

offset("is refused for a list of another table, and for what is no list", () => {
  const { window, memory, segment, list } = attached();
  const other = new MemsegTable();
  const theirs = other.addList({ pageSize: HUGE, maxBytes: 8n * HUGE, base: list.base });
  failure("ERR_NOT_ATTACHED", () => window.iovaOffset(theirs));
  failure("ERR_NOT_ATTACHED", () => window.iovaOffset({ ...list }));
  for (const value of [undefined, null, 0, list.base, "list", memory, segment, window, {}, [], () => list]) {
    refused("ERR_INVALID_ARG_TYPE", () => window.iovaOffset(value as never));
  }
});

offset("is refused by a window that is closed, by itself or with its container", () => {
  const { window, list } = attached();
  window.close();
  failure("ERR_CLOSED", () => window.iovaOffset(list));
  const second = attached();
  second.program.container.close();
  failure("ERR_CLOSED", () => second.window.iovaOffset(second.list));
});

offset.run();
