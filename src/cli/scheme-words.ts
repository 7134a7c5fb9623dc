/** What is said of the schemes that are compared. */

/** What this library's way is called beside the other one: a window is a window of the kernel's on sPAPR alone. */
export const SCHEMES = { spapr: "static window", type1: "static range", noiommu: "physical IOVAs" } as const;

/** Why there is no scheme to compare with, in lines. */
export const WHY_ALONE = {
  type1: [
    "type1 has no windows that are made and removed, so the scheme that replaces a window by",
    "a larger one does not exist there.",
  ],
  noiommu: [
    "without an IOMMU the kernel maps and unmaps nothing, so no",
    "call takes anything from under a device, and there is no window to replace.",
  ],
} as const;
