import { IommuType } from "../../syscalls.ts";
import type { DriverModule } from "../driver-module.ts";
import { EINVAL } from "../errno.ts";
import { ModelUnknown } from "../errors.ts";
import { PAGE_BYTES } from "../pages.ts";
import { Type1Driver } from "./driver.ts";
import type { Type1Settings } from "./settings.ts";
import { unmapFlags } from "./unmap.ts";

/** VFIO_TYPE1_NESTING_IOMMU, VFIO_UNMAP_ALL, VFIO_UPDATE_VADDR. */
const NESTING = 6;
const UNMAP_ALL = 9;
const UPDATE_VADDR = 10;

/** x86 and Arm: vfio_iommu_type1. Rules: `vfio_iommu_type1_check_extension, vfio_iommu_type1_open`. */
export function type1Module(settings: Type1Settings, pageSize: number): DriverModule {
  const { iommuVersion, rules: linux } = settings;
  const types: number[] = iommuVersion === 1 ? [IommuType.TYPE1] : [IommuType.TYPE1, IommuType.TYPE1v2];
  if (iommuVersion === 2 && !linux.forgotNesting) types.push(NESTING);
  const extensions = linux.takesUnmapFlags ? [...types, UNMAP_ALL] : types;
  // Only a container that has the driver says so. It does not say VFIO_DMA_CC_IOMMU, 4: no snoop control, as in QEMU's VT-d.
  const withDriver = linux.takesUnmapFlags ? [...extensions, UPDATE_VADDR] : extensions;
  return {
    noIommu: false,
    checkExtension: (extension) => (extensions.includes(extension) ? 1 : 0),
    open(type, _caller, reports) {
      if (type === NESTING && pageSize !== PAGE_BYTES) throw new ModelUnknown("SET_IOMMU to nested type1 on an SMMU");
      // UNMAP_ALL is an extension, and no type; VT-d does not do nesting.
      if (type !== IommuType.TYPE1 && type !== IommuType.TYPE1v2) return EINVAL;
      const version = type === IommuType.TYPE1 ? 1 : 2;
      const rules = { version, linux, known: unmapFlags(linux), pageUnit: pageSize / PAGE_BYTES } as const;
      return new Type1Driver(settings, rules, withDriver, reports);
    },
  };
}
