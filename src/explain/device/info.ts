/** What a device says of itself. */
import { type Cause, causesOf } from "../cause.ts";
import { CORE, kernelMemory, memoryOf, structUnknown, unplugged, wake } from "./common.ts";

export const infoCauses: readonly Cause[] = [
  ...causesOf("VFIO_DEVICE_GET_INFO", {
    EINVAL: [{ ...structUnknown, source: `${CORE}: vfio_pci_ioctl_get_info` }],
    EFAULT: [memoryOf(`${CORE}: vfio_pci_ioctl_get_info`)],
    EIO: [wake],
    ENODEV: [unplugged],
  }),
  ...causesOf("VFIO_DEVICE_GET_REGION_INFO", {
    EINVAL: [
      {
        id: "no-region",
        source: `${CORE}: vfio_pci_ioctl_get_region_info`,
        why: "the device has no region of that number",
        next: "take one of device.regions",
      },
      { ...structUnknown, source: `${CORE}: vfio_pci_ioctl_get_region_info` },
    ],
    EFAULT: [memoryOf(`${CORE}: vfio_pci_ioctl_get_region_info`)],
    EIO: [wake],
    ENODEV: [unplugged],
    ENOMEM: [kernelMemory],
  }),
  ...causesOf("VFIO_DEVICE_GET_IRQ_INFO", {
    EINVAL: [
      {
        id: "no-irq",
        source: `${CORE}: vfio_pci_ioctl_get_irq_info`,
        why: "the device has no interrupts of that kind",
        next: "take those of device.info.irqs",
      },
    ],
    EFAULT: [memoryOf(`${CORE}: vfio_pci_ioctl_get_irq_info`)],
    EIO: [wake],
    ENODEV: [unplugged],
  }),
  ...causesOf("VFIO_DEVICE_FEATURE", {
    ENOTTY: [
      {
        id: "not-known",
        source: `drivers/vfio/vfio_main.c: vfio_ioctl_device_feature; ${CORE}: vfio_pci_core_ioctl_feature`,
        why: "the device, or this kernel, has no such feature",
        next: "do without it",
      },
    ],
    EINVAL: [{ ...structUnknown, source: "drivers/vfio/vfio_main.c: vfio_ioctl_device_feature" }],
    EFAULT: [memoryOf("drivers/vfio/vfio_main.c: vfio_ioctl_device_feature")],
  }),
];
