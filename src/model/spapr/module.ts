import { IommuType } from "../../syscalls.ts";
import type { DriverModule } from "../driver-module.ts";
import { EINVAL } from "../errno.ts";
import { ModelUnknown } from "../errors.ts";
import type { LinuxRules } from "../linux-rules.ts";
import { SpaprDriver } from "./driver.ts";
import type { Platform } from "./platform.ts";

/** POWER, bare metal or an LPAR: vfio_iommu_spapr_tce, and on bare metal vfio_spapr_eeh, which gives it an extension more. */
export function spaprModule(platform: Platform, rules: LinuxRules): DriverModule {
  return {
    noIommu: false,
    checkExtension: (extension) => (platform.extensions.includes(extension) ? 1 : 0),
    open(type, _caller, reports) {
      if (type === IommuType.SPAPR_TCE) throw new ModelUnknown("SET_IOMMU to sPAPR TCE v1: only v2 is modelled");
      // EEH is an extension, and no driver: `tce_iommu_open`.
      return type === IommuType.SPAPR_TCE_V2 ? new SpaprDriver(platform, rules, reports) : EINVAL;
    },
  };
}
