/**
 * The names of calls and the fields of their structs, as a trace has them. The offsets are those of `<linux/vfio.h>`, read
 * as the kernel reads them: by the call's own struct, whatever the program thought that it was handing over.
 *
 *     offset             0       4       8               16              24              32              40
 *     GET_INFO           | argsz | rest ...
 *     MAP_DMA            | argsz | flags | vaddr         | iova          | size          |
 *     UNMAP_DMA          | argsz | flags | iova          | size          |
 *     (UN)REGISTER_...   | argsz | flags | vaddr         | size          |
 *     TCE_CREATE         | argsz | flags | shift | unused| size          | levels| unused| start         |
 *     TCE_REMOVE         | argsz | flags | start         |
 *     GROUP_GET_STATUS   | argsz | flags |
 *     GROUP_SET_CONTAINER| fd    |
 *     GROUP_GET_DEVICE_FD| a name that ends with a 0
 */
import { VfioCall } from "../syscalls.ts";

/** `address`: of memory, or what was taken for it. `iova`: also an address where the program made the two equal. */
export type FieldKind = "count" | "hex" | "address" | "iova" | "file";

export interface StructField {
  readonly name: string;
  readonly at: number;
  readonly bytes: 4 | 8;
  readonly kind: FieldKind;
  /** Left out when it is 0: the kernel does not read it. */
  readonly unread?: true;
}

export interface StructLayout {
  /** Where the fields end: what lies behind, up to `argsz`, is kept as `rest`. */
  readonly bytes: number;
  readonly fields: readonly StructField[];
}

const field = (name: string, at: number, bytes: 4 | 8, kind: FieldKind): StructField => ({ name, at, bytes, kind });
const unread = (name: string, at: number, bytes: 4 | 8, kind: FieldKind): StructField => ({
  ...field(name, at, bytes, kind),
  unread: true,
});

const argsz = field("argsz", 0, 4, "count");
const flags = field("flags", 4, 4, "count");
const nothing: StructLayout = { bytes: 0, fields: [] };

const registration: StructLayout = {
  bytes: 24,
  fields: [argsz, flags, field("vaddr", 8, 8, "address"), field("size", 16, 8, "hex")],
};

const layouts: ReadonlyMap<number, StructLayout> = new Map<number, StructLayout>([
  [VfioCall.GROUP_GET_STATUS, { bytes: 8, fields: [argsz, flags] }],
  [VfioCall.GROUP_SET_CONTAINER, { bytes: 4, fields: [field("container", 0, 4, "file")] }],
  // All but argsz is the kernel's to write.
  [VfioCall.IOMMU_SPAPR_TCE_GET_INFO, { bytes: 4, fields: [argsz] }],
  [
    VfioCall.IOMMU_MAP_DMA,
    {
      bytes: 32,
      fields: [
        argsz,
        flags,
        field("vaddr", 8, 8, "address"),
        field("iova", 16, 8, "iova"),
        field("size", 24, 8, "hex"),
      ],
    },
  ],
  [
    VfioCall.IOMMU_UNMAP_DMA,
    { bytes: 24, fields: [argsz, flags, field("iova", 8, 8, "iova"), field("size", 16, 8, "hex")] },
  ],
  [VfioCall.IOMMU_SPAPR_REGISTER_MEMORY, registration],
  [VfioCall.IOMMU_SPAPR_UNREGISTER_MEMORY, registration],
  [
    VfioCall.IOMMU_SPAPR_TCE_CREATE,
    {
      bytes: 40,
      fields: [
        argsz,
        flags,
        field("pageShift", 8, 4, "count"),
        unread("unused12", 12, 4, "count"),
        field("size", 16, 8, "hex"),
        field("levels", 24, 4, "count"),
        unread("unused28", 28, 4, "count"),
        unread("start", 32, 8, "hex"),
      ],
    },
  ],
  [VfioCall.IOMMU_SPAPR_TCE_REMOVE, { bytes: 16, fields: [argsz, flags, field("start", 8, 8, "hex")] }],
]);

/** Of a call that takes no struct: no fields. */
export function layoutOf(call: number): StructLayout {
  return layouts.get(call) ?? nothing;
}

/** Whether the first field of the call's struct says how many bytes it has. */
export function hasArgsz(layout: StructLayout): boolean {
  return layout.fields[0] === argsz;
}

/** GET_INFO is one call with two structs: its short name says neither's. */
const shortNames = new Map<number, string>(
  Object.entries(VfioCall).map(([name, call]) => [
    call,
    name.replace(/^(IOMMU_)?(SPAPR_)?/, "").replace(/^TCE_GET_INFO$/, "GET_INFO"),
  ]),
);
const numbers = new Map([...shortNames].map(([call, name]) => [name, call]));

/** `MAP_DMA`; `BASE+9` for a call that VFIO does not have on a container or a group. */
export function shortCallName(call: number): string {
  return shortNames.get(call) ?? `BASE+${call}`;
}

/** The call's distance from `VFIO_BASE`; `undefined` for a name that is none. */
export function callOfShortName(name: string): number | undefined {
  const other = /^BASE\+(0|[1-9]\d{0,9})$/.exec(name)?.[1];
  const call = numbers.get(name) ?? (other === undefined ? undefined : Number(other));
  return call !== undefined && call < 2 ** 32 ? call : undefined;
}
