/** Opening a container on type1, and without an IOMMU. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openContainer } from "../../src/container/open.ts";
import { type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { badValues } from "../support/bad-values.ts";
import { failure, refusesArgument } from "../support/failure.ts";
import { faulty, no } from "../support/faulty.ts";
import { recording } from "../support/recording.ts";

/** The machines: what their containers are, and what opening asks of the kernel. */
const machines: readonly (readonly [string, ModelOptions, { noIommu?: boolean }, readonly unknown[]])[] = [
  ["type1 v2", { platform: "type1" }, {}, ["type1", 2, [7, 3], 3]],
  ["type1 v1", { platform: "type1", iommuVersion: 1 }, {}, ["type1", 1, [7, 3, 1], 1]],
  ["no IOMMU", { platform: "noiommu" }, { noIommu: true }, ["noiommu", undefined, [8], 8]],
];

for (const [name, options, more, expected] of machines) {
  test(`${name}: is taken where the machine has it, after the better ones were asked for`, () => {
    const model = modelKernel(options);
    const kernel = recording(model);
    const container = openContainer({ kernel, groups: [26], ...more });
    const calls = kernel.take();
    const info = container.info();
    const of = (call: string) => calls.filter((each) => each.call === call).map(({ argument }) => argument);
    assert.equal(
      [container.kind, info.kind === "type1" ? info.version : undefined, of("CHECK_EXTENSION"), of("SET_IOMMU")[0]],
      expected,
    );
    const paths = calls.filter(({ call }) => call === "open").map(({ path }) => path);
    assert.equal(paths, ["/dev/vfio/vfio", more.noIommu ? "/dev/vfio/noiommu-26" : "/dev/vfio/26"]);
    container.close();
    assert.equal(model.leaks(), []);
  });

  test(`${name}: whichever step is refused, nothing stays open, and it opens the next time`, () => {
    const counted = recording(modelKernel(options));
    openContainer({ kernel: counted, groups: [26], ...more }).close();
    const steps = counted.takeNames().filter((call) => call !== "close");
    for (const [nth, step] of steps.entries()) {
      const model = modelKernel(options);
      // What is next best is asked for when one is not there; so none of them is.
      const times = step === "CHECK_EXTENSION" ? 3 : 1;
      const kernel = faulty(model, { ...(times > 1 ? { call: step } : { nth }), times, answer: no.EIO });
      const code =
        { GET_API_VERSION: "ERR_VFIO_VERSION", CHECK_EXTENSION: "ERR_NO_IOMMU_DRIVER" }[step] ?? "ERR_KERNEL";
      failure(code, () => openContainer({ kernel, groups: [26], ...more }));
      assert.equal(model.snapshot().descriptors, [], step);
      assert.equal(model.leaks(), []);
      openContainer({ kernel: model, groups: [26], ...more }).close();
    }
  });

  test(`${name}: several groups share a container`, () => {
    const model = modelKernel({ ...options, groups: [26, 27] });
    const container = openContainer({ kernel: model, groups: [27, 26], ...more });
    assert.equal(model.snapshot().containers[0]?.groups, [26, 27]);
    container.close();
    assert.equal(model.leaks(), []);
  });

  test(`${name}: a group opens once`, () => {
    const model = modelKernel(options);
    const first = openContainer({ kernel: model, groups: [26], ...more });
    const error = failure("ERR_KERNEL", () => openContainer({ kernel: model, groups: [26], ...more }));
    assert.is(error.errno, no.EBUSY);
    first.close();
    assert.equal(model.leaks(), []);
  });
}

test("only version 2 of type1 where the kernel has both", () => {
  const kernel = recording(modelKernel({ platform: "type1" }));
  openContainer({ kernel, groups: [26] }).close();
  assert.not(kernel.take().some(({ call, argument }) => call === "CHECK_EXTENSION" && argument === 1));
});

test("type1: interrupts that are not kept apart are explained, in words that have nothing of POWER", () => {
  const kernel = faulty(modelKernel({ platform: "type1" }), { call: "SET_IOMMU", answer: no.EPERM });
  const error = failure("ERR_KERNEL", () => openContainer({ kernel, groups: [26] }));
  assert.match(error.message, "allow_unsafe_interrupts=1");
  assert.is(error.errno, no.EPERM);
});

test("type1 v1 is taken where v2 is said not to be there", () => {
  const kernel = faulty(modelKernel({ platform: "type1" }), { call: "CHECK_EXTENSION", nth: 1, answer: 0 });
  const container = openContainer({ kernel, groups: [26] });
  assert.equal([container.kind, (container.info() as { version?: number }).version], ["type1", 1]);
  container.close();
});

test("without an IOMMU nothing is opened unless it is asked for", () => {
  const model = modelKernel({ platform: "noiommu" });
  const kernel = recording(model);
  for (const more of [{}, { noIommu: false }]) {
    const error = failure("ERR_KERNEL", () => openContainer({ kernel, groups: [26], ...more }));
    assert.match(error.message, "open /dev/vfio/26: ENOENT");
    assert.match(error.message, "noIommu: true");
    assert.not(kernel.take().some(({ path }) => String(path).includes("noiommu")));
  }
  assert.equal(model.leaks(), []);
  const none = faulty(model, { call: "CHECK_EXTENSION", times: 3, answer: 0 });
  assert.match(
    failure("ERR_NO_IOMMU_DRIVER", () => openContainer({ kernel: none, groups: [26] })).message,
    "noIommu: true",
  );
});

test("where it is asked for and the kernel does not give it, the module's option is named", () => {
  for (const platform of ["type1", "powernv"] as const) {
    const model = modelKernel({ platform });
    const error = failure("ERR_NO_IOMMU_DRIVER", () => openContainer({ kernel: model, groups: [26], noIommu: true }));
    assert.match(error.message, "enable_unsafe_noiommu_mode=1");
    assert.equal(model.leaks(), []);
  }
});

test("without an IOMMU: a group that is not there, or may not be opened, is explained in those words", () => {
  for (const [call, answer, words] of [
    // This machine says that the unsafe mode is on already.
    ["open", no.ENOENT, "no such group is bound to VFIO"],
    ["open", no.EPERM, "CAP_SYS_RAWIO"],
    ["GROUP_SET_CONTAINER", no.EPERM, "CAP_SYS_RAWIO"],
    ["SET_IOMMU", no.EPERM, "CAP_SYS_RAWIO"],
  ] as const) {
    const kernel = faulty(modelKernel({ platform: "noiommu" }), { call, nth: call === "open" ? 1 : 0, answer });
    const error = failure("ERR_KERNEL", () => openContainer({ kernel, groups: [26], noIommu: true }));
    assert.match(error.message, words, call);
    if (call === "open") assert.match(error.message, "/dev/vfio/noiommu-26");
  }
});

test("without an IOMMU a warning says what that means, once in a process, and never elsewhere", () => {
  const program = `
    import { openContainer } from ${JSON.stringify(new URL("../../src/container/open.ts", import.meta.url).href)};
    import { modelKernel } from ${JSON.stringify(new URL("../../src/model/index.ts", import.meta.url).href)};
    process.on("warning", ({ code, name, message }) => console.log(JSON.stringify({ code, name, message })));
    const open = (platform, group, noIommu) => openContainer({ kernel: modelKernel({ platform }), groups: [group], noIommu }).close();
    open("type1", 26, false);
    try { open("noiommu", 9, true); } catch { console.log("refused"); }
    await new Promise(setImmediate);
    console.log("opened");
    for (let i = 0; i < 3; i++) open("noiommu", 26, true);
  `;
  const child = spawnSync(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", program], {
    encoding: "utf8",
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
  });
  assert.is(child.status, 0, child.stderr);
  const [refused, opened, warning, ...more] = child.stdout.trim().split("\n");
  assert.equal([refused, opened, more], ["refused", "opened", []], child.stdout);
  const { code, name, message } = JSON.parse(warning ?? "{}");
  assert.equal([code, name], ["DMA_WINDOW_NO_IOMMU", "DmaWindowWarning"]);
  assert.match(message, "all memory of the machine");
});

test("noIommu is true or false, and nothing is opened for anything else", () => {
  const seen = recording(modelKernel({ platform: "noiommu" }));
  for (const [, value] of badValues("undefined", "true")) {
    refusesArgument(() => openContainer({ kernel: seen, groups: [26], noIommu: value as never }));
  }
  assert.equal(seen.calls, []);
});

test.run();
