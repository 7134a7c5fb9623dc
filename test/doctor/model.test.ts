/** The doctor beside the software kernel: what it calls ready opens, and what it calls closed does not. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openContainer } from "../../src/container/open.ts";
import { doctor } from "../../src/doctor/doctor.ts";
import { edu, type ModelPlatform, modelKernel } from "../../src/model/index.ts";
import { bindToVfio } from "../../src/pci/bind.ts";
import { failure, refused } from "../support/failure.ts";

const WAYS = { powernv: "spapr", pseries: "spapr", type1: "type1", noiommu: "noiommu" } as const;
const platforms = Object.keys(WAYS) as ModelPlatform[];

const beside = suite("the doctor beside a model");

for (const platform of platforms) {
  const noIommu = platform === "noiommu";

  beside(`finds ${platform} ready in its own way, as it is`, () => {
    const kernel = modelKernel({ platform });
    const { ready, ways, facts } = doctor({ kernel });
    assert.is(ready, true);
    assert.equal(
      ways.filter((one) => one.ready).map(({ way }) => way),
      [WAYS[platform as keyof typeof WAYS], "model"],
    );
    assert.is(facts.shim, undefined);
    assert.is(facts.kernel.pageSize, kernel.pageSize);
    openContainer({ kernel, groups: [26], noIommu }).close();
  });

  beside(`says of a device of ${platform} that is not bound which command binds it, and that command does`, () => {
    const device = { ...edu(), address: "0000:01:00.0", group: 7, driver: "edu" };
    const kernel = modelKernel({ platform, devices: [device], groups: [] });
    const way = () => doctor({ kernel }).ways.find((one) => one.way === WAYS[platform as keyof typeof WAYS]);
    const closed = way();
    assert.is(closed?.ready, false);
    const problem = closed?.problems.find(({ what }) => /no device is with vfio-pci/.test(what));
    assert.match(problem?.fix ?? "", /^dma-window bind 0000:01:00\.0 /);
    const binding = bindToVfio("0000:01:00.0", { kernel });
    assert.is(way()?.ready, true, JSON.stringify(way()));
    openContainer({ kernel, groups: [binding.group], noIommu }).close();
  });

  beside(`says who holds a group of ${platform}, and that it is this program's is no problem`, () => {
    const kernel = modelKernel({ platform });
    const other = kernel.spawn();
    const container = openContainer({ kernel: other, groups: [26], noIommu });
    const found = doctor({ kernel });
    const way = found.ways.find((one) => one.way === WAYS[platform as keyof typeof WAYS]);
    assert.match(way?.problems[0]?.what ?? "", /^group 26 is held: process \d+ has \/dev\/vfio\/(?:noiommu-)?26 open/);
    assert.is(found.ready, false);
    failure("ERR_KERNEL", () => openContainer({ kernel, groups: [26], noIommu }));
    assert.is(doctor({ kernel: other }).ready, true);
    container.close();
    assert.is(doctor({ kernel }).ready, true);
  });
}

beside("finds a limit too small on type1, and a map of a hugepage is refused there", () => {
  const kernel = modelKernel({ platform: "type1", lockedMemory: { limit: 64n << 10n, privileged: false } });
  const way = doctor({ kernel }).ways.find((one) => one.way === "type1");
  assert.match(way?.problems[0]?.what ?? "", /lock 64 KiB/);
});

beside("refuses options that are none", () => {
  refused("ERR_INVALID_ARG_TYPE", () => doctor({ rot: "/host" } as never));
  refused("ERR_INVALID_ARG_TYPE", () => doctor({ root: 5 } as never));
  refused("ERR_INVALID_ARG_TYPE", () => doctor({ kernel: {} } as never));
  refused("ERR_INVALID_ARG_TYPE", () => doctor(null as never));
});

beside.run();
