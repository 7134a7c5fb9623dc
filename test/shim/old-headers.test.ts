/** The shim compiles with the kernel headers of distributions that run Node 20: Linux 4.19, 5.4 and 5.10. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { compiledShim } from "./compile.ts";

const header = "/usr/include/linux/vfio.h";

/** With the flags in it. */
const deviceFeature = [define("VFIO_DEVICE_FEATURE"), structure("vfio_device_feature")];
/** Of vfio_device_info: what its flags are told by, and the fields behind num_irqs. */
const deviceCapabilities = [
  define("VFIO_DEVICE_FLAGS_CAPS"),
  /(?<=__u32\s+num_irqs;[^\n]*\n)\s*__u32\s+cap_offset;[^\n]*\n(\s*__u32\s+pad;\n)?/,
];

/** What came after Linux 5.10, 5.4 and 4.19, of what the shim names: constants, structs, fields. */
const later: Readonly<Record<string, readonly RegExp[]>> = {
  "5.10": [define("VFIO_DMA_UNMAP_FLAG_ALL")],
  "5.4": [
    ...deviceFeature,
    ...deviceCapabilities,
    define("VFIO_DMA_UNMAP_FLAG_ALL"),
    define("VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL"),
    structure("vfio_iommu_type1_info_dma_avail"),
  ],
  "4.19": [
    ...deviceFeature,
    ...deviceCapabilities,
    define("VFIO_DMA_UNMAP_FLAG_ALL"),
    define("VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL"),
    define("VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE"),
    define("VFIO_IOMMU_INFO_CAPS"),
    structure("vfio_iommu_type1_info_dma_avail"),
    structure("vfio_iommu_type1_info_cap_iova_range"),
    structure("vfio_iova_range"),
    // The fields of vfio_iommu_type1_info behind its page sizes.
    /(?<=__u64\s+iova_pgsizes;[^\n]*\n)\s*__u32\s+cap_offset;[^\n]*\n(\s*__u32\s+pad;\n)?/,
  ],
};

function define(name: string): RegExp {
  return new RegExp(`^#define\\s+${name}\\b.*\\n`, "m");
}

function structure(name: string): RegExp {
  return new RegExp(`^struct ${name} \\{[^}]*\\};\\n`, "m");
}

const newest = compiledShim("/dev/null", "-fsyntax-only");
if (newest === undefined) {
  test("without a compiler there is nothing to compile", () => assert.is(newest, undefined));
} else {
  test("the shim compiles with this machine's headers", () => assert.is(newest.why, undefined, newest.said));
  for (const [version, parts] of Object.entries(later)) {
    test(`the shim compiles with what the headers of Linux ${version} had`, () => {
      const include = mkdtempSync(join(tmpdir(), "dma-window-headers-"));
      try {
        let text = readFileSync(header, "utf8");
        const isNew = text.includes("VFIO_DMA_UNMAP_FLAG_ALL");
        for (const part of parts) {
          if (isNew) assert.match(text, part);
          text = text.replace(part, "");
        }
        mkdirSync(join(include, "linux"));
        writeFileSync(join(include, "linux/vfio.h"), text);
        const compiled = compiledShim("/dev/null", "-fsyntax-only", `-I${include}`);
        assert.is(compiled?.why, undefined, compiled?.said);
      } finally {
        rmSync(include, { recursive: true });
      }
    });
  }
}

test.run();
