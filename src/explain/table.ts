/** All causes, in one table: what a message tells, and what documents and commands can be made from. */
import { descriptorCauses } from "./arguments/descriptors.ts";
import { deviceArguments } from "./arguments/devices.ts";
import { eehArguments } from "./arguments/eeh.ts";
import { groupArguments } from "./arguments/groups.ts";
import { spaprMapArguments } from "./arguments/spapr-maps.ts";
import { spaprMemoryArguments } from "./arguments/spapr-memory.ts";
import { spaprWindowArguments } from "./arguments/spapr-windows.ts";
import { successCauses } from "./arguments/success.ts";
import { surroundingCauses } from "./arguments/surroundings.ts";
import { type1Arguments } from "./arguments/type1.ts";
import type { Cause } from "./cause.ts";
import { containerCauses } from "./container.ts";
import { infoCauses } from "./device/info.ts";
import { interruptCauses } from "./device/interrupts.ts";
import { regionCauses } from "./device/regions.ts";
import { resetCauses } from "./device/reset.ts";
import { groupCauses } from "./group.ts";
import { madviseCauses } from "./memory/madvise.ts";
import { mbindCauses } from "./memory/mbind.ts";
import { mmapCauses } from "./memory/mmap.ts";
import { munmapCauses } from "./memory/munmap.ts";
import { openCauses } from "./open.ts";
import { eehCauses } from "./spapr/eeh.ts";
import { mapCauses } from "./spapr/maps.ts";
import { registrationCauses } from "./spapr/registrations.ts";
import { version1Causes } from "./spapr/version1.ts";
import { windowCauses } from "./spapr/windows.ts";
import { type1Causes } from "./type1.ts";

export const causes: readonly Cause[] = [
  ...openCauses,
  ...groupCauses,
  ...infoCauses,
  ...interruptCauses,
  ...resetCauses,
  ...regionCauses,
  ...containerCauses,
  ...type1Causes,
  ...windowCauses,
  ...registrationCauses,
  ...mapCauses,
  ...eehCauses,
  ...version1Causes,
  ...mmapCauses,
  ...munmapCauses,
  ...madviseCauses,
  ...mbindCauses,
  ...groupArguments,
  ...type1Arguments,
  ...spaprWindowArguments,
  ...spaprMemoryArguments,
  ...spaprMapArguments,
  ...eehArguments,
  ...deviceArguments,
  ...descriptorCauses,
  ...successCauses,
  ...surroundingCauses,
];
