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
 *     DEVICE_GET_INFO    | argsz | rest ...
 *     ..._REGION_INFO    | argsz | unread| index | rest ...
 *     ..._IRQ_INFO       | argsz | unread| index | rest ...
 *     DEVICE_SET_IRQS    | argsz | flags | index | start | count | count eventfds, or bytes, or nothing: the flags say
 *     ..._HOT_RESET_INFO | argsz | rest ...
 *     ..._PCI_HOT_RESET  | argsz | flags | count | count descriptors of groups
 *     DEVICE_FEATURE     | argsz | flags | rest ...
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
  /** Descriptors behind the fields, 4 bytes each: as many as the last field says. */
  readonly files?: FileList;
}

export interface FileList {
  readonly name: string;
  /** Only where this bit is in `flags`; otherwise other data are there. */
  readonly flag?: number;
}

/** The descriptors behind a struct with these fields: what they are called, and how many; `undefined` where there are none. */
export function filesOf(
  { fields, files }: StructLayout,
  value: (field: StructField) => bigint,
): { readonly name: string; readonly count: number } | undefined {
  const last = fields.at(-1);
  if (files === undefined || last === undefined) return undefined;
  const hasFlag = files.flag === undefined || (value(flags) & BigInt(files.flag)) !== 0n;
  return hasFlag ? { name: files.name, count: Math.min(Number(value(last)), FILES_MAX) } : undefined; // 32 bits
}

/** More than the vectors of any device, MSI-X having 2048 at most. */
export const FILES_MAX = 4096;

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

/** Of what a region or a kind of interrupt is. */
const question: StructLayout = {
  bytes: 12,
  fields: [argsz, unread("unused4", 4, 4, "count"), field("index", 8, 4, "count")],
};

/** Of `flags` of SET_IRQS: what lies behind count. */
const IRQ_SET_DATA_EVENTFD = 4;

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
  [VfioCall.DEVICE_GET_INFO, { bytes: 4, fields: [argsz] }],
  [VfioCall.DEVICE_GET_REGION_INFO, question],
  [VfioCall.DEVICE_GET_IRQ_INFO, question],
  [
    VfioCall.DEVICE_SET_IRQS,
    {
      bytes: 20,
      fields: [
        argsz,
        flags,
        field("index", 8, 4, "count"),
        field("start", 12, 4, "count"),
        field("count", 16, 4, "count"),
      ],
      files: { name: "eventfds", flag: IRQ_SET_DATA_EVENTFD },
    },
  ],
  [VfioCall.DEVICE_GET_PCI_HOT_RESET_INFO, { bytes: 4, fields: [argsz] }],
  [
    VfioCall.DEVICE_PCI_HOT_RESET,
    { bytes: 12, fields: [argsz, flags, field("count", 8, 4, "count")], files: { name: "groups" } },
  ],
  [VfioCall.DEVICE_FEATURE, { bytes: 8, fields: [argsz, flags] }],
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

/** `MAP_DMA`; `BASE+9` for a call that VFIO does not have. */
export function shortCallName(call: number): string {
  return shortNames.get(call) ?? `BASE+${call}`;
}

/** The call's distance from `VFIO_BASE`; `undefined` for a name that is none. */
export function callOfShortName(name: string): number | undefined {
  const other = /^BASE\+(0|[1-9]\d{0,9})$/.exec(name)?.[1];
  const call = numbers.get(name) ?? (other === undefined ? undefined : Number(other));
  return call !== undefined && call < 2 ** 32 ? call : undefined;
}
