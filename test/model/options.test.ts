/** What a model can be asked to be, and what it refuses to be. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { errno, GiB, MiB, Rig } from "./rig.ts";

const options = suite("options of the model");

const refused: [ModelOptions, string][] = [
  [{ platform: "x86" as "type1" }, '"noiommu"'],
  [{ platform: "toString" as "type1" }, '"noiommu"'],
  [{ pageSize: 8192 }, "4096, 65536 on powernv"],
  [{ platform: "powernv", pageSize: 16384 }, "4096, 65536 on powernv"],
  [{ platform: "type1", pageSize: 8192 }, "4096, 16384, 65536"],
  [{ platform: "powernv", ranges: [] }, "belongs to type1"],
  [{ dmaEntryLimit: 1 }, "belongs to type1"],
  [{ platform: "pseries", iommuVersion: 1 }, "belongs to type1"],
  [{ platform: "noiommu", readsThroughWriteOnly: true }, "belongs to type1"],
  [{ platform: "noiommu", infoCapabilities: true }, "belongs to type1"],
  [{ platform: "noiommu", noIommuGroups: [1] }, "belongs to type1"],
  [{ platform: "noiommu", pgsizes: 0x1000n }, "belongs to powernv, pseries, type1"],
  [{ platform: "type1", defaultWindowSize: 1n << 30n }, "belongs to powernv, pseries"],
  [{ platform: "type1", pgsizes: 0x20_0000n }, "pages of 4096 bytes"],
  [{ platform: "type1", pgsizes: 0n }, "pages of 4096 bytes"],
  [{ platform: "type1", pgsizes: 1n << 64n }, "64 bits"],
  [{ platform: "type1", dmaEntryLimit: -1 }, "0..2^32-1"],
  [{ platform: "type1", dmaEntryLimit: 1.5 }, "0..2^32-1"],
  [{ platform: "type1", iommuVersion: 3 as 2 }, "1 or 2"],
  [{ platform: "type1", groups: [1, 2], noIommuGroups: [2] }, "named only once"],
  [{ platform: "type1", noIommuGroups: [4, 4] }, "named only once"],
  [{ platform: "type1", ranges: [] }, "at least one"],
  [{ platform: "type1", ranges: [{ start: 1n, last: 0xfffn }] }, "ranges[0].start"],
  [{ platform: "type1", ranges: [{ start: 0n, last: 0x1000n }] }, "ranges[0].last"],
  [{ platform: "type1", ranges: [{ start: 0x2000n, last: 0xfffn }] }, "ranges[0].last"],
  [{ platform: "type1", ranges: [{ start: 0n, last: (1n << 58n) - 1n }] }, "2^57"],
  [
    {
      platform: "type1",
      ranges: [
        { start: 0n, last: 0x1fffn },
        { start: 0x1000n, last: 0x2fffn },
      ],
    },
    "ranges[1].start",
  ],
];

for (const [given, expected] of refused) {
  options(`that cannot be are refused: ${expected}, ${Object.keys(given).join(" and ")}`, () => {
    assert.throws(
      () => modelKernel(given),
      (error: unknown) => error instanceof RangeError && error.message.includes(expected),
    );
  });
}

const wrongKind: [unknown, string][] = [
  [{ pgsizes: 4096 }, "pgsizes"],
  [{ ranges: 7 }, "ranges"],
  [{ ranges: [null] }, "ranges[0]"],
  [{ ranges: [{ start: 0n, last: 4095 }] }, "ranges[0].last"],
  [{ readsThroughWriteOnly: 1 }, "readsThroughWriteOnly"],
  [{ infoCapabilities: null }, "infoCapabilities"],
  [{ noIommuGroups: "3" }, "noIommuGroups"],
];

for (const [given, name] of wrongKind) {
  options(`of the wrong kind are refused: ${name}`, () => {
    assert.throws(
      () => modelKernel({ platform: "type1", ...(given as ModelOptions) }),
      (error: unknown) => error instanceof TypeError && error.message.startsWith(name),
    );
  });
}

options("of sPAPR and groups that cannot be are refused", () => {
  const wrong: ModelOptions[] = [
    { groups: [1.5] },
    { groups: [-1] },
    { groups: [1, 1] },
    { pgsizes: 0x211001n },
    { pgsizes: 0x10000n },
    { defaultWindowSize: 4n * GiB },
    { defaultWindowSize: 3n * GiB },
  ];
  for (const option of wrong) {
    assert.throws(
      () => modelKernel(option),
      (error: { code: string }) => error.code === "ERR_OUT_OF_RANGE",
    );
  }
  const ofWrongKind = [
    { groups: 26 },
    { pgsizes: 4096 },
    { defaultWindowSize: "1" },
    { memory: {} },
    { lockedMemory: 1 },
  ];
  for (const option of ofWrongKind) {
    assert.throws(
      () => modelKernel(option as unknown as ModelOptions),
      (error: { code: string }) => error.code === "ERR_INVALID_ARG_TYPE",
    );
  }
});

options("change what GET_INFO says, and what CREATE takes", () => {
  const program = new Rig(modelKernel({ pgsizes: 0x1001000n, defaultWindowSize: 16n * MiB })).start();
  program.info();
  assert.is(program.u32(12), 2 ** 24);
  assert.is(program.u64(16), 0x1001000n);
  assert.is(program.create(16, GiB), -errno.EINVAL);
  assert.is(program.create(24, GiB), 0);
});

options("of firmware are what firmware can do, and only where there is one", () => {
  const wrong = [0n, 1n << 31n, (1n << 40n) + 4096n, 1n << 63n].map((firmwareWindowStart) => ({ firmwareWindowStart }));
  for (const options of [...wrong, { firmwareLargestBlock: -1n }, { firmwareLargestBlock: 1n << 64n }]) {
    assert.throws(() => modelKernel({ platform: "pseries", ...options }), /ERR_OUT_OF_RANGE|must be/);
  }
  assert.throws(() => modelKernel({ platform: "pseries", firmwareLargestBlock: "5" as never }), /a bigint or a number/);
  assert.throws(() => modelKernel({ platform: "powernv", firmwareLargestBlock: 5n }), /belongs to pseries/);
});

options.run();
