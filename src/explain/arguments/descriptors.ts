/** Calls that were asked of another file than they are for, or of a container that has no IOMMU yet. */
import { type Cause, othersOf, type Row } from "../cause.ts";
import { askedOf, askedOfContainer, known } from "../facts.ts";

const CORE = "drivers/vfio/pci/vfio_pci_core.c";

const CONTAINER_CALLS = ["VFIO_GET_API_VERSION", "VFIO_CHECK_EXTENSION", "VFIO_SET_IOMMU"] as const;

/** Of the IOMMU's driver; it is there from SET_IOMMU on. */
const SPAPR_CALLS = [
  "VFIO_IOMMU_SPAPR_REGISTER_MEMORY",
  "VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY",
  "VFIO_IOMMU_SPAPR_TCE_CREATE",
  "VFIO_IOMMU_SPAPR_TCE_REMOVE",
  "VFIO_IOMMU_ENABLE",
  "VFIO_IOMMU_DISABLE",
  "VFIO_EEH_PE_OP",
] as const;
const MAP_CALLS = ["VFIO_IOMMU_MAP_DMA", "VFIO_IOMMU_UNMAP_DMA"] as const;
const INFO_CALLS = ["VFIO_IOMMU_GET_INFO", "VFIO_IOMMU_SPAPR_TCE_GET_INFO"] as const;
const DRIVER_CALLS = [...INFO_CALLS, ...MAP_CALLS, ...SPAPR_CALLS];

const GROUP_CALLS = [
  "VFIO_GROUP_GET_STATUS",
  "VFIO_GROUP_SET_CONTAINER",
  "VFIO_GROUP_UNSET_CONTAINER",
  "VFIO_GROUP_GET_DEVICE_FD",
] as const;

const DEVICE_CALLS = [
  "VFIO_DEVICE_GET_INFO",
  "VFIO_DEVICE_GET_REGION_INFO",
  "VFIO_DEVICE_GET_IRQ_INFO",
  "VFIO_DEVICE_SET_IRQS",
  "VFIO_DEVICE_RESET",
  "VFIO_DEVICE_GET_PCI_HOT_RESET_INFO",
  "VFIO_DEVICE_PCI_HOT_RESET",
  "VFIO_DEVICE_FEATURE",
] as const;

const asksGroup: Row = {
  id: "asked-of-a-group",
  mistake: true,
  source: "drivers/vfio/group.c: vfio_group_fops_unl_ioctl",
  why: "the descriptor is a group's, and this is a call on a container",
  next: "make it on the descriptor of /dev/vfio/vfio",
  holds: askedOf("group"),
};

const asksDevice: Row = {
  id: "asked-of-a-device",
  mistake: true,
  source: "drivers/vfio/vfio_main.c: vfio_device_fops_unl_ioctl; drivers/vfio/pci/vfio_pci_core.c: vfio_pci_core_ioctl",
  why: "the descriptor is a device's, and this is no call on one",
  next: "make it on the descriptor of the container or of the group",
  holds: askedOf("device"),
};

export const noDriver: Row = {
  id: "no-iommu",
  source:
    "drivers/vfio/container.c: vfio_fops_unl_ioctl, vfio_group_detach_container; drivers/vfio/group.c: vfio_group_ioctl_unset_container",
  why: "the container has no IOMMU: SET_IOMMU was not called, or the last group has left, which takes the IOMMU along",
  next: "put a group in (GROUP_SET_CONTAINER), and call SET_IOMMU, before any other call",
  holds: askedOfContainer(false),
};

const asksContainer = (id: string): Row => ({
  id,
  mistake: true,
  source: "drivers/vfio/container.c: vfio_fops_unl_ioctl",
  why: "the descriptor is a container's without an IOMMU, and this is no call on one",
  next: "make it on the descriptor of the group, as /dev/vfio/26",
  holds: askedOfContainer(false),
});

/** The driver of the container's IOMMU does not know the call. */
const notOfDriver: readonly Row[] = [
  {
    id: "not-of-type1",
    mistake: true,
    iommu: ["type1"],
    source: "drivers/vfio/vfio_iommu_type1.c: vfio_iommu_type1_ioctl",
    why: "type1, the container's IOMMU, has no such call",
    next: "ask by CHECK_EXTENSION what the container has",
    holds: askedOfContainer(true),
  },
  {
    id: "not-of-spapr",
    mistake: true,
    iommu: ["spapr"],
    source: "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_ioctl",
    why: "sPAPR TCE, the container's IOMMU, has no such call in the version that SET_IOMMU chose",
    next: "ask by CHECK_EXTENSION what the container has",
    holds: askedOfContainer(true),
  },
  {
    id: "not-without-iommu",
    mistake: true,
    iommu: ["noiommu"],
    source: "drivers/vfio/container.c: vfio_noiommu_ioctl",
    why: "a container without an IOMMU maps nothing, and knows CHECK_EXTENSION alone",
    next: "give the device physical addresses of memory that is locked",
    holds: askedOfContainer(true),
  },
];

const [notOfType1, notOfSpapr, notWithout] = notOfDriver as readonly [Row, Row, Row];

/** Which drivers do not know a call. */
function strangers(call: string): readonly Row[] {
  if ((MAP_CALLS as readonly string[]).includes(call)) return [notWithout];
  if (call === "VFIO_IOMMU_GET_INFO") return [notOfSpapr, notWithout];
  if (call === "VFIO_IOMMU_SPAPR_TCE_GET_INFO") return [notOfType1, notWithout];
  if (call === "VFIO_EEH_PE_OP") return [notOfType1, notWithout];
  // REGISTER has the number of type1's DIRTY_PAGES, and ENABLE and DISABLE are version 1's.
  if (call === "VFIO_IOMMU_SPAPR_REGISTER_MEMORY") return [notWithout];
  return call.endsWith("ABLE") ? notOfDriver : [notOfType1, notWithout];
}

export const descriptorCauses: readonly Cause[] = [
  ...CONTAINER_CALLS.flatMap((call) => othersOf(call, { ENOTTY: [asksGroup, asksDevice] })),
  ...DRIVER_CALLS.flatMap((call) =>
    othersOf(call, {
      ENOTTY: [asksGroup, ...strangers(call), asksDevice],
      ...(MAP_CALLS.some((one) => one === call) ? {} : { EINVAL: [noDriver] }),
    }),
  ),
  ...MAP_CALLS.flatMap((call) => othersOf(call, { EINVAL: [{ ...noDriver, iommu: ["noiommu"] }] })),
  ...othersOf("VFIO_IOMMU_MAP_DMA", {
    EINVAL: [
      {
        id: "asked-of-a-device",
        mistake: true,
        source: "drivers/vfio/pci/vfio_pci_core.c: vfio_pci_ioctl_pci_hot_reset_groups",
        why: "the descriptor is a device's, which takes the number of MAP_DMA for that of PCI_HOT_RESET",
        next: "make it on the descriptor of /dev/vfio/vfio",
        holds: askedOf("device"),
      },
    ],
  }),
  ...GROUP_CALLS.flatMap((call) =>
    othersOf(call, { EINVAL: [asksContainer("asked-of-a-container")], ENOTTY: [...notOfDriver, asksDevice] }),
  ),
  ...DEVICE_CALLS.flatMap((call) =>
    othersOf(call, {
      ENOTTY: [
        {
          id: "asked-of-another-file",
          mistake: true,
          source:
            "drivers/vfio/vfio_main.c: vfio_device_fops_unl_ioctl; drivers/vfio/group.c: vfio_group_fops_unl_ioctl; drivers/vfio/container.c: vfio_fops_unl_ioctl",
          why: "the descriptor is a container's or a group's, and this is a call on a device",
          next: "make it on the descriptor that GROUP_GET_DEVICE_FD gave",
          holds: (asked) => {
            const file = known(asked, "file");
            return file === undefined ? undefined : file === "container" || file === "group";
          },
        },
      ],
    }),
  ),
  ...othersOf("ioctl", {
    ENOTTY: [
      {
        id: "no-such-call",
        mistake: true,
        source: `drivers/vfio/vfio_main.c: vfio_device_fops_unl_ioctl; ${CORE}: vfio_pci_core_ioctl; drivers/vfio/group.c: vfio_group_fops_unl_ioctl; drivers/vfio/vfio_iommu_type1.c: vfio_iommu_type1_ioctl; drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_ioctl`,
        why: "the descriptor's file has no call of that number: it is none of VFIO's, another file's, or one that this kernel or this device does not have",
        next: "VFIO's numbers are _IO(';', 100 + n), 0x3b64 + n, and 0x20003b64 + n on POWER: take them from <linux/vfio.h>, and see which kernel runs (uname -r)",
      },
    ],
    EINVAL: [
      {
        ...asksContainer("asked-of-a-container"),
        why: "the descriptor is a container's without an IOMMU, which has no call of that number",
        next: "VFIO's numbers are _IO(';', 100 + n): take them from <linux/vfio.h>; call SET_IOMMU before what the IOMMU's driver answers",
      },
    ],
  }),
];
