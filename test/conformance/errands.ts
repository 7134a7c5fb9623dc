import { type Syscalls, VfioCall } from "../../src/syscalls.ts";
import { Rig } from "../model/rig.ts";
import type { Answer } from "./row.ts";
import { words } from "./words.ts";

/** A second process at work: it has the descriptors, and memory of its own. */
interface Errand {
  readonly rig: Rig;
  readonly page: bigint;
  /** A page of its own. */
  readonly va: bigint;
  readonly group: number;
}

/** What a second process can be sent to do. By name, because on a real kernel it is another program that runs. */
const table: Readonly<Record<string, (errand: Errand) => Answer | readonly Answer[]>> = {
  GET_INFO: ({ rig }) => rig.info(),
  REGISTER: ({ rig, va, page }) => rig.register(va, page),
  UNREGISTER: ({ rig, va, page }) => rig.unregister(va, page),
  "REGISTER, UNREGISTER": ({ rig, va, page }) => [rig.register(va, page), rig.unregister(va, page)],
  "REGISTER, MAP": ({ rig, va, page }) => [rig.register(va, page), rig.map(va, 0n, page)],
  MAP: ({ rig, va, page }) => rig.map(va, 0n, page),
  UNMAP: ({ rig, page }) => rig.unmap(0n, page),
  CREATE: ({ rig }) => rig.create(16, 2n ** 31n),
  REMOVE: ({ rig }) => rig.remove(0n),
  EEH_PE_OP: ({ rig }) => rig.kernel.ioctlStruct(rig.container, VfioCall.EEH_PE_OP, new Uint8Array(40), 0),
  UNSET_CONTAINER: ({ rig, group }) => rig.kernel.ioctl(group, VfioCall.GROUP_UNSET_CONTAINER, 0),
  "CHECK_EXTENSION 7": ({ rig }) => rig.kernel.ioctl(rig.container, VfioCall.CHECK_EXTENSION, 7),
  SET_IOMMU: ({ rig }) => rig.kernel.ioctl(rig.container, VfioCall.SET_IOMMU, 7),
  "close both": ({ rig, group }) => [rig.kernel.close(rig.container), rig.kernel.close(group)],
};

/** Does an errand in the process that `kernel` belongs to. */
export function errands(
  kernel: Syscalls,
  errand: string,
  descriptors: { readonly container: number; readonly group: number },
): string {
  const act = table[errand];
  if (act === undefined) throw new Error(`no such errand: ${errand}`);
  const rig = new Rig(kernel);
  rig.container = descriptors.container;
  const page = BigInt(kernel.pageSize);
  return words(act({ rig, page, va: rig.allocate(page), group: descriptors.group }));
}
