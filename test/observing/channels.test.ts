/** What diagnostics_channel says of maps, unmaps, windows, devices and failures, and that it costs nothing where nobody listens. */
import { channel, subscribe, unsubscribe } from "node:diagnostics_channel";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Window } from "../../src/container/window.ts";
import { driven, Probe, refusing } from "../device/site.ts";
import { failure } from "../support/failure.ts";
import { readyOnType1 } from "../support/other-iommus.ts";
import { MiB, Program, ready } from "../support/program.ts";

const PAGE = 4096n;

/** What is said on some channels while `run` does its work, each with its channel's name. */
function heard<T>(
  names: readonly string[],
  run: () => T,
): { readonly told: [string, Record<string, unknown>][]; readonly value: T } {
  const told: [string, Record<string, unknown>][] = [];
  const listeners = names.map((name) => {
    const listener = (message: unknown) => {
      told.push([name, message as Record<string, unknown>]);
    };
    subscribe(`dma-window:${name}`, listener);
    return () => unsubscribe(`dma-window:${name}`, listener);
  });
  try {
    return { told, value: run() };
  } finally {
    for (const end of listeners) end();
  }
}

const untimed = ({ milliseconds, ...message }: Record<string, unknown>) => {
  assert.ok(typeof milliseconds === "number" && milliseconds >= 0 && milliseconds < 60_000);
  return message;
};

test("a map is told with where it is, for whom, and in which window; and an unmap", () => {
  const { window, va } = ready();
  const container = window.target.container;
  const { told } = heard(["map", "unmap"], () => {
    window.mapMany([
      { va, length: PAGE, iova: MiB },
      { va: va + PAGE, length: 2n * PAGE, write: false },
    ]);
    window.unmap({ iova: MiB, length: PAGE });
  });
  assert.equal(
    told.map(([name, message]) => [name, untimed(message)]),
    [
      [
        "map",
        {
          ...{ container, window: 0n, by: "program" },
          maps: [
            { va, iova: MiB, length: PAGE, read: true, write: true },
            { va: va + PAGE, iova: 0n, length: 2n * PAGE, read: true, write: false },
          ],
        },
      ],
      ["unmap", { container, window: 0n, by: "program", maps: [{ va, iova: MiB, length: PAGE }] }],
    ],
  );
});

test("what a memory has mapped and unmapped says so, and so does a window that closes", () => {
  const { program, window, va } = ready();
  const memory = program.memory();
  const list = memory.addList({ pageSize: PAGE, maxBytes: MiB });
  const { told } = heard(["map", "unmap", "window"], () => {
    window.map({ va, length: PAGE, iova: 8n * MiB });
    program.container.attach(memory, window);
    const segment = memory.allocate(list, 2);
    memory.allocate(list, 1);
    memory.free(segment);
    window.close();
  });
  const short = told.map(([name, { by, event, maps }]) =>
    [name, by ?? event, (maps as { length: bigint }[] | undefined)?.map(({ length }) => Number(length / PAGE))].join(
      " ",
    ),
  );
  assert.equal(short, [
    "map program 1",
    "map memory 2",
    "map memory 1",
    "unmap memory 2",
    "unmap memory 1",
    "unmap window 1",
    "window closed ",
  ]);
});

test("windows are told as they come and go, also with their container", () => {
  const { program, window } = ready();
  const { told } = heard(["window"], () => {
    window.close();
    program.window(64n * MiB);
    program.container.close();
    program.container.close();
  });
  assert.equal(
    told.map(([, { event, size, pageSize, kind, start, iovaMode }]) => [event, size, pageSize, kind, start, iovaMode]),
    [
      ["closed", 16n * MiB, PAGE, "spapr", 0n, "rebased"],
      ["created", 64n * MiB, PAGE, "spapr", 0n, "rebased"],
      ["closed", 64n * MiB, PAGE, "spapr", 0n, "rebased"],
    ],
  );
});

test("devices are told as they are opened, reset and closed", async () => {
  const { told, value } = heard(["device"], () => {
    const site = driven();
    site.container.device(site.address);
    site.device.reset();
    site.container.close();
    return site;
  });
  const { address } = value;
  assert.equal(
    told.map(([, message]) => message),
    [
      { event: "opened", address, group: 26 },
      { event: "reset", reset: "device", address, group: 26 },
      { event: "closed", gone: false, address, group: 26 },
    ],
  );
});

test("a failure is told once, by the operation, with the very error that is thrown", () => {
  const { program, window, va } = readyOnType1();
  const { told, value } = heard(["failure"], () => [
    failure("ERR_UNALIGNED_LENGTH", () => window.map({ va, length: 5 })),
    failure("ERR_NOT_LIVE", () => window.unmap({ iova: 0n, length: PAGE })),
    failure("ERR_NO_HOLE", () => window.map({ va, length: 32n * MiB })),
    (() => {
      program.kernel.fail({ call: "VFIO_IOMMU_MAP_DMA", answer: -12 });
      return failure("ERR_KERNEL", () => window.map({ va, length: PAGE }));
    })(),
    failure("ERR_UNALIGNED_LENGTH", () =>
      window.mapInto(
        new BigUint64Array([va]),
        new BigUint64Array([5n]),
        new BigUint64Array([0n]),
        new Uint32Array([3]),
      ),
    ),
    failure("ERR_NOT_LIVE", () =>
      window.unmapFrom(new BigUint64Array([0n]), new BigUint64Array([PAGE]), new BigUint64Array([va])),
    ),
    failure("ERR_LIST_FULL", () => {
      const memory = program.memory();
      memory.allocate(memory.addList({ pageSize: PAGE, maxBytes: PAGE }), 2);
    }),
  ]);
  assert.equal(
    told.map(([, { operation }]) => operation),
    ["window.map", "window.unmap", "window.map", "window.map", "window.mapInto", "window.unmapFrom", "memory.allocate"],
  );
  for (const [i, [, { error }]] of told.entries()) assert.is(error, value[i]);
});

test("a device that does not open, or reset, on another thread is a failure too", async () => {
  const kernelFails = { call: "DEVICE_RESET", answer: -5, times: 9 };
  const { container, device } = driven(new Probe(), { through: (model) => refusing(model, kernelFails) });
  const told: unknown[] = [];
  const listener = (message: unknown) => {
    told.push((message as { operation: string }).operation);
  };
  subscribe("dma-window:failure", listener);
  try {
    await device.resetAsync().then(
      () => assert.unreachable(),
      () => undefined,
    );
    await container.openDevice("0000:00:1f.7").then(
      () => assert.unreachable(),
      () => undefined,
    );
  } finally {
    unsubscribe("dma-window:failure", listener);
  }
  assert.equal(told, ["device.resetAsync", "container.openDevice"]);
});

test("whoever listens may ask, and not change anything", () => {
  const { window, va } = ready();
  let seen: bigint | undefined;
  let refused: unknown;
  const listener = () => {
    seen = window.translate(va);
    window.runs(va, 1);
    try {
      window.map({ va: va + PAGE, length: PAGE });
    } catch (error) {
      refused = error;
    }
  };
  subscribe("dma-window:map", listener);
  try {
    assert.is(window.map({ va, length: PAGE, iova: MiB }), MiB);
  } finally {
    unsubscribe("dma-window:map", listener);
  }
  assert.is(seen, MiB);
  assert.is((refused as { code: string }).code, "ERR_BUSY");
  assert.is(window.liveBytes, PAGE);
});

test("a listener that throws changes nothing: it is an uncaught exception of the process", async () => {
  const { window, va } = ready();
  const listener = () => {
    throw new Error("the listener's own");
  };
  const uncaught = new Promise<Error>((told) => process.once("uncaughtException", told));
  for (const name of ["map", "unmap"]) subscribe(`dma-window:${name}`, listener);
  try {
    assert.is(window.map({ va, length: PAGE, iova: MiB }), MiB);
    assert.is((await uncaught).message, "the listener's own");
  } finally {
    unsubscribe("dma-window:map", listener);
  }
  const another = new Promise<Error>((told) => process.once("uncaughtException", told));
  window.unmap({ iova: MiB, length: PAGE });
  unsubscribe("dma-window:unmap", listener);
  assert.is((await another).message, "the listener's own");
  assert.is(window.liveBytes, 0n);
});

/** How often `run` asks what time it is, and for the rows of the columns: that is done for messages alone. */
function made(window: Window, va: bigint): { readonly looks: number; readonly messages: number } {
  const { now } = performance;
  let looks = 0;
  let messages = 0;
  performance.now = () => {
    looks++;
    return now.call(performance);
  };
  const { publish } = channel("dma-window:map");
  const nobody = Object.getPrototypeOf(channel("dma-window:nobody")) as { publish: typeof publish };
  const { publish: silent } = nobody;
  nobody.publish = () => {
    messages++;
  };
  try {
    window.unmap({ iova: window.map({ va, length: PAGE }), length: PAGE });
    failure("ERR_NOT_LIVE", () => window.unmap({ iova: 0n, length: PAGE }));
  } finally {
    performance.now = now;
    nobody.publish = silent;
  }
  return { looks, messages };
}

test("where nobody listens no message is made, and no clock is looked at", () => {
  const { window, va } = ready();
  assert.equal(made(window, va), { looks: 0, messages: 0 });
  const { value, told } = heard(["map"], () => made(window, va));
  assert.ok(value.looks > 0);
  assert.is(told.length, 1);
  assert.equal(made(window, va), { looks: 0, messages: 0 });
});

test("a listener of failures that calls the library is refused, and that is told to nobody", () => {
  const { container } = new Program({ platform: "type1" });
  let told = 0;
  const listener = (): void => {
    told++;
    for (let i = 0; i < 2; i++) assert.throws(() => container.createWindow({} as never));
  };
  subscribe("dma-window:failure", listener);
  try {
    assert.throws(() => container.createWindow({} as never));
  } finally {
    unsubscribe("dma-window:failure", listener);
  }
  assert.is(told, 1);
});

test.run();
