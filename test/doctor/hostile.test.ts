/** The doctor on files that no kernel writes: it says "not known", ends soon, and lets nothing through to the terminal. */
import { chmodSync, mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { pageOf } from "../../src/cli/doctor-page.ts";
import type { Diagnosis } from "../../src/doctor/diagnosis.ts";
import { doctor } from "../../src/doctor/doctor.ts";
import { modelKernel } from "../../src/model/index.ts";
import type { MachineFiles, Syscalls } from "../../src/syscalls.ts";
import { Through } from "../../src/through.ts";
import { type Files, NVME, pci, READY, withMachine } from "./machines.ts";

function asText(value: unknown): string {
  return JSON.stringify(value, (_key, each) => (typeof each === "bigint" ? String(each) : each));
}

/** Whatever was read, what is shown is lines of text within 80 columns, but for words that are longer. */
function checkPage(found: Diagnosis): void {
  for (const line of pageOf(found)) {
    assert.not.match(line, /[\p{Cc}\p{Cf}]/u, JSON.stringify(line));
    assert.ok(line.length <= 80 || /\S{50}/.test(line), line);
  }
  asText(found);
}

const hostile = suite("hostile files");

/** Each file of the machine that is ready, in turn. */
const paths = Object.entries(READY).flatMap(([path, entry]) =>
  typeof entry === "object" && "link" in entry ? [] : [path],
);

const GARBAGE: Readonly<Record<string, string | Uint8Array>> = {
  empty: "",
  "random bytes": Uint8Array.from({ length: 4096 }, (_, i) => (i * 131 + (i >> 3) * 17) & 0xff),
  "control characters": "\u001b[2J\u001b]0;owned\u0007\r\u202e\u0000-1\n",
  "one long line": "x".repeat(1 << 20),
  "many lines": "a: b c d e f\n".repeat(50_000),
  "a number that is too large": `${"9".repeat(400)}\n`,
};

for (const [kind, text] of Object.entries(GARBAGE)) {
  hostile(`${kind}, in the place of each file`, () => {
    withMachine({ files: READY }, (root) => {
      for (const path of paths) writeFileSync(join(root, path), text);
      checkPage(doctor({ root }));
    });
    withMachine({ files: READY }, (root) => {
      for (const path of paths) {
        const entry = READY[path] as string | Uint8Array;
        writeFileSync(join(root, path), text);
        if (kind !== "many lines" || path.startsWith("proc")) checkPage(doctor({ root }));
        writeFileSync(join(root, path), entry);
      }
      assert.is(doctor({ root }).ready, true);
    });
  });
}

hostile("files that end in the middle", () => {
  withMachine({ files: READY }, (root) => {
    for (const path of paths) {
      const entry = READY[path] as string | Uint8Array;
      writeFileSync(join(root, path), entry.slice(0, entry.length / 2));
      checkPage(doctor({ root }));
      writeFileSync(join(root, path), entry);
    }
  });
});

hostile("each file and each link is missing, leads in a circle, is a directory, or a pipe of nobody's", () => {
  withMachine({ files: READY }, (root) => {
    for (const path of Object.keys(READY)) {
      const at = join(root, path);
      for (const make of [
        () => undefined,
        () => symlinkSync(at, at),
        () => mkdirSync(at),
        () => symlinkSync("/dev/zero", at),
      ]) {
        rmSync(at, { force: true, recursive: true });
        make();
        checkPage(doctor({ root }));
      }
      rmSync(at, { force: true, recursive: true });
      const entry = READY[path];
      mkdirSync(dirname(at), { recursive: true });
      if (typeof entry === "string" || entry instanceof Uint8Array) writeFileSync(at, entry);
      else symlinkSync((entry as { link: string }).link, at);
    }
    assert.is(doctor({ root }).ready, true);
  });
});

hostile("a file that is huge is not read, and is not known", () => {
  withMachine({ files: READY }, (root) => {
    for (const path of [
      "proc/iomem",
      "proc/cpuinfo",
      "proc/4000/status",
      "sys/kernel/iommu_groups/26/reserved_regions",
    ]) {
      truncateSync(join(root, path), 2 ** 40);
    }
    const found = doctor({ root });
    checkPage(found);
    assert.is(found.facts.memory.iomem, undefined);
    assert.is(found.facts.process.uid, undefined);
    assert.is(found.facts.pci.groups[0]?.reservedRegions, undefined);
    assert.ok(found.facts.notKnown.some((text) => /where RAM lies/.test(text)));
  });
});

hostile("names with control characters: of drivers, processes, devices, parameters", () => {
  const evil = "nvme\u001b[31m\u202eevil\nline";
  const files: Files = {
    ...READY,
    ...pci(NVME, { group: 26, driver: evil }),
    [`sys/kernel/iommu_groups/26/devices/${evil}`]: { link: `../../../../devices/${evil}` },
    [`sys/devices/${evil}/driver`]: { link: `../../bus/pci/drivers/${evil}` },
    "proc/4711/comm": `${evil}\n`,
    "proc/4711/status": `Name:\t${evil}\nVmLck:\t 8 kB\nVmPin:\t 0 kB\n`,
    "proc/4711/fd/3": { link: "/dev/vfio/26" },
    [`sys/module/vfio/parameters/${evil}`]: `${evil}\n`,
    [`sys/class/iommu/${evil}/uevent`]: "",
    "proc/cmdline": `iommu=${evil} vfio.x=\u009b31m\n`,
    "proc/sys/kernel/osrelease": `6.12.1${evil}/../../../etc\n`,
    "run/systemd/container": evil,
    [`dev/vfio/${evil}`]: "",
  };
  withMachine({ files }, (root) => {
    const found = doctor({ root });
    checkPage(found);
    assert.not.match(asText(found.facts), /\\u001b|\\u202e/);
    assert.is(found.ready, false);
  });
});

hostile("directories that may not be listed, and files that may not be read", () => {
  if (process.getuid?.() === 0) return; // root reads all
  withMachine({ files: READY }, (root) => {
    for (const path of ["sys/kernel/iommu_groups", "sys/bus/pci", "proc/4000", "dev/vfio"]) {
      chmodSync(join(root, path), 0);
      const found = doctor({ root });
      chmodSync(join(root, path), 0o755);
      checkPage(found);
      assert.is(found.ready, false, path);
    }
  });
});

function never(path: string): never {
  throw new Error(`${path} was changed`);
}

/** A model with other files. */
function withFiles(files: unknown): Syscalls {
  class Other extends Through {
    override get files(): MachineFiles {
      return files as MachineFiles;
    }
    protected override pass<R extends number | bigint>(_call: unknown, make: () => R): R {
      return make();
    }
  }
  return new Other(modelKernel({ platform: "type1" }));
}

hostile("a kernel whose files refuse everything, throw, or answer with anything", () => {
  const answers: Readonly<Record<string, () => unknown>> = {
    EACCES: () => -13,
    throws: () => {
      throw new Error("no");
    },
    undefined: () => undefined,
    null: () => null,
    numbers: () => 5,
    objects: () => ({}),
    lists: () => [1, null, {}],
  };
  for (const [name, answer] of Object.entries(answers)) {
    for (const stat of [{}, { stat: answer }]) {
      const found = doctor({ kernel: withFiles({ text: answer, names: answer, link: answer, ...stat }) });
      checkPage(found);
      assert.is(found.ready, false, name);
      assert.ok(found.facts.notKnown.length > 4, name);
    }
  }
});

hostile("nothing is written, kept or removed, and no node is read", () => {
  const { files } = modelKernel({ platform: "type1" }) as { readonly files: MachineFiles };
  const asked: string[] = [];
  const watching: MachineFiles = {
    text: (path) => {
      asked.push(path);
      return files.text(path);
    },
    names: (path) => files.names(path),
    link: (path) => files.link(path),
    write: (path) => never(path),
    keep: (path) => never(path),
    remove: (path) => never(path),
  };
  assert.is(doctor({ kernel: withFiles(watching) }).ready, true);
  assert.equal(
    asked.filter((path) => path.startsWith("/dev/")),
    [],
  );
});

hostile.run();
