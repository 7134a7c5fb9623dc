import { spawnSync } from "node:child_process";
import { test } from "uvu";
import * as assert from "uvu/assert";

const module = new URL("../../dist/cli/warnings.js", import.meta.url).href;

/** What a process says on stderr that is warned of a container without an IOMMU, and of something else. */
function warned(isSoftware: boolean, ...flags: readonly string[]): string {
  const script = `
    import { warnInOwnWords } from ${JSON.stringify(module)};
    warnInOwnWords(${isSoftware});
    process.emitWarning("all memory", { type: "DmaWindowWarning", code: "DMA_WINDOW_NO_IOMMU" });
    process.emitWarning("something else", { code: "OTHER" });
  `;
  const { stderr, status } = spawnSync(process.execPath, [...flags, "--input-type=module", "-e", script], {
    encoding: "utf8",
    env: { ...process.env, NODE_NO_WARNINGS: "" },
  });
  assert.is(status, 0, stderr);
  return stderr;
}

test("that a real device reaches all memory is said in one line; every other warning stays as Node has it", () => {
  const said = warned(false);
  assert.match(said, /^dma-window: warning: all memory \[DMA_WINDOW_NO_IOMMU\]\n/m);
  assert.match(said, /^\(node:\d+\) \[OTHER\] Warning: something else\n/m);
  assert.not.match(said, "DmaWindowWarning");
});

test("of a software kernel's device it is not said", () => {
  const said = warned(true);
  assert.not.match(said, "all memory");
  assert.match(said, "something else");
});

test("whoever wants no warnings gets none", () => {
  assert.is(warned(false, "--no-warnings"), "");
});

test.run();
