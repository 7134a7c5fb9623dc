import { EFAULT, EINVAL, ENODEV, ERANGE } from "../errno.ts";
import { ModelUnknown } from "../errors.ts";
import { EehPeOp, type Struct } from "../structs.ts";
import type { Platform } from "./platform.ts";

/** VFIO_EEH_PE_*. */
const Op = {
  DISABLE: 0,
  ENABLE: 1,
  UNFREEZE_IO: 2,
  UNFREEZE_DMA: 3,
  GET_STATE: 4,
  RESET_DEACTIVATE: 5,
  RESET_HOT: 6,
  RESET_FUNDAMENTAL: 7,
  CONFIGURE: 8,
  INJECT_ERR: 9,
};

/** The functions of an error that there are (`EEH_ERR_FUNC_MAX`), and its types. */
const LAST_FUNCTION = 19;
const LAST_TYPE = 1;

/**
 * EEH_PE_OP: one operation on each group in turn, the newest first, and the first answer that is not 0. In the model no error ever
 * stops a group, so all answer alike.
 *
 * Rules: `drivers/vfio/vfio_iommu_spapr_tce.c: vfio_spapr_ioctl_eeh_pe_op`, `arch/powerpc/kernel/eeh.c`.
 */
export function eehPeOp(struct: Struct | undefined, groups: number, { hasEeh }: Platform): number {
  if (groups === 0) return 0;
  // Whether a group has an endpoint is asked before the struct is looked at.
  if (!hasEeh) return ENODEV;
  if (struct === undefined) return EFAULT;
  struct.need(EehPeOp.FIXED_BYTES);
  if (struct.argsz < EehPeOp.FIXED_BYTES || struct.flags !== 0) return EINVAL;
  const op = struct.u32(EehPeOp.OP);
  switch (op) {
    case Op.DISABLE:
    case Op.ENABLE:
    case Op.UNFREEZE_IO:
    case Op.UNFREEZE_DMA:
    case Op.CONFIGURE:
    case Op.GET_STATE: // 0 is VFIO_EEH_PE_STATE_NORMAL
      return 0;
    case Op.RESET_DEACTIVATE:
    case Op.RESET_HOT:
    case Op.RESET_FUNDAMENTAL:
      throw new ModelUnknown(`EEH_PE_OP ${op}: a group that is being reset`);
    case Op.INJECT_ERR:
      return injectError(struct);
    default:
      return EINVAL;
  }
}

/** `eeh_pe_inject_err`, `arch/powerpc/platforms/powernv/eeh-powernv.c: pnv_eeh_err_inject`. */
function injectError(struct: Struct): number {
  if (struct.argsz < EehPeOp.BYTES) return EINVAL;
  struct.need(EehPeOp.BYTES);
  if (struct.u32(EehPeOp.FUNC) > LAST_FUNCTION) return EINVAL;
  if (struct.u32(EehPeOp.TYPE) > LAST_TYPE) return ERANGE;
  throw new ModelUnknown("EEH_PE_OP with an error to inject, which firmware may do");
}
