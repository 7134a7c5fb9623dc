/** `munmap`: pages that go back. */
import { type Cause, causesOf } from "../cause.ts";
import { mapCountCause, outOfMemory, sealed } from "./common.ts";

export const munmapCauses: readonly Cause[] = causesOf("munmap", {
  EINVAL: [
    {
      id: "cut",
      source: "mm/hugetlb.c: hugetlb_vm_op_split; mm/mmap.c: __vm_munmap",
      why: "a hugepage would be cut, or the range is no range of this process",
      next: "unmap whole pages of the size that is mapped there",
    },
  ],
  ENOMEM: [
    { ...mapCountCause, next: "unmap larger ones, or raise /proc/sys/vm/max_map_count" },
    { ...outOfMemory, why: "the kernel has no memory for its record of what stays" },
  ],
  EPERM: [sealed],
});
