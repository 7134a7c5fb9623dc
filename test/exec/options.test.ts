/** Calls that fail because the command line says so, and limits in place of the program's own. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { exec, kindsIn, notHere, program } from "./command.ts";

const options = suite("faults and limits");

const why = notHere();
if (why !== undefined) options("are not tried here", () => console.log(why));
else {
  const folder = mkdtempSync(join(tmpdir(), "dma-window-faults-"));
  options.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "faults.json");
  const withFaults = (faults: unknown, platform: string, ...words: readonly string[]) => {
    writeFileSync(file, typeof faults === "string" ? faults : JSON.stringify(faults));
    return exec(["--platform", platform, "--faults", file], [program("limited"), platform, ...words]);
  };

  options("a call of a name fails, the nth of them, so many times", () => {
    const failing = (fault: object) => withFaults([fault], "type1", "each").out.trim().split("\n");
    const no = "MAP Cannot allocate memory";
    assert.equal(failing({ call: "MAP_DMA", errno: "ENOMEM" }), [no, "MAP 0", "MAP 0", "MAP 0"]);
    assert.equal(failing({ call: "VFIO_IOMMU_MAP_DMA", nth: 1, times: 2, errno: 12 }), ["MAP 0", no, no, "MAP 0"]);
    assert.equal(failing({ call: "MAP_DMA", nth: 2, times: "all", errno: "ENOMEM" }), ["MAP 0", "MAP 0", no, no]);
  });

  options("nothing is made of a call that fails, and what the program does about it is judged", () => {
    const { out, report } = withFaults([{ call: "MAP_DMA", times: "all", errno: "EBUSY" }], "powernv", "each");
    assert.is(out, "MAP Device or resource busy\n".repeat(4));
    assert.equal(report.findings, []);
    const ignored = withFaults([{ call: "UNMAP_DMA", times: "all", errno: "EIO" }], "type1", "all");
    assert.is(ignored.out, "MAP 0\n".repeat(4));
    assert.equal(kindsIn(ignored), ["answer-ignored", "never-unmapped"]);
  });

  options("REGISTER may answer how many pages could not be pinned", () => {
    const { out } = withFaults([{ call: "REGISTER_MEMORY", nth: 1, answer: 3 }], "powernv", "each");
    assert.is(out, "MAP 0\nREGISTER more\nMAP 0\nMAP 0\n");
  });

  options("an open fails, in each process anew", () => {
    const faults = [{ call: "open", errno: "EMFILE" }];
    writeFileSync(file, JSON.stringify(faults));
    const line = `${program("limited")} type1 open; ${program("limited")} type1 open`;
    const { out } = exec(["--platform", "type1", "--faults", file], ["sh", "-c", line]);
    assert.is(out, "open Too many open files\nopen 0\n".repeat(2));
  });

  options("a fault that no call has met is told", () => {
    const { err } = withFaults([{ call: "UNMAP_DMA", nth: 9, errno: "EIO" }], "type1", "each");
    assert.match(err, /dma-window: no call met the fault {"call":"UNMAP_DMA","nth":9,"errno":"EIO"}/);
  });

  for (const [faults, words] of [
    ["{", /--faults: .*faults\.json is no JSON: /],
    [{}, /must be an array of one or more faults, such as \[/],
    [[], /must be an array of one or more faults/],
    [[7], /faults\[0\]: .*a fault must be an object/],
    [[{ call: "MAP_DMA" }], /faults\[0\]: errno must be there, such as "ENOMEM", or answer/],
    [[{ call: "MAP_DMA", errno: "ENOMEN" }], /errno must be the name of an errno, .*got "ENOMEN"/],
    [[{ call: "MAP_DMA", errno: -12 }], /errno must be .* from 1 to 4095; got -12/],
    [[{ call: "MAP_DMA", errno: "EIO", answer: 1 }], /errno must be there/],
    [[{ call: "MAP_DMA", answer: 1 }], /answer must be of REGISTER_MEMORY alone/],
    [[{ call: "MAP_DNA", errno: "EIO" }], /call must be open, or a call of .*MAP_DMA, perhaps/],
    [[{ call: "close", errno: "EIO" }], /call must be open, or a call of/],
    [[{ errno: "EIO" }], /call must be open, or a call of/],
    [[{ call: "open", errno: "EIO", nht: 2 }], /nht.*nth/],
    [[{ call: "open", errno: "EIO", nth: -1 }], /nth must be a whole number from 0/],
    [[{ call: "open", errno: "EIO", times: 0 }], /times must be a whole number from 1, or "all"/],
  ] as const) {
    options(`faults are refused before a program begins: ${JSON.stringify(faults)}`, () => {
      const { code, err, out } = withFaults(faults, "type1", "each");
      assert.match(err, words);
      assert.is(code, 2);
      assert.is(out, "");
    });
  }

  options("memlock stands in place of the program's limit, and of its privileges", () => {
    const limited = (platform: string, limit: string) =>
      exec(["--platform", platform, "--limits", limit], [program("limited"), platform, "all"])
        .out.trim()
        .split("\n");
    const no = "MAP Cannot allocate memory";
    assert.equal(limited("type1", "memlock=8K"), ["MAP 0", "MAP 0", no, no]);
    assert.equal(limited("type1", "memlock=unlimited"), ["MAP 0", "MAP 0", "MAP 0", "MAP 0"]);
    // The default window's table is charged when the first MAP needs it, twice: as the hardware has it, and as user space's view.
    assert.equal(limited("powernv", "memlock=8M"), [no, no, no, no]);
    assert.equal(limited("powernv", "memlock=9M"), ["MAP 0", "MAP 0", "MAP 0", "MAP 0"]);
  });

  options("maps is type1's limit", () => {
    const { out } = exec(["--platform", "type1", "--limits", "maps=3"], [program("limited"), "type1", "all"]);
    assert.is(out, "MAP 0\nMAP 0\nMAP 0\nMAP No space left on device\n");
  });

  for (const [platform, limit, words] of [
    ["powernv", "maps=3", /--limits maps: powernv has no limit of maps; it is type1's/],
    ["noiommu", "memlock=1M", /--limits memlock: without an IOMMU nothing is locked/],
    ["type1", "memlok=1M", /--limits takes memlock=SIZE, .*got "memlok=1M"; memlock, perhaps/],
    ["type1", "memlock", /--limits takes memlock=SIZE/],
    ["type1", "memlock=much", /--limits memlock takes a size/],
    ["type1", "maps=-1", /--limits maps takes a whole number/],
    ["type1", "maps=1,maps=2", /--limits takes maps once/],
    ["type1", "hugepages=3", /--limits has no hugepages: the program's memory is this machine's/],
  ] as const) {
    options(`limits are refused: ${limit} on ${platform}`, () => {
      const { code, err } = exec(["--platform", platform, "--limits", limit], ["true"]);
      assert.match(err, words);
      assert.is(code, 2);
    });
  }
}

options.run();
