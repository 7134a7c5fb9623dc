/** What can be plugged in, and where it comes to be. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { edu, type ModelOptions, type ModelPciDevice, modelKernel } from "../../src/model/index.ts";
import { nvmeFacts, Probe } from "./rig.ts";

const options = suite("devices of a model");

const placesOf = (given: ModelOptions) =>
  modelKernel(given)
    .snapshot()
    .devices.map(({ address, group }) => `${address} in ${group}`);

options("have groups and addresses of their own, from 26 on, unless they say which", () => {
  assert.equal(placesOf({ platform: "type1", devices: [edu(), edu()] }), ["0000:00:1a.0 in 26", "0000:00:1b.0 in 27"]);
  assert.equal(placesOf({ platform: "powernv", devices: [edu(), edu()] }), [
    "0000:01:00.0 in 26",
    "0000:02:00.0 in 27",
  ]);
  assert.equal(placesOf({ platform: "type1", groups: [26], devices: [edu()] }), [
    "0000:00:1a.0 in 26",
    "0000:00:1b.0 in 27",
  ]);
  assert.equal(
    placesOf({ platform: "type1", devices: [edu({ group: 1, address: "0000:05:00.0" }), edu({ group: 1 })] }),
    ["0000:05:00.0 in 1", "0000:00:01.0 in 1"],
  );
  assert.equal(placesOf({ platform: "type1", groups: [26], devices: [edu({ group: 26 })] }), ["0000:00:1a.0 in 26"]);
  assert.equal(placesOf({ platform: "type1", devices: [] }), []);
  assert.equal(placesOf({ platform: "type1" }), ["0000:00:1a.0 in 26"]);
  assert.equal(placesOf({ platform: "noiommu", devices: [edu()] }), ["0000:00:1a.0 in 26"]);
  const mixed = modelKernel({ platform: "type1", noIommuGroups: [4], devices: [edu({ group: 4 }), edu()] });
  assert.ok(mixed.open("/dev/vfio/noiommu-4") > 0 && mixed.open("/dev/vfio/26") > 0);
  assert.is(new Set(placesOf({ platform: "type1", devices: Array.from({ length: 80 }, () => edu()) })).size, 80);
});

const plug = () => new Probe();
const withFacts = (facts: object) => ({ devices: [{ facts: { ...nvmeFacts, ...facts }, plug }] });

const refused: [object, string, string][] = [
  [{ devices: edu() }, "ERR_INVALID_ARG_TYPE", "an array of devices"],
  [{ devices: [null] }, "ERR_INVALID_ARG_TYPE", "devices[0]"],
  [{ devices: [edu] }, "ERR_INVALID_ARG_TYPE", "devices[0]"],
  [{ devices: [{ facts: nvmeFacts }] }, "ERR_INVALID_ARG_TYPE", "devices[0].plug"],
  [{ devices: [{ facts: nvmeFacts, plug, adress: "x" }] }, "ERR_INVALID_ARG_TYPE", '"address"'],
  [{ devices: [{ plug }] }, "ERR_INVALID_ARG_TYPE", "devices[0].facts"],
  [{ devices: [edu({ group: -1 })] }, "ERR_OUT_OF_RANGE", "devices[0].group"],
  [{ devices: [edu({ address: "01:00.0" })] }, "ERR_OUT_OF_RANGE", "devices[0].address"],
  [{ devices: [edu({ address: "0000:01:00.0\n" })] }, "ERR_OUT_OF_RANGE", "devices[0].address"],
  [
    { devices: [edu({ address: "0000:01:00.0" }), edu({ address: "0000:01:00.0" })] },
    "ERR_OUT_OF_RANGE",
    "another one than devices[0]",
  ],
  [{ platform: "noiommu", devices: [edu({ group: 1 }), edu({ group: 1 })] }, "ERR_OUT_OF_RANGE", "without an IOMMU"],
  [withFacts({ vendor: 0x10000 }), "ERR_OUT_OF_RANGE", "facts.vendor"],
  [withFacts({ vendor: "8086" }), "ERR_INVALID_ARG_TYPE", "facts.vendor"],
  [withFacts({ class: 0x1000000 }), "ERR_OUT_OF_RANGE", "facts.class"],
  [withFacts({ bars: undefined }), "ERR_INVALID_ARG_TYPE", "facts.bars"],
  [withFacts({ bars: [{ index: 6, bytes: 16, bits: 32 }] }), "ERR_OUT_OF_RANGE", "bars[0].index"],
  [withFacts({ bars: [{ index: 5, bytes: 16, bits: 64 }] }), "ERR_OUT_OF_RANGE", "bars[0].index"],
  [
    withFacts({
      bars: [
        { index: 0, bytes: 4096 },
        { index: 1, bytes: 4096 },
      ],
    }),
    "ERR_OUT_OF_RANGE",
    "bars[1].index",
  ],
  [withFacts({ bars: [{ index: 0, bytes: 5000 }] }), "ERR_OUT_OF_RANGE", "power of two"],
  [withFacts({ bars: [{ index: 0, bytes: 8 }] }), "ERR_OUT_OF_RANGE", "from 16"],
  [withFacts({ bars: [{ index: 0, bytes: 512, ports: true }] }), "ERR_OUT_OF_RANGE", "to 256"],
  [withFacts({ bars: [{ index: 0, bytes: 16, ports: true, bits: 64 }] }), "ERR_OUT_OF_RANGE", "32 for ports"],
  [withFacts({ bars: [{ index: 0, bytes: 16, memory: new Uint8Array(8) }] }), "ERR_OUT_OF_RANGE", "16 bytes"],
  [withFacts({ bars: [{ index: 0, byte: 16 }] }), "ERR_INVALID_ARG_TYPE", '"bytes"'],
  [withFacts({ msix: { vectors: 0 } }), "ERR_OUT_OF_RANGE", "msix.vectors"],
  [withFacts({ msix: { vectors: 2049 } }), "ERR_OUT_OF_RANGE", "msix.vectors"],
  [withFacts({ msix: { vectors: 4, bar: 3 } }), "ERR_OUT_OF_RANGE", "msix.bar"],
  [withFacts({ msix: { vectors: 4, table: 4 } }), "ERR_OUT_OF_RANGE", "msix.table"],
  [withFacts({ msix: { vectors: 2048, table: 0 } }), "ERR_OUT_OF_RANGE", "msix.table"],
  [withFacts({ msix: { vectors: 4, table: 0, pending: 8 } }), "ERR_OUT_OF_RANGE", "not within the table"],
  [withFacts({ msi: 3 }), "ERR_OUT_OF_RANGE", "facts.msi"],
  [withFacts({ msi: 64 }), "ERR_OUT_OF_RANGE", "facts.msi"],
  [withFacts({ rom: [1] }), "ERR_INVALID_ARG_TYPE", "facts.rom"],
  [withFacts({ rom: new Uint8Array(0) }), "ERR_OUT_OF_RANGE", "facts.rom"],
  [withFacts({ rom: new Uint8Array(2 ** 24 + 1) }), "ERR_OUT_OF_RANGE", "facts.rom"],
  [withFacts({ intx: 1 }), "ERR_INVALID_ARG_TYPE", "facts.intx"],
  [withFacts({ express: false, flr: true }), "ERR_OUT_OF_RANGE", "facts.flr"],
  [withFacts({ pmReset: 1 }), "ERR_INVALID_ARG_TYPE", "facts.pmReset"],
  [withFacts({ express: false, pmReset: true }), "ERR_OUT_OF_RANGE", "facts.pmReset"],
  [withFacts({ bigEndian: "yes" }), "ERR_INVALID_ARG_TYPE", "facts.bigEndian"],
  [withFacts({ speed: 1 }), "ERR_INVALID_ARG_TYPE", "speed"],
];

for (const [given, code, words] of refused) {
  options(`that cannot be are refused: ${words}, ${code}`, () => {
    assert.throws(
      () => modelKernel(given as ModelOptions),
      (error: Error & { code?: string }) => error.code === code && error.message.includes(words),
    );
  });
}

options("edu() takes no others than its own", () => {
  assert.throws(() => edu({ mask: 1n } as never), /dmaMask/);
  assert.throws(() => edu({ dmaMask: 1 as never }), /dmaMask/);
});

options("have the table of MSI-X at the end of their first BAR that is no ports, unless they say where", () => {
  const device: ModelPciDevice = new Probe({
    bars: [
      { index: 0, bytes: 32, ports: true },
      { index: 1, bytes: 4096, bits: 32 },
    ],
    msix: { vectors: 3 },
  });
  const kernel = modelKernel({ platform: "type1", devices: [device] });
  assert.ok(kernel.snapshot().devices.length === 1);
});

options.run();
