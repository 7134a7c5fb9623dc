import { EINVAL, ENOTTY } from "../errno.ts";
import { ModelUnknown } from "../errors.ts";
import type { Struct } from "../structs.ts";
import type { PciMachine } from "./pci-machine.ts";

/** `struct vfio_device_feature`: argsz, flags, and behind them what the feature says. */
const BYTES = 8;
const FEATURE = 0xffff;
const GET = 0x1_0000;
const SET = 0x2_0000;
const PROBE = 0x4_0000;

/** `VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY`, with a wakeup, and `_EXIT`: what a device can be told to, and nothing to ask of it. */
const LOW_POWER: readonly number[] = [3, 4, 5];

/**
 * DEVICE_FEATURE. What else there is belongs to devices that can be migrated or have virtual functions.
 *
 * Rules: `drivers/vfio/vfio_main.c: vfio_ioctl_device_feature`, `include/linux/vfio.h: vfio_check_feature`.
 */
export function deviceFeature(struct: Struct, { hasLowPower }: PciMachine): number {
  struct.need(BYTES);
  const { argsz, flags } = struct;
  if (argsz < BYTES || (flags & ~(FEATURE | GET | SET | PROBE)) !== 0) return EINVAL;
  const isProbe = (flags & PROBE) !== 0;
  const asked = flags & (GET | SET);
  if (!isProbe && asked === (GET | SET)) return EINVAL;
  const feature = flags & FEATURE;
  if (!hasLowPower || !LOW_POWER.includes(feature)) return ENOTTY;
  if ((asked & GET) !== 0) return EINVAL;
  if (isProbe) return 0;
  if (asked === 0) return EINVAL;
  throw new ModelUnknown(`DEVICE_FEATURE ${feature}: a device in low power`);
}
