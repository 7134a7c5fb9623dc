/** An attached memory on type1: what comes is mapped, what goes is unmapped as a whole, and nothing else is touched. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type PlanRequest, planWindow } from "../../src/plan/index.ts";
import type { Passing } from "../../src/through.ts";
import { failure } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { agreeOnMaps } from "../support/other-iommus.ts";
import { GiB, KiB, MiB, Program } from "../support/program.ts";
import { Random } from "../support/random.ts";

const PAGE = 4n * KiB;
const HUGE = 2n * MiB;

for (const iommuVersion of [1, 2] as const) {
  const attached = suite(`type1 v${iommuVersion}`);

  /** Memory with a list of hugepages and one of ordinary pages, and a window that is planned for both. */
  function ready(request: Partial<PlanRequest> = {}, options = {}) {
    const program = new Program({ platform: "type1", iommuVersion, ...options });
    const memory = program.memory();
    const huge = memory.addList({ pageSize: HUGE, maxBytes: 32n * HUGE });
    const small = memory.addList({ pageSize: PAGE, maxBytes: 256n * PAGE });
    const plan = planWindow({ memory, info: program.container.info(), ...request });
    const window = program.container.createWindow(plan);
    return { program, memory, huge, small, window };
  }

  attached("memory of before and after is mapped, one MAP for each piece, and unmapped with it", () => {
    const { program, memory, huge, small, window } = ready();
    const first = memory.allocate(huge, 2);
    program.record.take();
    program.container.attach(memory);
    const second = memory.allocate(small, 5);
    const third = memory.allocate(huge, 1);
    const names = program.record.takeNames().filter((call) => call.endsWith("_DMA"));
    assert.equal(names, ["MAP_DMA", "MAP_DMA", "MAP_DMA"]);
    for (const { va, length } of [first, second, third]) {
      assert.is(window.translate(va + length - 1n), window.iovaOf(va) + length - 1n);
    }
    agreeOnMaps(program, window);
    memory.free(first);
    memory.free(second);
    agreeOnMaps(program, window);
    assert.is(window.liveBytes, third.length);
    program.container.detach(memory);
    assert.equal(program.seen.maps, []);
    program.container.close();
    memory.close();
    assert.equal(program.model.leaks(), []);
  });

  attached("a segment goes as it came, though its neighbours are one run with it", () => {
    const { program, memory, huge, window } = ready();
    program.container.attach(memory);
    const segments = Array.from({ length: 5 }, () => memory.allocate(huge, 1));
    assert.is([...window.maps()].length, 1);
    for (const i of [2, 0, 4]) {
      const segment = segments[i];
      if (segment) memory.free(segment);
      agreeOnMaps(program, window);
    }
    assert.is(window.liveBytes, 2n * HUGE);
  });

  attached("the same memory attached to two windows is in both, and leaves them one by one", () => {
    const { program, memory, huge, window } = ready();
    const other = program.container.createWindow(planWindow({ memory, info: program.container.info() }));
    const segment = memory.allocate(huge, 2);
    program.container.attach(memory, window);
    failure("ERR_ATTACHED", () => program.container.attach(memory, other));
    other.map({ va: segment.va, length: segment.length });
    agreeOnMaps(program, window, other);
    program.container.detach(memory);
    agreeOnMaps(program, window, other);
    assert.is(other.liveBytes, segment.length);
  });

  attached("a MAP that is refused leaves memory, window and kernel as they were", () => {
    const { program, memory, huge, window } = ready();
    memory.allocate(huge, 1);
    program.container.attach(memory);
    for (const answer of [no.ENOMEM, no.EEXIST, no.ENOSPC]) {
      program.kernel.fail({ call: "MAP_DMA", answer });
      const error = failure("ERR_KERNEL", () => memory.allocate(huge, 2));
      assert.equal([error.errno, error.residue], [answer, undefined]);
      assert.is(memory.size, 1);
      agreeOnMaps(program, window);
    }
    memory.allocate(huge, 2);
    agreeOnMaps(program, window);
  });

  attached("attaching fails as a whole at the kernel's limit of maps, and leaves nothing", () => {
    const { program, memory, huge, window } = ready({}, { dmaEntryLimit: 3 });
    for (let i = 0; i < 4; i++) memory.allocate(huge, 1);
    assert.is(failure("ERR_KERNEL", () => program.container.attach(memory)).errno, no.ENOSPC);
    assert.equal([program.seen.maps, window.liveBytes, window.largestHole], [[], 0n, window.size]);
  });

  attached("an UNMAP that is refused keeps the segment, mapped as it was", () => {
    const { program, memory, huge, window } = ready();
    program.container.attach(memory);
    const segment = memory.allocate(huge, 2);
    program.kernel.fail({ call: "UNMAP_DMA", answer: no.EINVAL });
    failure("ERR_KERNEL", () => memory.free(segment));
    assert.equal([segment.freed, window.iovaOf(segment.va) >= 0n], [false, true]);
    agreeOnMaps(program, window);
    memory.free(segment);
    assert.equal(program.seen.maps, []);
  });

  attached("a list that would lie where the IOMMU allows nothing is refused, with the ranges", () => {
    const ranges = [
      { start: 0n, last: 16n * MiB - 1n },
      { start: GiB, last: (1n << 48n) - 1n },
    ];
    const program = new Program({ platform: "type1", iommuVersion, ranges });
    const memory = program.memory();
    const base = 0x1000_0000n;
    const plan = planWindow({ memory: { lists: [] }, info: program.container.info(), iovaMode: "va", growTo: GiB });
    const window = program.container.createWindow({ ...plan, pageShift: 12 });
    program.container.attach(memory);
    const error = failure("ERR_OUTSIDE_RANGES", () => memory.addList({ pageSize: PAGE, maxBytes: MiB, base }));
    assert.match(error.message, `the list at 0x10000000 needs IOVAs 0x10000000-0x100fffff`);
    assert.match(error.message, "allowed are 0x0-0xffffff, 0x40000000-");
    assert.equal(memory.lists, []);
    memory.addList({ pageSize: PAGE, maxBytes: MiB, base: MiB });
    assert.is(window.largestHole, 14n * MiB);
  });

  attached("a random life of it: after every step the kernel has what the tables say", () => {
    const seed = 20260;
    const random = new Random(seed);
    const { program, memory, huge, small, window } = ready();
    program.container.attach(memory);
    const segments: ReturnType<typeof memory.allocate>[] = [];
    for (let step = 0; step < 150; step++) {
      try {
        if (random.once(8)) {
          program.kernel.fail({ call: random.pick(["MAP_DMA", "UNMAP_DMA"]), nth: random.below(2), answer: no.ENOMEM });
        }
        if (segments.length > 0 && random.once(2)) {
          const at = random.below(segments.length);
          const segment = segments[at];
          if (segment) memory.free(segment);
          segments.splice(at, 1);
        } else segments.push(memory.allocate(random.pick([huge, small]), 1 + random.below(4)));
      } catch (error) {
        const { code } = error as { code?: string };
        assert.ok(code === "ERR_KERNEL" || code === "ERR_LIST_FULL", `seed ${seed}, step ${step}: ${error}`);
      }
      program.kernel.heal();
      agreeOnMaps(program, window);
      assert.is(
        window.liveBytes,
        segments.reduce((sum, { length }) => sum + length, 0n),
        `seed ${seed}, step ${step}`,
      );
    }
    program.container.close();
    memory.close();
    assert.equal(program.model.leaks(), []);
  });

  attached.run();
}

const sizes = suite("an UNMAP of a wrong size");
const saying =
  (size: bigint) =>
  ({ memory, at }: Passing): void => {
    new DataView(memory?.buffer as ArrayBuffer, memory?.byteOffset).setBigUint64((at ?? 0) + 16, size, true);
  };

function attachedOn(iommuVersion: 1 | 2) {
  const program = new Program({ platform: "type1", iommuVersion });
  const memory = program.memory();
  const list = memory.addList({ pageSize: HUGE, maxBytes: 8n * HUGE });
  const window = program.container.createWindow(planWindow({ memory, info: program.container.info() }));
  program.container.attach(memory);
  return { program, memory, window, segment: memory.allocate(list, 2) };
}

sizes("v2: the segment is gone, and the error says that the kernel had less of it", () => {
  const { program, memory, window, segment } = attachedOn(2);
  program.kernel.fail({ call: "UNMAP_DMA", after: saying(HUGE) });
  const error = failure("ERR_UNMAP_SIZE", () => memory.free(segment));
  assert.is(error.facts?.unmapped, HUGE);
  assert.equal([segment.freed, memory.size, window.liveBytes], [true, 0, 0n]);
});

sizes("v2: detaching, closing the window and closing the container say so too, and are done", () => {
  for (const end of ["detach", "window", "container"] as const) {
    const { program, memory, window } = attachedOn(2);
    program.kernel.fail({ call: "UNMAP_DMA", after: saying(0n) });
    if (end === "detach") failure("ERR_UNMAP_SIZE", () => program.container.detach(memory));
    if (end === "window") failure("ERR_UNMAP_SIZE", () => window.close());
    if (end === "container") {
      assert.match(failure("ERR_CLOSE", () => program.container.close()).message, "says that it unmapped 0 bytes");
    }
    program.container.close();
    memory.close();
    assert.equal(program.model.leaks(), []);
  }
});

sizes("v1: the segment stays, for the device may still reach it", () => {
  const { program, memory, window, segment } = attachedOn(1);
  program.kernel.fail({ call: "UNMAP_DMA", answer: 0, before: saying(0n) });
  failure("ERR_UNMAP_SIZE", () => memory.free(segment));
  assert.equal([segment.freed, window.liveBytes], [false, segment.length]);
  agreeOnMaps(program, window);
  memory.free(segment);
  assert.equal(program.seen.maps, []);
});

sizes.run();
