/** All causes, in one table: what a message tells, and what documents and commands can be made from. */
import type { Cause } from "./cause.ts";
import { containerCauses } from "./container.ts";
import { groupCauses } from "./group.ts";
import { memoryCauses } from "./memory.ts";
import { openCauses } from "./open.ts";
import { spaprCauses } from "./spapr.ts";
import { type1Causes } from "./type1.ts";

export const causes: readonly Cause[] = [
  ...openCauses,
  ...groupCauses,
  ...containerCauses,
  ...type1Causes,
  ...spaprCauses,
  ...memoryCauses,
];
