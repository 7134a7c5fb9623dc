/** Devices of the software kernel behind the descriptors of a program in C: registers, transfers, interrupts. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { exec, kindsIn, notHere, program } from "./command.ts";

const devices = suite("devices");
const folder = mkdtempSync(join(tmpdir(), "dma-window-devices-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

/** The options that plug devices in. */
function plugged(document: unknown): string[] {
  const file = join(folder, "devices.json");
  writeFileSync(file, typeof document === "string" ? document : JSON.stringify(document));
  return ["--devices", file];
}

const EDU = { kind: "edu", group: 26 };

/** What edu.c says; the same on each platform, but for the last words. */
function answersOfEdu(command: string, resets: string, again: string): readonly string[] {
  return [
    "regions 9, interrupts 5",
    // No region says that it can be mapped, and none can.
    "region 0: size 0x100000 flags 0x3 offset 0x0",
    "region 7: size 0x100 flags 0x3 offset 0x70000000000",
    `edu 11e81234, command ${command}`,
    "mmap 22, private 22, of the group 19",
    "identity 10000ed, alive edcba987",
    "preadv 8, 1",
    "behind the end -1 22, into nothing -1 14",
    "10! = 3628800",
    "without bus mastering 0, with it 1",
    "SET_IRQS -22 -9 0",
    "MSI 1, status 100, at once 1, by itself 1, switched off 0",
    "INTx 1, masked 0, unmasked 1",
    resets,
    `again: command ${again}`,
  ];
}

const why = notHere();
if (why !== undefined) devices("are not driven here", () => console.log(why));
else {
  devices("edu behind vfio-pci: registers, transfers and interrupts (type1)", () => {
    const words = [program("edu"), "type1", "26", "0000:00:1a.0"];
    const { code, out, err, report } = exec(["--platform", "type1", ...plugged([EDU])], words);
    assert.equal(
      out.trimEnd().split("\n"),
      // On the root bus, without a reset of its own: nothing resets it.
      answersOfEdu("103", "RESET 22, hot reset info 19 19 1, feature 25", "107"),
      err,
    );
    assert.is(code, 0);
    assert.equal(report.findings, []);
  });

  devices("edu behind vfio-pci, big-endian, on a bus of its own (powernv)", () => {
    const words = [program("edu"), "powernv", "26", "0000:01:00.0"];
    const { code, out, err, report } = exec(["--platform", "powernv", ...plugged([EDU])], words);
    assert.equal(
      out.trimEnd().split("\n"),
      answersOfEdu("102", "RESET 0, hot reset info 28 0 1, feature 25", "102"),
      err,
    );
    assert.is(code, 0);
    assert.equal(report.findings, []);
  });

  for (const [platform, address, completions] of [
    ["type1", "0000:00:1a.0", "now"],
    ["type1", "0000:00:1a.0", "later"],
    // Work that takes several turns of the event loop, while the program waits and asks nothing.
    ["powernv", "0000:01:00.0", { seed: 7 }],
  ] as const) {
    devices(
      `an NVMe disk: Identify, queues, blocks, each heard by MSI-X (${platform}, ${JSON.stringify(completions)})`,
      () => {
        const nvme = { kind: "nvme", group: 26, serial: "abc123", completions };
        const words = [program("nvme"), platform, "26", address];
        const { code, out, err, report } = exec(["--platform", platform, ...plugged([nvme])], words);
        assert.equal(
          out.trimEnd().split("\n"),
          [
            "region flags 0x3, size 0x4000, 65 vectors",
            'identify 0: "dma-window mode", serial "abc123"',
            "namespace 0: 32768 blocks",
            "queues 0 0",
            "blocks, wrong 0",
            "a page that is not mapped: status 0x4",
            "RESET 0, CSTS 0, bus master 1",
          ],
          err,
        );
        assert.is(code, 0);
        assert.equal(report.findings, []);
      },
    );
  }

  devices("a disk is a file's bytes, and what was written stands there afterwards", () => {
    const disk = join(folder, "disk.img");
    const before = Buffer.alloc(64 << 10, 0x77);
    writeFileSync(disk, before);
    const options = ["--platform", "type1", ...plugged([{ kind: "nvme", group: 26, serial: "abc123", disk }])];
    const { out } = exec(options, [program("nvme"), "type1", "26", "0000:00:1a.0"]);
    assert.match(out, /namespace 0: 128 blocks\nqueues 0 0\nblocks, wrong 0/);
    // 24 blocks, each counting from three times its number on.
    const written = Buffer.from(Array.from({ length: 24 * 512 }, (_, at) => (at % 512) + Math.floor(at / 512) * 3));
    assert.ok(readFileSync(disk).equals(Buffer.concat([written, before.subarray(written.length)])));
  });

  const ways = [
    ["type1", "munmap", -1],
    ["type1", "mmap", 0],
    ["type1", "madvise", 0],
    ["powernv", "munmap", -1],
  ] as const;
  for (const [platform, how, there] of ways) {
    const address = platform === "type1" ? "0000:00:1a.0" : "0000:01:00.0";
    const run = (twin: string) =>
      exec(["--platform", platform, ...plugged([EDU])], [program("stale-access"), platform, twin, how, address]);

    devices(`a transfer of memory that went by ${how} is found, and goes to the pages of then (${platform})`, () => {
      const { out, report } = run("wrong");
      assert.is(out, `old bytes 1, there ${there}\n`);
      const found = report.findings.filter(({ kind }) => kind === "stale-access");
      // Twice for each way, and said once.
      assert.is(found.length, 2);
      assert.match(found[0]?.message ?? "", new RegExp(`^The device ${address} read 64 bytes from IOVA 0x10000 on`));
      assert.match(
        found[1]?.message ?? "",
        new RegExp(`^The device ${address} wrote 64 bytes .* given back by ${how}`),
      );
      assert.equal(found[0]?.addresses[0]?.length, "0x1000");
      assert.match(found[0]?.calls[0] ?? "", /MAP_DMA\(.*iova 0x10000/);
      assert.ok(found[0]?.stack.some((frame) => frame.includes(`(${program("stale-access")} + 0x`)));
    });

    devices(`nothing is found where it was unmapped before it went by ${how} (${platform})`, () => {
      const { out, report, err } = run("right");
      assert.is(out, `old bytes 1, there ${there}\n`, err);
      assert.equal(report.findings, []);
    });
  }

  devices("memory that may not be written any more is the same memory, which a device writes", () => {
    const words = [program("stale-access"), "type1", "wrong", "mprotect", "0000:00:1a.0"];
    const ran = exec(["--platform", "type1", ...plugged([EDU])], words);
    assert.is(ran.out, "old bytes 1, there 0\n");
    assert.equal(kindsIn(ran), ["given-back-while-reachable"]);
  });

  devices("are refused in words where they cannot be", () => {
    for (const [document, refusal] of [
      ["[", /devices\.json is no JSON/],
      ["{}", /must be an array of one or more devices/],
      [[], /must be an array of one or more devices/],
      [[7], /devices\[0\]: a device must be an object/],
      [[{}], /devices\[0\]: kind must be one of "edu", "nvme"/],
      [[EDU, { kind: "e1000" }], /devices\[1\]: kind must be one of "edu", "nvme"; got "e1000"/],
      [[{ ...EDU, adress: "0000:00:01.0" }], /devices\[0\]: .*adress.*address/],
      [[{ ...EDU, serial: "1" }], /devices\[0\]: .*serial/],
      [[{ ...EDU, dmaBits: 65 }], /dmaBits of an edu must be an integer from 1 to 64; got 65/],
      [[{ kind: "nvme", serial: "x".repeat(21) }], /devices\[0\]: serial must be up to 20 characters/],
      [[{ kind: "nvme", disk: 7 }], /devices\[0\]: disk must be a path/],
      [[{ kind: "nvme", disk: folder }], /the disk .* cannot be opened for reading and writing/],
      [[{ kind: "nvme", disk: "/dev/null" }], /the disk \/dev\/null must have from 1 byte to 1 GiB; it has 0/],
      [[{ ...EDU, address: "1a.0" }], /devices\[0\]\.address must be as "0000:01:00\.0"; got "1a\.0"/],
      [[{ ...EDU, group: -1 }], /devices\[0\]\.group must be an integer of 0 or more; got -1/],
    ] as const) {
      const { code, err } = exec(plugged(document), ["true"]);
      assert.is(code, 2, err);
      assert.match(err, refusal);
    }
    assert.match(exec(["--devices", join(folder, "none.json")], ["true"]).err, /none\.json.*\[ERR_FILE_UNREADABLE\]/);
  });
}

devices.run();
