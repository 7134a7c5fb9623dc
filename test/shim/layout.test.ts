import { test } from "uvu";
import * as assert from "uvu/assert";
import { GroupFlag, IommuType, VFIO_API_VERSION, VfioCall } from "../../src/syscalls.ts";
import { withShim } from "./native.ts";

/** Size, then each field as [offset, size]: <linux/vfio.h>, the same on every architecture. */
const golden: Record<string, [size: number, fields: Record<string, [offset: number, size: number]>]> = {
  vfio_iommu_spapr_tce_info: [
    32,
    {
      argsz: [0, 4],
      flags: [4, 4],
      dma32_window_start: [8, 4],
      dma32_window_size: [12, 4],
      "ddw.pgsizes": [16, 8],
      "ddw.max_dynamic_windows_supported": [24, 4],
      "ddw.levels": [28, 4],
    },
  ],
  vfio_iommu_spapr_register_memory: [24, { argsz: [0, 4], flags: [4, 4], vaddr: [8, 8], size: [16, 8] }],
  vfio_iommu_spapr_tce_create: [
    40,
    {
      argsz: [0, 4],
      flags: [4, 4],
      page_shift: [8, 4],
      window_size: [16, 8],
      levels: [24, 4],
      start_addr: [32, 8],
    },
  ],
  vfio_iommu_spapr_tce_remove: [16, { argsz: [0, 4], flags: [4, 4], start_addr: [8, 8] }],
  vfio_iommu_type1_dma_map: [32, { argsz: [0, 4], flags: [4, 4], vaddr: [8, 8], iova: [16, 8], size: [24, 8] }],
  // The struct that must not be mistaken for the one above: iova at 8, size at 16.
  vfio_iommu_type1_dma_unmap: [24, { argsz: [0, 4], flags: [4, 4], iova: [8, 8], size: [16, 8] }],
  // 16 bytes, without cap_offset, in headers before Linux 5.4.
  vfio_iommu_type1_info: [24, { argsz: [0, 4], flags: [4, 4], iova_pgsizes: [8, 8], cap_offset: [16, 4] }],
  vfio_info_cap_header: [8, { id: [0, 2], version: [2, 2], next: [4, 4] }],
  vfio_iommu_type1_info_cap_iova_range: [16, { header: [0, 8], nr_iovas: [8, 4] }],
  vfio_iova_range: [16, { start: [0, 8], end: [8, 8] }],
  vfio_iommu_type1_info_dma_avail: [12, { header: [0, 8], avail: [8, 4] }],
  vfio_group_status: [8, { argsz: [0, 4], flags: [4, 4] }],
  vfio_eeh_pe_op: [40, { argsz: [0, 4], flags: [4, 4], op: [8, 4], err: [16, 24] }],
  // 16 bytes without cap_offset before Linux 5.7, and 20 before 6.6.
  vfio_device_info: [24, { argsz: [0, 4], flags: [4, 4], num_regions: [8, 4], num_irqs: [12, 4], cap_offset: [16, 4] }],
  vfio_region_info: [
    32,
    { argsz: [0, 4], flags: [4, 4], index: [8, 4], cap_offset: [12, 4], size: [16, 8], offset: [24, 8] },
  ],
  vfio_region_info_cap_sparse_mmap: [16, { header: [0, 8], nr_areas: [8, 4] }],
  vfio_region_sparse_mmap_area: [16, { offset: [0, 8], size: [8, 8] }],
  vfio_irq_info: [16, { argsz: [0, 4], flags: [4, 4], index: [8, 4], count: [12, 4] }],
  vfio_irq_set: [20, { argsz: [0, 4], flags: [4, 4], index: [8, 4], start: [12, 4], count: [16, 4] }],
  vfio_pci_hot_reset_info: [12, { argsz: [0, 4], flags: [4, 4], count: [8, 4] }],
  vfio_pci_dependent_device: [8, { group_id: [0, 4], segment: [4, 2], bus: [6, 1], devfn: [7, 1] }],
  vfio_pci_hot_reset: [12, { argsz: [0, 4], flags: [4, 4], count: [8, 4] }],
  vfio_device_feature: [8, { argsz: [0, 4], flags: [4, 4] }],
};

withShim(
  (shim) => {
    const layout = shim.layout();

    test("every struct has the size and the fields that the core lays out", () => {
      const found = Object.entries(layout.structs).map(([name, { size, fields }]) => [
        name,
        [
          name === "vfio_device_info" && [16, 20].includes(size) ? 24 : size,
          Object.fromEntries(Object.entries(fields).map(([field, at]) => [field, [at.offset, at.size]])),
        ],
      ]);
      // A header that is older than a struct leaves it out; before Linux 5.4 the info has no cap_offset.
      const known = Object.entries(golden).filter(([name]) => name in layout.structs);
      assert.equal(Object.fromEntries(found), Object.fromEntries(known));
      const optional = [
        "vfio_iommu_type1_info_cap_iova_range",
        "vfio_iova_range",
        "vfio_iommu_type1_info_dma_avail",
        "vfio_device_feature",
      ];
      const absent = Object.keys(golden).filter((name) => !(name in layout.structs));
      assert.equal(
        absent.filter((name) => !optional.includes(name)),
        [],
      );
    });

    test("the shim makes the calls of VfioCall, all of them and no others, at their distances", () => {
      const distances = Object.entries(layout.calls).map(([name, { distance }]) => [name, distance]);
      assert.equal(Object.fromEntries(distances), VfioCall);
    });

    test("request numbers are this architecture's: 0x3bXX, and 0x20003bXX on POWER", () => {
      const base = process.arch === "ppc64" ? 0x20003b64 : 0x3b64;
      for (const [name, { request, distance }] of Object.entries(layout.calls)) {
        // On the seam the calls on a device have 0x100 more.
        assert.is(request, base + (distance % 0x100), name);
      }
      assert.is(layout.calls.IOMMU_SPAPR_TCE_REMOVE?.request, process.arch === "ppc64" ? 0x20003b78 : 0x3b78);
    });

    test("IOMMU types, group flags and the API version are those of the seam", () => {
      const { constants } = layout;
      assert.equal(
        {
          TYPE1: constants.VFIO_TYPE1_IOMMU,
          SPAPR_TCE: constants.VFIO_SPAPR_TCE_IOMMU,
          TYPE1v2: constants.VFIO_TYPE1v2_IOMMU,
          SPAPR_TCE_V2: constants.VFIO_SPAPR_TCE_v2_IOMMU,
          NOIOMMU: constants.VFIO_NOIOMMU_IOMMU,
        },
        IommuType,
      );
      assert.equal(
        { VIABLE: constants.VFIO_GROUP_FLAGS_VIABLE, CONTAINER_SET: constants.VFIO_GROUP_FLAGS_CONTAINER_SET },
        GroupFlag,
      );
      assert.is(constants.VFIO_API_VERSION, VFIO_API_VERSION);
    });

    test("the flags and indexes of a device are those of the kernel's documents", () => {
      const golden = {
        ...{ VFIO_DEVICE_FLAGS_RESET: 1, VFIO_DEVICE_FLAGS_PCI: 2 },
        ...{ VFIO_REGION_INFO_FLAG_READ: 1, VFIO_REGION_INFO_FLAG_WRITE: 2, VFIO_REGION_INFO_FLAG_MMAP: 4 },
        ...{
          VFIO_REGION_INFO_FLAG_CAPS: 8,
          VFIO_REGION_INFO_CAP_SPARSE_MMAP: 1,
          VFIO_REGION_INFO_CAP_MSIX_MAPPABLE: 3,
        },
        ...{
          VFIO_IRQ_INFO_EVENTFD: 1,
          VFIO_IRQ_INFO_MASKABLE: 2,
          VFIO_IRQ_INFO_AUTOMASKED: 4,
          VFIO_IRQ_INFO_NORESIZE: 8,
        },
        ...{ VFIO_IRQ_SET_DATA_NONE: 1, VFIO_IRQ_SET_DATA_BOOL: 2, VFIO_IRQ_SET_DATA_EVENTFD: 4 },
        ...{ VFIO_IRQ_SET_ACTION_MASK: 8, VFIO_IRQ_SET_ACTION_UNMASK: 16, VFIO_IRQ_SET_ACTION_TRIGGER: 32 },
        ...{ VFIO_PCI_BAR0_REGION_INDEX: 0, VFIO_PCI_ROM_REGION_INDEX: 6 },
        ...{ VFIO_PCI_CONFIG_REGION_INDEX: 7, VFIO_PCI_VGA_REGION_INDEX: 8 },
        ...{ VFIO_PCI_INTX_IRQ_INDEX: 0, VFIO_PCI_MSI_IRQ_INDEX: 1, VFIO_PCI_MSIX_IRQ_INDEX: 2 },
        ...{ VFIO_PCI_ERR_IRQ_INDEX: 3, VFIO_PCI_REQ_IRQ_INDEX: 4 },
      };
      const known = Object.keys(golden).map((name) => [name, layout.constants[name]]);
      assert.equal(Object.fromEntries(known), golden);
      // Linux 5.8.
      assert.is(layout.constants.VFIO_DEVICE_FEATURE_GET ?? 2 ** 16, 2 ** 16);
      assert.is(layout.constants.VFIO_DEVICE_FEATURE_SET ?? 2 ** 17, 2 ** 17);
      assert.is(layout.constants.VFIO_DEVICE_FEATURE_PROBE ?? 2 ** 18, 2 ** 18);
    });

    test("the flags and capability ids inside the structs are the ones that the core writes and reads", () => {
      const { constants } = layout;
      assert.is(constants.VFIO_BASE, 100);
      assert.is(constants.VFIO_IOMMU_SPAPR_INFO_DDW, 1);
      assert.is(constants.VFIO_DMA_MAP_FLAG_READ, 1);
      assert.is(constants.VFIO_DMA_MAP_FLAG_WRITE, 2);
      assert.is(constants.VFIO_IOMMU_INFO_PGSIZES, 1);
      // These came with Linux 5.4 to 5.12: the shim needs none of them.
      assert.is(constants.VFIO_DMA_UNMAP_FLAG_ALL ?? 2, 2);
      assert.is(constants.VFIO_IOMMU_INFO_CAPS ?? 2, 2);
      assert.is(constants.VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE ?? 1, 1);
      assert.is(constants.VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL ?? 3, 3);
    });
  },
  "ioctl()",
  (kernel) => kernel.ioctl(0, VfioCall.GET_API_VERSION, 0),
);

test.run();
