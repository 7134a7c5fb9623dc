/** What a trace comes to: by calls that are written down here, and by the window itself. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { MemsegTable, modelKernel, openContainer, planWindow } from "../../src/index.ts";
import { TraceWindows } from "../../src/picture/from-trace.ts";
import { axisFor, framesOf, pictureAt, surveyOf } from "../../src/picture/survey.ts";
import { readTrace, recordTrace } from "../../src/trace/index.ts";
import { Random } from "../support/random.ts";
import { mapped, traceOf, type1Open, unmapped } from "./support.ts";

const traces = suite("the windows of a trace");

/** After all calls: live ranges by address. */
function liveAfter(lines: readonly string[]): (readonly [bigint, bigint])[] {
  const { header, calls } = readTrace(lines);
  const windows = new TraceWindows(header);
  for (const call of calls) windows.take(call);
  return windows
    .picture("")
    .windows.flatMap(({ ranges }) =>
      ranges.filter(({ kind }) => kind === "live").map(({ start, last }) => [start, last] as const),
    );
}

for (const platform of ["powernv", "pseries", "type1"] as const) {
  for (const iovaMode of ["rebased", "va"] as const) {
    if (platform === "pseries" && iovaMode === "va") continue; // its window begins at 2^59
    for (const seed of [1, 2, 3]) {
      traces(`are what the window has, on ${platform}, mode ${iovaMode}, seed ${seed}`, () => {
        const random = new Random(seed);
        const lines: string[] = [];
        const kernel = recordTrace(modelKernel({ platform, groups: [26] }), (line) => lines.push(line));
        const memory = new MemsegTable({ kernel });
        const list = memory.addList({
          pageSize: 4096,
          maxBytes: 1 << 22,
          ...(iovaMode === "va" ? { near: 1n << 32n } : {}),
        });
        const container = openContainer({ kernel, groups: [26] });
        const window = container.createWindow(planWindow({ memory, info: container.info(), iovaMode }));
        container.attach(memory);
        const segments: ReturnType<MemsegTable["allocate"]>[] = [];
        for (let step = 0; step < 60; step++) {
          if (segments.length > 0 && random.once(3))
            memory.free(segments.splice(random.below(segments.length), 1)[0] as never);
          else if (segments.length < 20) segments.push(memory.allocate(list, 1 + random.below(20)));
        }
        const real = [...window.maps()].map(({ iova, length }) => [iova, iova + length - 1n] as const);
        const drawn = liveAfter(lines);
        const sums = (all: readonly (readonly [bigint, bigint])[]) => all.map(([start, last]) => last - start + 1n);
        if (iovaMode === "rebased") assert.equal(drawn, real, `seed ${seed}`);
        // A trace has no addresses of the process: distances are all that there is.
        else assert.equal(sums(drawn), sums(real), `seed ${seed}`);
        const survey = surveyOf(readTrace(lines));
        assert.ok(survey.isLive && survey.changes > 20);
        const region = pictureAt(readTrace(lines), survey.lines, "").windows.find(({ bytes }) => bytes.live > 0n)
          ?.regions[0];
        assert.equal([region?.name, region && region.last - region.start + 1n], ["list m1", 1n << 22n], `seed ${seed}`);
        container.close();
        memory.close();
        assert.equal(liveAfter(lines), []);
        const ended = surveyOf(readTrace(lines));
        assert.not.ok(ended.isLive);
        assert.ok(ended.fullest > 0 && ended.fullest <= survey.lines);
      });
    }
  }
}

traces("do not change by calls that failed, or were not made", () => {
  const lines = traceOf(
    ...type1Open(["0x0", "0xffffffff"]),
    mapped("0x1000", "0x1000"),
    mapped("0x9000", "0x1000", undefined, "ENOMEM"),
    { ...mapped("0xa000", "0x1000"), batch: [1, 2], answer: "EFAULT" },
    { ...mapped("0xb000", "0x1000"), batch: [2, 2], answer: null },
  );
  assert.equal(liveAfter(lines), [[0x1000n, 0x1fffn]]);
});

traces("of type1 are what the IOMMU allows, and what lies between is kept", () => {
  const lines = traceOf(
    ...type1Open(["0x0", "0xfedfffff"], ["0xfef00000", "0x7fffffffff"]),
    mapped("0x1000", "0x2000"),
  );
  const [window] = pictureAt(readTrace(lines), lines.length, "").windows;
  assert.equal(
    window?.ranges.map(({ start, last, kind }) => [start, last, kind]),
    [
      [0n, 0xfffn, "free"],
      [0x1000n, 0x2fffn, "live"],
      [0x3000n, 0xfedfffffn, "free"],
      [0xfee00000n, 0xfeefffffn, "kept"],
      [0xfef00000n, 0x7fffffffffn, "free"],
    ],
  );
});

traces("follow an unmap of version 1, which ends whole maps and says how much", () => {
  const open = type1Open(["0x0", "0xffffffff"]);
  const two = [mapped("0x1000", "0x4000"), mapped("0x5000", "0x1000")];
  const out = (size: string) => ({ out: { size } });
  assert.equal(liveAfter(traceOf(...open, ...two, unmapped("0x1000", "0x1000", out("0x4000")))), [[0x5000n, 0x5fffn]]);
  assert.equal(liveAfter(traceOf(...open, ...two, unmapped("0x2000", "0x1000", out("0x0")))), [[0x1000n, 0x5fffn]]);
  const all = { ...unmapped("0x0", "0x0"), flags: 2 };
  assert.equal(liveAfter(traceOf(...open, ...two, all)), []);
});

traces("end with the container, and a descriptor that is used again begins anew", () => {
  const open = type1Open(["0x0", "0xffffffff"]);
  const lines = traceOf(...open, mapped("0x1000", "0x1000"), { call: "close", fd: "f1", answer: 0 });
  assert.equal(liveAfter(lines), []);
  assert.is(surveyOf(readTrace(lines)).fullest, 5);
});

const group = (fd: string, number: number) => [
  { call: "open", path: `/dev/vfio/${number}`, answer: fd },
  { call: "GROUP_SET_CONTAINER", fd, container: "f1", answer: 0 },
];
const unset = (fd: string) => ({ call: "GROUP_UNSET_CONTAINER", fd, answer: 0 });
const close = (fd: string) => ({ call: "close", fd, answer: 0 });

for (const [how, leave] of [
  ["is taken out", [unset("f2")]],
  ["is closed", [close("f2")]],
  [
    "is closed, and its last device after it",
    [{ call: "GROUP_GET_DEVICE_FD", fd: "f2", name: "0000:01:00.0", answer: "f9" }, close("f2"), close("f9")],
  ],
] as const) {
  traces(`end with the last group, where that ${how}`, () => {
    const [first, ...rest] = type1Open(["0x0", "0xffffffff"]);
    const lines = traceOf(first as object, ...group("f2", 26), ...rest, mapped("0x1000", "0x800000"), ...leave);
    assert.equal(liveAfter(lines), []);
    assert.equal(liveAfter(lines.slice(0, -1)), [[0x1000n, 0x800fffn]]);
    const { windows, notes } = pictureAt(readTrace(lines), lines.length, "");
    assert.is(windows.length, 0);
    assert.match(notes.join(), "no device reaches anything");
    assert.not.ok(surveyOf(readTrace(lines)).isLive);
  });
}

traces("stay while another group is in the container; on sPAPR nothing is mapped then", () => {
  const [first, ...rest] = type1Open(["0x0", "0xffffffff"]);
  const both = [first as object, ...group("f2", 26), ...group("f3", 27)];
  const type1 = traceOf(...both, ...rest, mapped("0x1000", "0x1000"), unset("f2"));
  assert.equal(liveAfter(type1), [[0x1000n, 0x1fffn]]);
  const spapr = { call: "SET_IOMMU", fd: "f1", argument: 7, answer: 0 };
  const lines = traceOf(...both, spapr, mapped("0x1000", "0x1000"), unset("f2"));
  assert.not.ok(surveyOf(readTrace(lines)).isLive);
  assert.ok(surveyOf(readTrace(lines.slice(0, -1))).isLive);
});

traces("without an IOMMU say that a device reaches everything", () => {
  const lines = traceOf(
    { call: "open", path: "/dev/vfio/vfio", answer: "f1" },
    { call: "SET_IOMMU", fd: "f1", argument: 8, answer: 0 },
  );
  const { windows, notes } = pictureAt(readTrace(lines), 9, "");
  assert.is(windows.length, 0);
  assert.match(notes.join(" "), "reaches all memory");
});

traces("as they grew are as many moments as were asked for, the last change the last of them", () => {
  const calls = Array.from({ length: 100 }, (_, i) => mapped(`0x${(i + 1).toString(16)}000`, "0x1000"));
  const lines = traceOf(...type1Open(["0x0", "0xffffffff"]), ...calls);
  const survey = surveyOf(readTrace(lines));
  for (const count of [1, 7, 100, 500]) {
    const frames = framesOf(readTrace(lines), survey, axisFor(survey), count);
    assert.is(frames.length, Math.min(count, 100));
    assert.is(frames.at(-1)?.liveBytes, 100n * 4096n);
    assert.is(frames.at(-1)?.label, `line ${lines.length}`);
  }
});

traces.run();
