/** Which version of Linux the model is: how versions are read and compared, and what follows from one. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  type Change,
  hasChange,
  type LinuxVersion,
  linuxVersionIn,
  linuxVersionText,
} from "../../src/linux-version.ts";
import { type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { IommuType } from "../../src/syscalls.ts";
import { errno, GiB, HIGH, MiB, Rig, withoutDefaultWindow } from "./rig.ts";

const versions = suite("versions of Linux");

const read: [string, string | undefined][] = [
  ["6.12.107", "6.12.107"],
  ["6.12", "6.12"],
  ["7.3.0", "7.3"],
  ["6.12.107+deb13-amd64", "6.12.107"],
  ["6.12.107+deb13-powerpc64le-64k", "6.12.107"],
  ["6.1.0-40-amd64", "6.1"],
  ["7.3.0-rc4", "7.3"],
  ["7.3-rc4-00012-gabcdef", "7.3"],
  ["6.12.95-1~bpo12+1", "6.12.95"],
  ["5.15.153.1-microsoft-standard-WSL2", "5.15.153"],
  ["6.8.0-45-generic", "6.8"],
  ["6.12.107-1\n", "6.12.107"],
  [
    "Linux version 6.1.0-57-amd64 (debian-kernel@lists.debian.org) (gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0, " +
      "GNU ld (GNU Binutils for Debian) 2.40) #1 SMP PREEMPT_DYNAMIC Debian 6.1.192-3 (2026-11-18)\n",
    "6.1.192",
  ],
  [
    "Linux version 6.12.107+deb13-powerpc64le (debian-kernel@lists.debian.org) (powerpc64le-linux-gnu-gcc-14 (Debian " +
      "14.2.0-19) 14.2.0, GNU ld (GNU Binutils for Debian) 2.44) #1 SMP Debian 6.12.107-1 (2026-09-01)",
    "6.12.107",
  ],
  // Somebody's own kernel, built on Debian: the compiler's version is not the kernel's.
  ["Linux version 6.18.3 (me@here) (gcc (Debian 14.2.0-19) 14.2.0, GNU ld 2.44) #7 SMP Mon Nov 2 2026", "6.18.3"],
  ["", undefined],
  ["6", undefined],
  ["6.", undefined],
  ["6.12.", undefined],
  ["6.12.x", undefined],
  ["6.12.107x", undefined],
  ["06.12", undefined],
  ["6.012", undefined],
  ["v6.12", undefined],
  ["-6.12", undefined],
  ["6.-12", undefined],
  ["6.12.1.2.3", undefined],
  ["6,12", undefined],
  ["999999.1", undefined],
  ["linux", undefined],
  ["Darwin Kernel Version 24.1.0", undefined],
];

for (const [text, expected] of read) {
  versions(`are found in ${JSON.stringify(text.slice(0, 45))}: ${expected}`, () => {
    const found = linuxVersionIn(text);
    assert.is(found && linuxVersionText(found), expected);
  });
}

function has(version: string, ...change: [string, ...string[]]): boolean {
  return hasChange(linuxVersionIn(version) as LinuxVersion, change);
}

versions("have a change from its release on, by number and not by letter", () => {
  for (const older of ["5.19", "6.5.99", "6.1", "6.0.100", "3.15"]) assert.is(has(older, "6.6"), false, older);
  for (const newer of ["6.6", "6.6.1", "6.12", "6.10", "6.100", "7.0", "10.0"])
    assert.is(has(newer, "6.6"), true, newer);
  assert.is(has("6.12.99", "6.12.113"), false);
  assert.is(has("6.12.113", "6.12.113"), true);
  assert.is(has("6.12.1130", "6.12.113"), true);
});

versions("of a series that a change was carried back to have it from there on, those between have it not", () => {
  const change: Change = ["7.3", "7.2.8", "6.12.113"];
  const told: [string, boolean][] = [
    ["6.11.200", false],
    ["6.12.112", false],
    ["6.12.113", true],
    ["6.13", false],
    ["6.18.15", false],
    ["7.2", false],
    ["7.2.7", false],
    ["7.2.8", true],
    ["7.3", true],
    ["8.0", true],
  ];
  for (const [version, expected] of told) assert.is(has(version, ...change), expected, version);
});

versions.run();

const option = suite("the model's option linux");

for (const [given, expected] of [
  [{ linux: "6.12.x" }, "a version of Linux"],
  [{ linux: "" }, "a version of Linux"],
  [{ linux: "newest" }, "a version of Linux"],
  [{ linux: "6.11.11" }, "6.12 or newer on powernv: what 6.11.11 answers is not known"],
  [{ platform: "pseries", linux: "6.1.0-40-powerpc64le" }, "6.12 or newer on pseries"],
  [{ platform: "type1", linux: "4.19.300" }, "5.1 or newer on type1"],
  [{ platform: "noiommu", linux: "5.0.21" }, "5.1 or newer on noiommu"],
] as [ModelOptions, string][]) {
  option(`refuses ${JSON.stringify(given)}`, () => {
    assert.throws(
      () => modelKernel(given),
      (error: RangeError & { code: string }) =>
        error instanceof RangeError && error.code === "ERR_OUT_OF_RANGE" && error.message.includes(expected),
    );
  });
}

for (const linux of [6.12, 612n, null, true, {}, ["6.12"]]) {
  option(`refuses ${String(linux)} as it is no text`, () => {
    assert.throws(
      () => modelKernel({ linux: linux as string }),
      (error: TypeError) => error instanceof TypeError && error.message.includes("linux"),
    );
  });
}

option("takes what is newer than all that was asked, uname -r and /proc/version", () => {
  for (const linux of ["99.0", "6.12.107+deb13-powerpc64le", "Linux version 6.12.0-1-x (y) #1 SMP Debian 6.12.43-1"]) {
    modelKernel({ linux }).exit();
  }
});

option("is the newest kernel that was asked, when it is left out", () => {
  for (const [platform, linux] of [
    ["powernv", "7.2.13"],
    ["pseries", "7.2.13"],
    ["type1", "7.3.4"],
    ["noiommu", "7.3.4"],
  ] as const) {
    assert.is(modelKernel({ platform }).hash(), modelKernel({ platform, linux }).hash(), platform);
  }
});

option("decides what it answers from then on, so it is in the hash; releases that answer alike have one", () => {
  const hash = (linux: string) => modelKernel({ linux }).hash();
  assert.is.not(hash("6.12.107"), hash("6.12.113"));
  assert.is(hash("6.12.90"), hash("6.12.107"));
});

option.run();

const spapr = suite("sPAPR by version");

for (const [linux, answer] of [
  ["6.12.112", 0],
  ["6.12.113", 1],
  ["6.18.15", 0],
  ["7.2.7", 0],
  ["7.2.8", 1],
  ["7.3", 1],
] as const) {
  spapr(`UNMAP past the window's end answers ${answer} on ${linux}`, () => {
    for (const platform of ["powernv", "pseries"] as const) {
      const program = withoutDefaultWindow({ platform, linux });
      assert.is(program.create(12, MiB), 0);
      const start = program.startAddress;
      const va = program.allocate(4096n);
      program.register(va, 4096n);
      const end = start + (platform === "powernv" ? 2n * MiB : MiB);
      assert.is(program.map(va, end - 4096n, 4096n), 0);
      assert.is(program.unmap(end - 4096n, 8192n), answer);
      assert.is(program.unmap(end - 4096n, 4096n), 0);
      assert.is(program.unmap(end - 4096n, 0n), 0, "of no bytes");
      assert.is(program.unmap(start, end - start), 0, "of all of it");
      assert.is(program.unmap(start + 1n, 4096n), 1, "unaligned");
    }
  });
}

spapr("a refused UNMAP leaves what is mapped", () => {
  const kernel = modelKernel({ platform: "pseries" });
  const program = new Rig(kernel).start();
  const va = program.allocate(4096n);
  program.register(va, 4096n);
  const last = GiB - 4096n;
  assert.is(program.map(va, last, 4096n), 0);
  assert.is(program.unmap(last, 8192n), 1);
  assert.equal(kernel.tceAt(26, last), { va, read: true, write: true });
});

spapr.run();

const type1 = suite("type1 by version");

/** A capability's id and its place, as far as they fit. */
function chain(linux: string, argsz: number): string {
  const program = started1({ linux });
  assert.is(program.info(argsz), 0);
  const found: string[] = [];
  for (let at = program.u32(16); at !== 0; at = program.u32(at + 4)) found.push(`${program.u32(at) & 0xffff} at ${at}`);
  return `argsz ${program.u32(0)}: ${found.join(", ")}`;
}

function started1(options: ModelOptions = {}): Rig {
  return new Rig(modelKernel({ platform: "type1", ...options })).start(26, IommuType.TYPE1v2);
}

for (const [linux, bytes, links] of [
  ["5.4", 72, "1 at 24"],
  ["5.7.19", 72, "1 at 24"],
  ["5.8", 104, "2 at 24, 1 at 56"],
  ["5.10", 116, "2 at 24, 3 at 56, 1 at 68"],
  ["6.1.192", 116, "2 at 24, 3 at 56, 1 at 68"],
  ["6.5.13", 116, "2 at 24, 3 at 56, 1 at 68"],
  ["6.6", 120, "2 at 24, 3 at 56, 1 at 72"],
  ["7.3.4", 120, "2 at 24, 3 at 56, 1 at 72"],
] as const) {
  type1(`GET_INFO takes ${bytes} bytes on ${linux}`, () => {
    assert.is(chain(linux, 200), `argsz 200: ${links}`);
    assert.is(chain(linux, bytes), `argsz ${bytes}: ${links}`);
    assert.is(chain(linux, bytes - 1), `argsz ${bytes}: `);
  });
}

type1("GET_INFO knows no capabilities before 5.4, and nobody looks at ranges", () => {
  const program = started1({ linux: "5.3.18" });
  assert.is(program.info(120), 0);
  assert.is(program.u32(4), 1, "flags");
  assert.is(program.u32(0), 120);
  const va = program.allocate(4096n);
  assert.is(program.map(va, 0xfee0_0000n, 4096n), 0, "the hole");
  assert.is(started1({ linux: "5.4" }).map(va, 0xfee0_0000n, 4096n), -errno.EINVAL);
  const told = started1({ linux: "5.3.18", infoCapabilities: true });
  assert.is(told.info(200), 0);
  assert.is(told.u32(4), 3, "the option has the last word");
});

for (const [linux, dirty, all, vaddr] of [
  ["5.7", -errno.ENOTTY, -errno.EINVAL, -errno.EINVAL],
  ["5.8", 0, -errno.EINVAL, -errno.EINVAL],
  ["5.11", 0, -errno.EINVAL, -errno.EINVAL],
  ["5.12", 0, 0, -errno.ENOENT],
] as const) {
  type1(`DIRTY_PAGES, UNMAP of all, a new address on ${linux}`, () => {
    const program = started1({ linux });
    assert.is(program.register(0n, 0n, { argsz: 8, flags: 2 }), dirty);
    assert.is(program.unmap(0n, 0n, { flags: 2 }), all);
    assert.is(program.map(program.allocate(4096n), 0n, 4096n, { flags: 4 }), vaddr);
  });
}

type1("SET_CONTAINER with another file is EINVAL before 6.2, EBADFD since", () => {
  for (const [linux, refusal] of [
    ["6.1.192", -errno.EINVAL],
    ["6.2", -77],
  ] as const) {
    const kernel = modelKernel({ platform: "type1", linux });
    const group = kernel.open("/dev/vfio/26");
    assert.is(new Rig(kernel).setContainer(group, group), refusal, linux);
  }
});

type1("a READ-only map of memory that nobody had touched shows zeros for ever before 6.2", () => {
  for (const [linux, seen] of [
    ["6.1.192", 0],
    ["6.2", 7],
  ] as const) {
    const kernel = modelKernel({ platform: "type1", linux });
    const program = new Rig(kernel).start(26, IommuType.TYPE1v2);
    const va = program.allocate(8192n);
    const touched = kernel.mmap(0n, 4096n, 3, 0, 0);
    kernel.view(touched, 1n)[0] = 5;
    assert.is(program.map(touched, 0n, 4096n, { flags: 1 }), 0);
    assert.is(program.map(va, 4096n, 4096n, { flags: 1 }), 0);
    assert.is(program.map(va + 4096n, 8192n, 4096n), 0, "for writing");
    kernel.view(va, 8192n).fill(7);
    kernel.view(touched, 1n)[0] = 6;
    const bytes = [0n, 4096n, 8192n].map((iova) => {
      const into = new Uint8Array(1);
      assert.equal(kernel.device(26).read(iova, into), { bytes: 1 });
      return into[0];
    });
    assert.equal(bytes, [6, seen, 7], linux);
    assert.is(program.unmap(4096n, 4096n), 0);
    assert.is(program.map(va, 4096n, 4096n, { flags: 1 }), 0);
    const into = new Uint8Array(1);
    kernel.device(26).read(4096n, into);
    assert.is(into[0], 7, "mapped again, it is the program's own page");
  }
});

type1.run();

const more = suite("what real kernels answered");

more("a window whose view of user addresses does not fit into RAM: CREATE answers 0, the first MAP crashes", () => {
  const answers = (ram: bigint) => {
    const program = withoutDefaultWindow({ platform: "pseries", ram });
    const va = program.allocate(4096n);
    program.register(va, 4096n);
    assert.is(program.create(12, 1n << 40n), 0);
    assert.is(program.map(va + 4096n, HIGH, 4096n), -errno.EINVAL, "memory comes first");
    assert.is(program.map(va, HIGH, 0n), 0, "of no bytes");
    assert.is(program.unmap(HIGH, 4096n), 0);
    return () => program.map(va, HIGH, 4096n);
  };
  assert.is(answers(2n * GiB)(), 0, "2 GiB for 2^28 TCEs");
  assert.throws(answers(2n * GiB - 1n), /no memory for its view/);
});

more("a MAP that firmware refuses behind a window's end counts the page for good", () => {
  const kernel = modelKernel({ platform: "pseries" });
  const program = new Rig(kernel).start();
  program.remove(0n);
  assert.is(program.create(12, MiB), 0);
  const va = program.allocate(3n * 4096n);
  program.register(va, 3n * 4096n);
  const last = MiB - 4096n;
  assert.is(program.map(va, last, 2n * 4096n), -errno.EINTR);
  assert.is(kernel.tceAt(26, last), undefined, "what it had written is gone");
  assert.is(kernel.snapshot().containers[0]?.registrations[0]?.mapped, 1);
  assert.is(program.unregister(va, 3n * 4096n), 0);
  assert.is(kernel.snapshot().zombies.length, 1);
});

more("a table of several levels can have places behind the window's end, and a device reaches them", () => {
  const kernel = modelKernel({ platform: "powernv" });
  const program = new Rig(kernel).start();
  program.remove(0n);
  const end = 1n << 40n;
  assert.is(program.create(12, end, 3), 0);
  const va = program.allocate(2n * 4096n);
  program.register(va, 2n * 4096n);
  assert.is(program.map(va, end - 4096n, 2n * 4096n), 0);
  assert.equal(kernel.tceAt(26, end), { va: va + 4096n, read: true, write: true });
  assert.is(kernel.live(26).length, 1);
  assert.is(program.map(va, end, 4096n), -errno.ENXIO, "it cannot be named");
  assert.is(program.remove(end), -errno.EINVAL);
  assert.is(program.remove(0n), 0);
  assert.is(kernel.tceAt(26, end), undefined);
});

more("a device's memory: type1 maps it and locks nothing, sPAPR does not register it", () => {
  const kernel = modelKernel({ platform: "type1", lockedMemory: { limit: 8192n, privileged: false } });
  const program = new Rig(kernel).start(26, IommuType.TYPE1v2);
  const va = program.allocate(4n * 4096n);
  kernel.makeDeviceMemory(va + 4096n, 2n * 4096n);
  assert.is(program.map(va, 0n, 4n * 4096n), 0, "between two ordinary pages");
  assert.is(program.locked, 8192n);
  assert.equal(kernel.device(26).write(4096n, Uint8Array.of(9)), { bytes: 1 });
  assert.is(kernel.view(va + 4096n, 1n)[0], 9);
  assert.is(kernel.snapshot().charges.pinnedBytes, 8192n);
  assert.is(program.unmap(0n, 4n * 4096n), 0);
  assert.is(program.locked, 0n);
  const hidden = program.allocate(4096n);
  kernel.makeUnpinnable(hidden, 4096n);
  assert.is(program.map(hidden, 0n, 4096n), -errno.EFAULT);
  const power = modelKernel({ platform: "pseries" });
  const other = new Rig(power).start();
  const bar = other.allocate(4096n);
  power.makeDeviceMemory(bar, 4096n);
  assert.is(other.register(bar, 4096n), -errno.EFAULT);
});

more.run();
