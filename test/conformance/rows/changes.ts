/** Releases from which on Linux answers otherwise, where several rows are about the same change. */
import type { Change } from "../../../src/linux-version.ts";

/** sPAPR: UNMAP looks at all pages that it names, and not at the first alone. */
export const WHOLE_UNMAP: Change = ["7.3", "7.2.8", "6.12.113"];

/**
 * sPAPR: page shifts of 64 and more are refused before they are shifted by. It is a matter of how a kernel is built
 * (CONFIG_UBSAN_SHIFT), and Debian's newer ones are.
 */
export const SHIFT_CHECKED: Change = ["7.2"];

/** type1: what wraps at 2^64 is told apart. */
export const OVERFLOW: Change = ["6.18"];

/** type1: nesting is gone. */
export const NO_NESTING: Change = ["6.13"];

/** A container is told apart from other files. */
export const BAD_FILE: Change = ["6.2"];

/** type1: capabilities begin on multiples of 8. */
export const ALIGNED: Change = ["6.6"];

/** type1: vectors of MSI-X may be added while others are on; on POWER they may not. */
export const GROWS: Change = ["6.5"];
