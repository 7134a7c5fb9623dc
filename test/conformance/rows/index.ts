import type { Section } from "../row.ts";
import { close } from "./close.ts";
import { create } from "./create.ts";
import { createPowernv } from "./create-powernv.ts";
import { createPseries } from "./create-pseries.ts";
import { deviceBars, deviceMaps } from "./device-bars.ts";
import { networkCard } from "./device-card.ts";
import { deviceConfig } from "./device-config.ts";
import { deviceFiles, deviceInfo, deviceIrqs, deviceRegions } from "./device-info.ts";
import { setIrqsBad, setIrqsMsix, setIrqsOthers } from "./device-irqs.ts";
import { behindPort, deviceOpen, deviceOthers, deviceReset, hotReset, unbind } from "./device-reset.ts";
import { devices } from "./devices.ts";
import { reach } from "./dma.ts";
import { eeh } from "./eeh.ts";
import { getInfo } from "./get-info.ts";
import { getStatus, secondGroup, setContainer, unsetContainer } from "./groups.ts";
import { limits } from "./limits.ts";
import { map, mapFirst, mapLarge } from "./map.ts";
import { noIommu } from "./noiommu.ts";
import { open } from "./open.ts";
import { processes } from "./processes.ts";
import { register } from "./register.ts";
import { remove } from "./remove.ts";
import { checkExtension, setIommu } from "./set-iommu.ts";
import { type1GetInfo } from "./type1-info.ts";
import { type1Life, type1Reach } from "./type1-life.ts";
import { type1Map } from "./type1-map.ts";
import { type1Unmap } from "./type1-unmap.ts";
import { unmap, unmapFirst } from "./unmap.ts";
import { unregister } from "./unregister.ts";

/** Every row there is, by call, in the order in which a program comes to them. */
export const sections: readonly Section[] = [
  open,
  getStatus,
  setContainer,
  secondGroup,
  unsetContainer,
  devices,
  checkExtension,
  setIommu,
  getInfo,
  register,
  unregister,
  mapFirst,
  map,
  mapLarge,
  unmapFirst,
  unmap,
  remove,
  create,
  createPowernv,
  createPseries,
  eeh,
  limits,
  processes,
  close,
  reach,
  type1GetInfo,
  type1Map,
  type1Unmap,
  type1Life,
  type1Reach,
  noIommu,
  deviceFiles,
  deviceOpen,
  deviceInfo,
  deviceRegions,
  deviceIrqs,
  deviceConfig,
  deviceBars,
  deviceMaps,
  setIrqsBad,
  setIrqsMsix,
  setIrqsOthers,
  deviceReset,
  hotReset,
  behindPort,
  deviceOthers,
  unbind,
  networkCard,
];
