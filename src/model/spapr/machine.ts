import { IommuType } from "../../syscalls.ts";
import { EINVAL, ENODEV } from "../errno.ts";
import { ModelUnknown } from "../errors.ts";
import type { Watchers } from "../eyes/watch.ts";
import type { MachineKind } from "../machine-kind.ts";
import { SpaprDriver } from "./driver.ts";
import type { Platform } from "./platform.ts";

/** POWER, bare metal or an LPAR: the drivers vfio_iommu_spapr_tce and, on bare metal, vfio_spapr_eeh are loaded. */
export function spaprMachine(platform: Platform, watchers: Watchers): MachineKind {
  const knows = (extension: number) => platform.extensions.includes(extension);
  return {
    checkExtension: (extension) => (knows(extension) ? 1 : 0),
    groupPath: (group) => `/dev/vfio/${group}`,
    makeDriver(type) {
      if (!knows(type)) return ENODEV;
      if (type === IommuType.SPAPR_TCE) throw new ModelUnknown("SET_IOMMU to sPAPR TCE v1: only v2 is modelled");
      // EEH is an extension, and no driver: `tce_iommu_open`.
      if (type !== IommuType.SPAPR_TCE_V2) return EINVAL;
      return new SpaprDriver(platform, watchers);
    },
  };
}
