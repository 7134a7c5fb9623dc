import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { HELP } from "../../src/cli/help.ts";
import { shimAvailable } from "../../src/linux/index.ts";
import { readIomem } from "../../src/system/iomem.ts";
import { dmaWindow, type Ended, WITHOUT_SHIM, withoutProgress } from "./command.ts";
import { shapeOfPlanned, shapeOfRun } from "./contract.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Fails unless it went well and said nothing but its result. */
function fine({ code, out, err }: Ended): string {
  assert.is(withoutProgress(err), "");
  assert.is(code, 0, out);
  return out;
}

/** Fails unless it could not be done, and one message said why: no stack, nothing on stdout. Gives the message. */
function impossible({ code, out, err }: Ended, errorCode: string): string {
  assert.is(code, 1, err);
  assert.is(out, "");
  assert.ok(err.startsWith("dma-window: ") && err.endsWith(` [${errorCode}]\n`), err);
  assert.not.match(err, /^ {4}at /m, "a stack");
  return err;
}

const running = suite("dma-window run");

for (const platform of ["powernv", "pseries"]) {
  running(
    `prints one JSON document on ${platform}: a window that was never touched, beside a scheme that interrupts`,
    () => {
      const out = fine(dmaWindow(`run --json --steps 200 --platform ${platform}`));
      assert.is(out.trimEnd().split("\n").length, 1);
      const document = JSON.parse(out);
      shapeOfRun(document);
      assert.is(document.kernel, "model");
      assert.is(document.plan.iovaMode, "rebased");
      assert.is(document.storm.allocations + document.storm.frees, 200);
      assert.equal(
        [document.storm.failures, document.resizes, document.liveIovasInterrupted, document.leaks],
        [0, 0, 0, 0],
      );
      assert.ok(document.dynamicScheme.resizes > 0);
      assert.ok(document.dynamicScheme.liveIovasInterrupted > 0);
    },
  );
}

for (const [platform, args] of [
  ["type1", ""],
  ["type1", "--iova va"],
  ["type1", "--iova pa --highest-ram 0xffffffffff"],
  ["noiommu", "--highest-ram 0xffffffffff"],
] as const) {
  running(`prints the same document on ${platform} ${args}, with null for the scheme that needs windows`, () => {
    const document = JSON.parse(
      fine(dmaWindow(`run --json --steps 200 --seed 3 --platform ${platform} ${args}`, { env: WITHOUT_SHIM })),
    );
    shapeOfRun(document);
    assert.is(document.dynamicScheme, null);
    assert.is(document.storm.allocations + document.storm.frees, 200);
    assert.equal(
      [document.storm.failures, document.resizes, document.liveIovasInterrupted, document.leaks],
      [0, 0, 0, 0],
    );
    const mode = platform === "noiommu" ? "pa" : (/--iova (\w+)/.exec(args)?.[1] ?? "rebased");
    assert.is(document.plan.iovaMode, mode);
    assert.equal([document.plan.levels, document.plan.tableBytes, document.plan.chargeBytes], [0, 0, 0]);
  });
}

running("works on this machine's own memory on type1, and without an IOMMU where hugepages are free", () => {
  const type1 = fine(dmaWindow("run --steps 200 --platform type1"));
  assert.match(type1, /kernel +the software model of Linux's VFIO with type1 \(x86, Arm\)\n/);
  assert.match(type1, shimAvailable() ? /memory +\d+ (ordinary pages|hugepages) of/ : /simulated pages of/);
  assert.match(type1, /There is no third column/);
  const bare = dmaWindow("run --steps 200 --platform noiommu --highest-ram 0xffffffffff", { env: WITHOUT_SHIM });
  assert.match(fine(bare), /memory +32 simulated hugepages of 2 MiB \(the shim is not there\)\n/);
  assert.match(bare.out, /IOVAs +1 TiB at 0x0, for 1 TiB in IOVA mode pa\n/);
});

running("does not warn of a software kernel's devices, and refuses another IOVA mode than pa for them", () => {
  const ended = dmaWindow("run --platform noiommu --iova va --highest-ram 0xffffffffff", { env: WITHOUT_SHIM });
  assert.match(impossible(ended, "ERR_PLAN_IMPOSSIBLE"), "IOVAs are physical addresses. Use IOVA mode pa");
});

running("has IOVAs that are virtual addresses on bare metal, in a window that reaches up to them", () => {
  const document = JSON.parse(fine(dmaWindow("run --json --steps 200 --iova va")));
  shapeOfRun(document);
  assert.is(document.plan.start, "0x0");
  assert.equal([document.storm.failures, document.liveIovasInterrupted, document.leaks], [0, 0, 0]);
});

running("has IOVAs that are physical addresses on bare metal, in a window that reaches up to the stated RAM", () => {
  const args = "run --json --steps 200 --iova pa --highest-ram 0xffffffffff";
  const document = JSON.parse(fine(dmaWindow(args, { env: WITHOUT_SHIM })));
  shapeOfRun(document);
  assert.is(document.plan.size, "0x10000000000");
  assert.is(document.system.highestRam, "0xffffffffff");
  assert.equal([document.storm.failures, document.liveIovasInterrupted, document.leaks], [0, 0, 0]);
});

running("asks this machine where its RAM is, and takes its word or says why there is none", () => {
  const answer = dmaWindow("run --json --steps 200 --iova pa");
  let highest: bigint;
  try {
    // Without the shim memory is simulated, and the RAM the software machine's: 64 GiB.
    highest = shimAvailable() ? readIomem().highest : (64n << 30n) - 1n;
  } catch (error) {
    impossible(answer, (error as { code: string }).code);
    return;
  }
  const document = JSON.parse(fine(answer));
  assert.is(BigInt(document.system.highestRam), highest);
  assert.ok(BigInt(document.plan.size) > highest);
});

running("refuses an LPAR addresses as IOVAs, and says what its firmware does and what to use instead", () => {
  for (const mode of ["--iova va", "--iova pa --highest-ram 0xfffffffff"]) {
    const message = impossible(dmaWindow(`run --platform pseries ${mode}`), "ERR_PLAN_IMPOSSIBLE");
    assert.match(message, "firmware puts it at 0x800000000000000: use IOVA mode rebased");
  }
});

running("puts the window where it was asked to, and reports in words", () => {
  const out = fine(dmaWindow("run --steps 200 --seed 5 --platform pseries --grow-to 64G"));
  assert.match(out, /window +64 GiB at 0x800000000000000, for 64 GiB in IOVA mode rebased/);
  assert.match(out, /storm +200 steps \(seed 5\): \d+ allocations, \d+ frees, 0 failures/);
  assert.match(out, /window resized +0 +0 +[1-9]/);
  assert.match(out, /interrupted +0 +0 +[1-9]/);
  assert.match(out, /Nothing was left behind\.\n$/);
});

running("gives the same storm for the same seed", () => {
  const storm = (seed: number) => {
    const document = JSON.parse(fine(dmaWindow(`run --json --steps 150 --seed ${seed}`)));
    return [document.storm, document.dynamicScheme.resizes, document.dynamicScheme.liveIovasInterrupted];
  };
  assert.equal(storm(3), storm(3));
  assert.not.equal(storm(3), storm(4));
});

running("works on simulated memory where the shim was not built, and says so", () => {
  const out = fine(dmaWindow("run --steps 200", { env: WITHOUT_SHIM }));
  assert.match(out, /memory +\d+ simulated pages of \d+ KiB \(the shim is not there\)/);
  assert.match(out, /Nothing was left behind/);
});

running.run();

const planning = suite("dma-window plan");

planning("plans and creates nothing, in words or as one JSON document", () => {
  const words = fine(dmaWindow("plan --grow-to 1T"));
  assert.match(words, /window +1 TiB at 0x0, for 1 TiB in IOVA mode rebased/);
  assert.not.match(words, "created");
  const document = JSON.parse(fine(dmaWindow("plan --grow-to 1T --json")));
  shapeOfPlanned(document);
  assert.is(document.plan.size, "0x10000000000");
});

planning("plans on every IOMMU, and creates nothing there either", () => {
  for (const [platform, size] of [
    ["powernv", "0x10000000000"],
    ["pseries", "0x10000000000"],
    ["type1", "0x10000000000"],
    ["noiommu", "0x10000000000"],
  ] as const) {
    const args = `plan --grow-to 1T --platform ${platform}`;
    const document = JSON.parse(fine(dmaWindow(`${args} --json`, { env: WITHOUT_SHIM })));
    shapeOfPlanned(document);
    assert.is(document.plan.size, size);
    const words = fine(dmaWindow(args, { env: WITHOUT_SHIM }));
    assert.is(/window|TCE|MEMLOCK/.test(words), platform === "powernv" || platform === "pseries", words);
  }
});

planning("says for every page size why none will do, where none will", () => {
  const message = impossible(dmaWindow("plan --grow-to 0xffffffffffffffff"), "ERR_PLAN_IMPOSSIBLE");
  assert.match(message, "the window would be 2^64 bytes; a size has 64 bits");
});

planning.run();

const linux = suite("the real kernel");

linux("is refused where it has no such group, with what to do and without a stack", () => {
  for (const command of ["run", "plan"]) {
    const { code, out, err } = dmaWindow(`${command} --kernel linux --group 2147483647`);
    assert.is(code, 1, out);
    assert.is(out, "");
    assert.match(err, /^dma-window: .+ \[ERR_[A-Z_]+\]\n$/);
    if (existsSync("/dev/vfio/vfio") || !shimAvailable()) continue;
    assert.match(err, /open \/dev\/vfio\/vfio: ENOENT: VFIO is not there: load the module vfio/);
  }
});

linux("is asked for groups without an IOMMU only in so many words, and says how they come to be", () => {
  const { code, out, err } = dmaWindow("run --kernel linux --group 2147483647 --no-iommu");
  assert.is(code, 1, out);
  assert.match(err, /^dma-window: .+ \[ERR_[A-Z_]+\]\n$/);
  assert.not.match(err, "noIommu: true", "that is the library's option, not the command line's");
});

linux("needs the shim, and says how it is built or named", () => {
  const message = impossible(dmaWindow("run --kernel linux --group 1", { env: WITHOUT_SHIM }), "ERR_SHIM_UNAVAILABLE");
  assert.match(message, /DMA_WINDOW_SHIM names \/nonexistent\.node, which does not exist/);
});

linux.run();

const rest = suite("dma-window");

rest("shows its help, on stdout, when asked or when told nothing", () => {
  for (const args of ["--help", "-h", ""]) assert.is(fine(dmaWindow(args)), HELP);
  assert.match(fine(dmaWindow("run --help")), /^dma-window run\n.*--seed N /s);
});

rest("says the version that package.json says", () => {
  const { version } = JSON.parse(readFileSync(`${root}package.json`, "utf8"));
  assert.is(fine(dmaWindow("--version")), `${version}\n`);
});

rest("ends with 2 after wrong usage: the reason and the way to the help on stderr, nothing on stdout", () => {
  for (const args of [
    "fly",
    "run plan",
    "run --speed 9",
    "run --steps none",
    "run --kernel linux",
    "run --no-iommu",
    "plan --kernel linux --group 1 --platform noiommu",
    "replay a.jsonl --no-iommu",
    "plan --grow-to -1",
  ]) {
    const { code, out, err } = dmaWindow(args);
    assert.is(code, 2, args);
    assert.is(out, "");
    assert.match(err, /^dma-window: .+\n\(dma-window COMMAND --help shows the options\)\n$/s);
    assert.not.match(err, /^ {4}at /m);
  }
});

rest("may be read by a program that has seen enough: no stack, no complaint", () => {
  const shell = `"${process.execPath}" lib/cli/main.js run --steps 10 | true`;
  const { stderr } = spawnSync("sh", ["-c", shell], { cwd: root, encoding: "utf8" });
  assert.is(stderr, "");
});

rest("complains in words when its result cannot be written", () => {
  const shell = `"${process.execPath}" lib/cli/main.js --version > /dev/full`;
  const { status, stderr } = spawnSync("sh", ["-c", shell], { cwd: root, encoding: "utf8" });
  assert.is(status, 1);
  assert.match(stderr, /^dma-window: the result could not be written: ENOSPC.*\n$/);
});

rest.run();
