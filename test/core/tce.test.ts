/** TCE tables against their twin: every shape that a machine could be asked for. */
import * as assert from "uvu/assert";
import { Shape } from "../../src/core.ts";
import * as twin from "../reference/tce.ts";
import { agree, eachBuild, edges, show } from "./support.ts";

const pageShifts = [12, 16, 21, 24, 30, 34];
const cpuPageShifts = [12, 14, 16, 18];

/** Every window up to the whole address space, also smaller than a page, with 0 to 7 levels. */
function* shapes(): Generator<twin.TableShape> {
  for (const cpuPageShift of cpuPageShifts) {
    for (const pageShift of pageShifts) {
      for (let levels = 0; levels <= 7; levels++) {
        for (let windowShift = 10; windowShift <= 64; windowShift++) {
          yield { windowShift, pageShift, levels, cpuPageShift };
        }
      }
    }
  }
}

eachBuild("TCE tables", (test, core) => {
  test("of PowerNV can be made, or not and for the same reason, as their twin says", () => {
    const answers = new Set<number>();
    for (const shape of shapes()) {
      const answer = core.powernvShape(shape.windowShift, shape.pageShift, shape.levels, shape.cpuPageShift);
      agree(answer, twin.powernvShape(shape), () => show(shape));
      answers.add(answer);
    }
    assert.equal([...answers].sort(), Object.values(Shape).sort());
  });

  test("of PowerNV take as many bytes, level by level, as their twin says", () => {
    for (const shape of shapes()) {
      if (twin.powernvShape(shape) !== Shape.OK) continue;
      const { windowShift, pageShift, levels, cpuPageShift } = shape;
      const bytes = twin.powernvLevels(shape);
      for (let level = 0; level <= levels + 1; level++) {
        const expected = level === 0 ? 0n : (bytes[level - 1] ?? 0n);
        agree(core.powernvLevelBytes(windowShift, pageShift, levels, cpuPageShift, level), expected, () =>
          show({ ...shape, level }),
        );
      }
      const total = core.powernvTableBytes(windowShift, pageShift, levels, cpuPageShift);
      agree(total, twin.powernvTableBytes(shape), () => show(shape));
      const charge = core.powernvCharge(windowShift, pageShift, levels, cpuPageShift);
      agree(charge, twin.powernvCharge(shape), () => show(shape));
    }
  });

  test("of pSeries cost 8 bytes for each page of the window", () => {
    for (const pageShift of pageShifts) {
      for (let windowShift = pageShift; windowShift <= Math.min(64, pageShift + 60); windowShift++) {
        const charge = core.pseriesCharge(windowShift, pageShift);
        agree(charge, twin.pseriesCharge(windowShift, pageShift), () => show({ windowShift, pageShift }));
      }
    }
  });

  test("need a device with as many address bits as their last address has", () => {
    for (const last of edges) agree(core.maskBits(last), twin.maskBits(last), () => show(last));
    assert.is(core.maskBits(2n ** 47n - 1n), 47);
    assert.is(core.maskBits(2n ** 47n), 48);
    assert.is(core.maskBits(2n ** 59n + 2n ** 36n - 1n), 60);
  });
});
