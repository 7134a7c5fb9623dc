/** Random allocating, freeing, adding, attaching and detaching, on a kernel that says no now and then. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Window } from "../../src/container/window.ts";
import { DmaWindowError } from "../../src/errors.ts";
import type { Segment } from "../../src/memory/segment.ts";
import type { MemsegTable } from "../../src/memory/table.ts";
import type { MemsegList } from "../../src/memory/types.ts";
import { agree } from "../support/agreement.ts";
import { no } from "../support/faulty.ts";
import { MiB, Program } from "../support/program.ts";
import { Random } from "../support/random.ts";

const PAGE = 4096n;

class Storm {
  readonly program = new Program();
  readonly window: Window = this.program.window(16n * MiB);
  readonly memory: MemsegTable = this.program.memory();
  readonly random: Random;
  readonly lists: MemsegList[] = [];
  segments: Segment[] = [];
  attached = false;

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  step(): void {
    const { random, memory, program, lists } = this;
    const choice = random.below(20);
    if (choice === 0) this.#attachOrDetach();
    else if (choice === 1 && lists.length < 6)
      lists.push(memory.addList({ pageSize: PAGE, maxBytes: BigInt(8 + random.below(9)) * PAGE }));
    else if (choice === 2 && lists.length > 1) this.#removeList(random.pick(lists));
    else if (choice < 12 && lists.length > 0)
      this.segments.push(memory.allocate(random.pick(lists), 1 + random.below(5)));
    else if (this.segments.length > 0) this.#free(random.pick(this.segments));
    else program.container.info();
  }

  #attachOrDetach(): void {
    const { container } = this.program;
    try {
      if (this.attached) container.detach(this.memory);
      else container.attach(this.memory);
      this.attached = !this.attached;
    } catch (error) {
      if ((error as DmaWindowError).code === "ERR_STILL_REGISTERED") this.attached = false;
      throw error;
    }
  }

  #removeList(list: MemsegList): void {
    try {
      this.memory.removeList(list);
    } finally {
      if (!this.memory.lists.includes(list)) this.lists.splice(this.lists.indexOf(list), 1);
    }
  }

  #free(segment: Segment): void {
    try {
      this.memory.free(segment);
    } finally {
      if (segment.freed) this.segments = this.segments.filter((one) => one !== segment);
    }
  }

  check(): void {
    const { program, window, memory, segments, attached, lists } = this;
    agree(program, window);
    assert.is(memory.size, segments.length);
    assert.is(window.liveBytes, attached ? memory.bytes : 0n);
    for (const { va, length } of segments) {
      assert.is(memory.find(va)?.length, length);
      const iova = window.translate(va);
      assert.is(iova !== undefined, attached);
      if (iova !== undefined) assert.is(window.vaOf(iova + length - 1n), va + length - 1n, "contiguous for the device");
    }
    assert.equal(memory.lists, lists);
  }
}

test("the table, the window and the kernel agree after every step", () => {
  for (const seed of [1, 2, 3]) {
    const storm = new Storm(seed);
    const outcomes = new Map<string, number>();
    for (let i = 0; i < 1200; i++) {
      let outcome = "done";
      if (storm.random.once(3)) storm.program.kernel.fail({ nth: storm.random.below(6), answer: no.ENOMEM });
      try {
        storm.step();
      } catch (error) {
        if (!(error instanceof DmaWindowError)) throw error;
        outcome = error.code;
        const wanted = error.message.includes("are not given back") ? 1 : 0;
        if (error.code === "ERR_KERNEL") assert.is(error.residue?.left.length ?? 0, wanted, error.message);
      }
      storm.program.kernel.heal();
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      storm.check();
    }
    for (const code of ["done", "ERR_KERNEL", "ERR_LIST_FULL", "ERR_STILL_REGISTERED"]) {
      assert.ok((outcomes.get(code) ?? 0) > 3, `${code}: ${JSON.stringify([...outcomes])}`);
    }
    storm.program.container.close();
    storm.memory.close();
    assert.equal(storm.program.model.leaks(), []);
  }
});

test.run();
