/** Two programs that change one device, or one group, at the same time: never both, and whoever comes second is told who is first. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Claiming, whileClaimed } from "../../src/pci/claim.ts";
import { filesFrom, ownFilesFrom } from "../../src/pci/look.ts";
import { failure } from "../support/failure.ts";
import { withKernelBeside } from "./kernel-beside.ts";
import { SysfsActor } from "./sysfs-actor.ts";

const NVME = "0000:01:00.0";
const CHANGING = "run/dma-window/changing";
const program = fileURLToPath(new URL("./claimant.ts", import.meta.url));

interface Said {
  readonly round: number;
  readonly pid: number;
  readonly said: string;
}

function begin(root: string, name: string, how: string, rounds: number, address = NVME): ChildProcess {
  return spawn(process.execPath, ["--import", "tsx", program, root, name, how, `${rounds}`, address], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

async function until(what: () => boolean): Promise<void> {
  for (let tries = 0; !what(); tries++) {
    assert.ok(tries < 20_000, "nothing came of it");
    await sleep(1);
  }
}

/** What two programs meet with in each round. */
async function race(root: string, rounds: number, ...hows: readonly [string, string][]): Promise<Said[][]> {
  const said: Said[][] = Array.from({ length: rounds }, () => []);
  const children = hows.map(([how, address], i) => begin(root, `${i}`, how, rounds, address));
  for (const child of children) {
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
      const one = JSON.parse(line) as Said;
      said[one.round]?.push(one);
    });
  }
  for (let round = 0; round < rounds; round++) {
    await until(() => hows.every((_, i) => existsSync(join(root, `ready${round}.${i}`))));
    writeFileSync(join(root, `go${round}`), "");
  }
  await Promise.all(children.map((child) => new Promise((resolve) => child.once("close", resolve))));
  return said;
}

async function withRoot(use: (root: string) => Promise<void>): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "dma-window-claims-"));
  try {
    await use(root);
  } finally {
    rmSync(root, { recursive: true });
  }
}

const claims = suite("claims");

for (const [what, other, rounds] of [
  ["one device", NVME, 200],
  ["two devices of one group", "0000:01:00.1", 50],
] as const) {
  claims(
    `${what}: ${rounds} rounds of two processes: never both at once, and the second is told the first one's pid`,
    async () => {
      await withRoot(async (root) => {
        const all = await race(root, rounds, ["claim", NVME], ["claim", other]);
        let refusals = 0;
        for (const said of all) {
          assert.is(said.length, 2);
          const alone = said.filter((one) => one.said === "alone");
          assert.ok(alone.length >= 1, JSON.stringify(said));
          for (const one of said.filter((each) => !alone.includes(each))) {
            refusals++;
            assert.is(one.said, `ERR_BUSY ${said.find(({ pid }) => pid !== one.pid)?.pid}`);
          }
        }
        assert.ok(refusals > 0, "they never met");
        assert.equal(readdirSync(join(root, CHANGING)), []);
      });
    },
  );
}

claims("one that waits comes after the other, always", async () => {
  await withRoot(async (root) => {
    for (const said of await race(root, 30, ["wait", NVME], ["wait", NVME])) {
      assert.equal(
        said.map((one) => one.said),
        ["alone", "alone"],
      );
    }
  });
});

claims("binding: one of two has the device, the other one is told, and it is with its driver in the end", async () => {
  const actor = new SysfsActor({ [NVME]: { group: 26, drivers: ["nvme"] } });
  let all: Said[][] = [];
  await withKernelBeside(actor, NVME, async ({ root }) => {
    all = await race(root, 10, ["bind", NVME], ["bind", NVME]);
    assert.match(
      readFileSync(join(root, `sys/bus/pci/devices/${NVME}/driver_override`), "utf8"),
      /^\s*(\(null\))?\s*$/,
    );
    assert.not.ok(existsSync(join(root, `run/dma-window/${NVME}.json`)));
  });
  for (const said of all) {
    const bound = said.filter((one) => one.said === "bound, was with nvme");
    assert.ok(bound.length >= 1, JSON.stringify(said));
    for (const one of said) assert.match(one.said, /^bound, was with (nvme|vfio-pci)$|^ERR_BUSY \d+$/);
  }
});

claims("a claim whose program was killed is nobody's, and is removed", async () => {
  await withRoot(async (root) => {
    const files = filesFrom({ root });
    const mine = { files, own: ownFilesFrom({}), address: NVME, group: 26, patience: 0 };
    const holder = begin(root, "0", "hold", 1);
    writeFileSync(join(root, "go0"), "");
    await until(() => existsSync(join(root, "holding")));
    const error = failure("ERR_BUSY", () => whileClaimed(mine, () => assert.unreachable()));
    assert.equal(error.facts, { address: NVME, pid: holder.pid });
    assert.match(error.message, `process ${holder.pid} is binding it`);
    const beside = { ...mine, address: "0000:01:00.1" };
    assert.match(failure("ERR_BUSY", () => whileClaimed(beside, () => {})).message, "a device of its group 26");
    assert.is(
      whileClaimed({ ...mine, address: "0000:02:00.0", group: 27 }, () => 1),
      1,
    );
    holder.kill("SIGKILL");
    await new Promise((resolve) => holder.once("exit", resolve));
    assert.is(
      whileClaimed(mine, () => readdirSync(join(root, CHANGING)).length),
      2,
    );
    assert.equal(readdirSync(join(root, CHANGING)), []);
  });
});

claims("of this thread itself one ends before the next, also where it throws", () => {
  const root = mkdtempSync(join(tmpdir(), "dma-window-claims-"));
  const mine = { files: filesFrom({ root }), own: ownFilesFrom({}), address: NVME, group: undefined, patience: 0 };
  assert.throws(
    () =>
      whileClaimed(mine, () => {
        failure("ERR_BUSY", () => whileClaimed(mine, () => {}));
        throw new Error("half way");
      }),
    "half way",
  );
  assert.equal(readdirSync(join(root, CHANGING)), []);
  rmSync(root, { recursive: true });
});

/** A tree that has a claim of this thread itself, as another copy of the package makes one; and what is claimed there. */
function claimed(use: (claim: { mine: Claiming; left: () => string[]; other: string; stat: string }) => void): void {
  const root = mkdtempSync(join(tmpdir(), "dma-window-claims-"));
  try {
    const [own, files] = [ownFilesFrom({}), filesFrom({ root })];
    const stat = String(own.text("/proc/self/stat"));
    const began = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    const other = `${NVME}@${process.pid}.${process.pid}.${began}.7`;
    mkdirSync(join(root, CHANGING), { recursive: true });
    writeFileSync(join(root, CHANGING, other), "");
    const left = () => readdirSync(join(root, CHANGING));
    use({ mine: { files, own, address: NVME, group: undefined, patience: 0 }, left, other, stat });
  } finally {
    rmSync(root, { recursive: true });
  }
}

/** As the files, where the thread's own has this answer. */
function saying({ own, ...mine }: Claiming, answer: string | number): Claiming {
  const text = (path: string) => (path.startsWith(`/proc/${process.pid}/task/`) ? answer : own.text(path));
  return { ...mine, own: { ...own, text } };
}

claims("a claim is removed only where its thread is known to have gone", () => {
  for (const errno of [24, 13, 12, 5]) {
    claimed(({ mine, left, other }) => {
      failure("ERR_BUSY", () => whileClaimed(saying(mine, -errno), () => assert.unreachable()));
      assert.equal(left(), [other], `errno ${errno}`);
    });
  }
  claimed(({ mine, left, other, stat }) => {
    for (const text of ["", "nonsense", stat]) {
      failure("ERR_BUSY", () => whileClaimed(saying(mine, text), () => assert.unreachable()));
      assert.equal(left(), [other], text);
    }
  });
  claimed(({ mine, left, stat }) => {
    // Killed, and nobody has asked yet how it ended: it is in the middle of nothing.
    const zombie = stat.replace(/\) \w /, ") Z ");
    assert.is(
      whileClaimed(saying(mine, zombie), () => left().length),
      1,
    );
    assert.equal(left(), []);
  });
  for (const errno of [2, 3]) {
    claimed(({ mine, left }) => {
      whileClaimed(saying(mine, -errno), () => {});
      assert.equal(left(), [], `errno ${errno}`);
    });
  }
});

claims("a claim ends where looking for others fails, and one that cannot be removed is told of", () => {
  const root = mkdtempSync(join(tmpdir(), "dma-window-claims-"));
  const files = filesFrom({ root });
  const mine = { files, own: ownFilesFrom({}), address: NVME, group: 26, patience: 0 };
  const left = () => readdirSync(join(root, CHANGING));
  const broken = {
    ...files,
    names: () => {
      throw new Error("no names today");
    },
  };
  assert.throws(() => whileClaimed({ ...mine, files: broken }, () => assert.unreachable()), "no names today");
  assert.equal(left(), []);

  const told: string[] = [];
  const { emitWarning } = process;
  process.emitWarning = ((text: string, { code }: { code: string }) => told.push(`${code}: ${text}`)) as never;
  const stuck = { ...mine, files: { ...files, remove: () => -30 } };
  try {
    assert.is(
      whileClaimed(stuck, () => 5),
      5,
    );
  } finally {
    process.emitWarning = emitWarning;
  }
  assert.is(told.length, 1);
  assert.match(
    told[0] as string,
    /^DMA_WINDOW_STILL_CLAIMED: .*group 26@\d.*\(EROFS\).*; .*0000:01:00\.0@\d.*\(EROFS\)/,
  );
  assert.is(left().length, 2);
  const { residue } = failure("ERR_BUSY", () => whileClaimed(stuck, () => {}));
  assert.match(residue?.left.join() ?? "", "EROFS");
  rmSync(root, { recursive: true });
});

claims("another copy of the package in the same thread is another one", async () => {
  const copy = "../../src/pci/claim.ts?copy";
  const other = (await import(copy)) as { readonly whileClaimed: typeof whileClaimed };
  assert.is.not(other.whileClaimed, whileClaimed);
  const root = mkdtempSync(join(tmpdir(), "dma-window-claims-"));
  const mine = { files: filesFrom({ root }), own: ownFilesFrom({}), address: NVME, group: undefined, patience: 0 };
  whileClaimed(mine, () => {
    for (let i = 0; i < 100; i++) failure("ERR_BUSY", () => other.whileClaimed(mine, () => assert.unreachable()));
    assert.is(readdirSync(join(root, CHANGING)).length, 1);
  });
  rmSync(root, { recursive: true });
});

claims.run();
