/** `madvise`, by which pages are made present before anybody touches them. */
import { type Cause, causesOf } from "../cause.ts";
import { cgroupCause, outOfMemory, poolCause, sealed } from "./common.ts";

export const madviseCauses: readonly Cause[] = causesOf("madvise", {
  EFAULT: [
    poolCause,
    cgroupCause,
    {
      id: "no-page",
      source: "mm/madvise.c: madvise_populate; mm/gup.c: faultin_page_range",
      why: "a page could not be had, where touching it would have been a SIGBUS",
      next: "ask for fewer, and see the limits on memory",
    },
  ],
  ENOMEM: [
    poolCause,
    cgroupCause,
    { ...outOfMemory, source: "mm/madvise.c: madvise_populate" },
    {
      id: "not-mapped",
      source: "mm/madvise.c: madvise_populate",
      why: "not all of the range is mapped",
      next: "let nobody unmap memory that is not theirs",
    },
  ],
  EINVAL: [
    {
      id: "too-old",
      before: "5.14",
      source: "mm/madvise.c: madvise_behavior_valid",
      why: "the kernel does not know MADV_POPULATE_WRITE",
      next: "populate by mmap, or by touching the pages",
    },
    {
      id: "not-writable",
      source: "mm/madvise.c: madvise_populate",
      why: "the memory is not writable, or is memory of a device",
      next: "populate memory that is mapped readable and writable",
    },
  ],
  EHWPOISON: [
    {
      id: "broken-page",
      source: "mm/madvise.c: madvise_populate",
      why: "a page is broken (a memory error of the hardware)",
      next: "see the kernel's log, and take the page out of the pool",
    },
  ],
  EPERM: [sealed],
});
