/** A memory that is detached and attached again: a device that was stopped for it goes on with the IOVAs that it knows. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { MemsegTable } from "../../src/memory/table.ts";
import type { MemsegList } from "../../src/memory/types.ts";
import { agree } from "../support/agreement.ts";
import { failure } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { agreeOnMaps } from "../support/other-iommus.ts";
import { GiB, KiB, MiB, Program } from "../support/program.ts";

for (const platform of ["powernv", "pseries", "type1"] as const) {
  const test = suite(platform);

  /** Lists that came when the memory was attached, in an order that no placing order is; and one that went. */
  const build = () => {
    const program = new Program({ platform });
    const window = program.window(GiB, { pageSize: 4n * KiB });
    const memory = program.memory();
    program.container.attach(memory, window);
    const add = (maxBytes: bigint, pageSize = 4n * KiB) => memory.addList({ pageSize, maxBytes });
    const gone = add(8n * MiB);
    const lists = [add(4n * KiB), add(64n * MiB, 2n * MiB), add(MiB), add(32n * MiB, 2n * MiB)];
    memory.removeList(gone);
    const segments = lists.map((list) => memory.allocate(list, 1));
    const places = () => segments.map(({ va }) => window.translate(va));
    const close = () => {
      if (platform === "type1") agreeOnMaps(program, window);
      else agree(program, window);
      program.container.close();
      memory.close();
      assert.equal(program.model.leaks(), []);
    };
    return { program, window, memory, lists, add, places, close };
  };

  const withOneList = (program: Program, maxBytes: bigint): [MemsegTable, MemsegList] => {
    const memory = program.memory();
    return [memory, memory.addList({ pageSize: 4n * KiB, maxBytes })];
  };

  test("every list is where it was, in whatever order they came", () => {
    const { program, window, memory, places, close } = build();
    const before = places();
    for (let times = 0; times < 2; times++) {
      program.container.detach(memory);
      assert.equal(places(), [undefined, undefined, undefined, undefined]);
      program.container.attach(memory, window);
      assert.equal(places(), before);
    }
    close();
  });

  test("lists that came meanwhile go where nothing was, and what another memory took is not taken from it", () => {
    const { program, window, memory, add, places, close } = build();
    const before = places();
    program.container.detach(memory);
    const late = add(16n * MiB);
    program.container.attach(memory, window);
    assert.equal(places(), before);
    const place = window.iovaOf(memory.allocate(late, 1).va);
    assert.not(before.includes(place));
    program.container.detach(memory);
    const [other, list] = withOneList(program, 9n * MiB);
    program.container.attach(other, window);
    assert.is(window.iovaOf(other.allocate(list, 1).va), window.start);
    program.container.attach(memory, window);
    const after = places();
    assert.equal(after.slice(1, 2), before.slice(1, 2), "nothing is at the place of this one");
    assert.not.equal(after[0], before[0], "and at that of this one there is");
    program.container.detach(other);
    other.close();
    close();
  });

  test("an attach that the kernel refuses changes nothing of that", () => {
    const { program, window, memory, places, close } = build();
    const before = places();
    program.container.detach(memory);
    program.kernel.fail({ call: "MAP_DMA", nth: 2, answer: no.ENOMEM });
    failure("ERR_KERNEL", () => program.container.attach(memory, window));
    program.container.attach(memory, window);
    assert.equal(places(), before);
    close();
  });

  test("where the others find no room so, all are placed anew rather than refused", () => {
    const program = new Program({ platform });
    const window = program.window(16n * MiB, { pageSize: 4n * KiB });
    const memory = program.memory();
    program.container.attach(memory, window);
    const first = memory.addList({ pageSize: 4n * KiB, maxBytes: 4n * MiB });
    const kept = memory.addList({ pageSize: 4n * KiB, maxBytes: 4n * MiB });
    const { va } = memory.allocate(kept, 1);
    memory.removeList(first);
    program.container.detach(memory);
    memory.addList({ pageSize: 4n * KiB, maxBytes: 12n * MiB });
    program.container.attach(memory, window);
    assert.not.equal(window.iovaOf(va), window.start + 4n * MiB);
    program.container.close();
    memory.close();
  });

  test("another window knows nothing of it", () => {
    const { program, window, memory, lists } = build();
    window.close();
    const again = program.window(GiB, { pageSize: 4n * KiB });
    program.container.attach(memory, again);
    const [first = 0n] = [...memory.memsegs()].map(({ va }) => again.iovaOf(va)).sort((a, b) => (a < b ? -1 : 1));
    assert.equal([first, lists.length], [again.start, 4]);
    program.container.close();
    memory.close();
  });

  test.run();
}
