/** Set Features and Get Features. NVMe 1.4, 5.15 and 5.21. */
import type { Command } from "./command.ts";
import type { ControllerState } from "./controller-state.ts";
import { Event } from "./events.ts";
import { Features, isTooWarm, SMART_TEMPERATURE } from "./features.ts";
import { EVERY_NAMESPACE } from "./opcodes.ts";
import { Status } from "./status.ts";

const Feature = {
  ARBITRATION: 1,
  POWER: 2,
  TEMPERATURE: 4,
  ERROR_RECOVERY: 5,
  WRITE_CACHE: 6,
  QUEUES: 7,
  COALESCING: 8,
  VECTOR: 9,
  ATOMICITY: 10,
  EVENTS: 11,
} as const;

const SAVE = 0x8000_0000;
const CURRENT = 0;
const DEFAULT = 1;
const SAVED = 2;
const SUPPORTED = 3;

/** What SUPPORTED answers; none can be saved. */
const OF_NAMESPACE = 2;
const CHANGEABLE = 4;

const CAPABILITIES: Readonly<Record<number, number>> = {
  [Feature.ARBITRATION]: CHANGEABLE,
  [Feature.POWER]: CHANGEABLE,
  [Feature.TEMPERATURE]: CHANGEABLE,
  [Feature.ERROR_RECOVERY]: CHANGEABLE | OF_NAMESPACE,
  [Feature.WRITE_CACHE]: CHANGEABLE,
  [Feature.QUEUES]: CHANGEABLE,
  [Feature.COALESCING]: 0,
  [Feature.VECTOR]: 0,
  [Feature.ATOMICITY]: 0,
  [Feature.EVENTS]: CHANGEABLE,
};

export function getFeature(state: ControllerState, command: Command): number {
  const feature = command.dw10 & 0xff;
  const select = (command.dw10 >>> 8) & 7;
  const capabilities = CAPABILITIES[feature];
  if (capabilities === undefined || select > SUPPORTED) return Status.INVALID_FIELD;
  if ((capabilities & OF_NAMESPACE) !== 0) {
    if (command.nsid === 0 || command.nsid > state.namespaceLimit) return Status.INVALID_NAMESPACE;
    if (state.namespaces[command.nsid] === undefined) return Status.INVALID_FIELD;
  }
  if (select === SUPPORTED) command.result = capabilities;
  if (select === CURRENT) return current(state, command, feature, state.features);
  if (select === DEFAULT || select === SAVED) return current(state, command, feature, new Features());
  return Status.SUCCESS;
}

function current(state: ControllerState, command: Command, feature: number, features: Features): number {
  switch (feature) {
    case Feature.ARBITRATION:
      command.result = features.arbitration;
      return Status.SUCCESS;
    case Feature.TEMPERATURE:
      return temperature(command, features);
    case Feature.ERROR_RECOVERY:
      command.result = features === state.features ? (state.namespaces[command.nsid]?.errorRecovery ?? 0) : 0;
      return Status.SUCCESS;
    case Feature.WRITE_CACHE:
      command.result = features.writeCache;
      return Status.SUCCESS;
    case Feature.QUEUES:
      command.result = queuesAllocated(state);
      return Status.SUCCESS;
    case Feature.VECTOR: {
      const vector = command.dw11 & 0xffff;
      if (vector >= state.settings.vectors) return Status.INVALID_FIELD;
      command.result = vector === ADMIN_VECTOR ? NOT_COALESCED : vector;
      return Status.SUCCESS;
    }
    case Feature.EVENTS:
      command.result = features.events;
      return Status.SUCCESS;
    default:
      return Status.SUCCESS; // power state 0, no coalescing, no limit of atomicity
  }
}

/** Of {@link Feature.VECTOR}: coalescing is off for it, as always for that of the admin queue. */
const NOT_COALESCED = 0x1_0000;
const ADMIN_VECTOR = 0;

export function setFeature(state: ControllerState, command: Command): number {
  const feature = command.dw10 & 0xff;
  const capabilities = CAPABILITIES[feature];
  if ((command.dw10 & SAVE) !== 0) return Status.NOT_SAVEABLE;
  if (capabilities === undefined) return Status.INVALID_FIELD;
  const { features, namespaces, namespaceLimit } = state;
  const { nsid } = command;
  if (nsid > namespaceLimit && nsid !== EVERY_NAMESPACE) return Status.INVALID_NAMESPACE;
  if ((capabilities & OF_NAMESPACE) !== 0) {
    if (nsid === 0) return Status.INVALID_NAMESPACE;
    if (nsid !== EVERY_NAMESPACE && namespaces[nsid] === undefined) return Status.INVALID_FIELD;
  } else if (nsid !== 0 && nsid !== EVERY_NAMESPACE) {
    return Status.NOT_OF_NAMESPACE;
  }
  if ((capabilities & CHANGEABLE) === 0) return Status.NOT_CHANGEABLE;
  switch (feature) {
    case Feature.ARBITRATION:
      features.arbitration = command.dw11;
      state.queues.burst = features.burst;
      return Status.SUCCESS;
    case Feature.POWER:
      return (command.dw11 & 31) === 0 ? Status.SUCCESS : Status.INVALID_FIELD; // there is one state
    case Feature.TEMPERATURE:
      return setTemperature(state, command);
    case Feature.ERROR_RECOVERY:
      return setErrorRecovery(state, command);
    case Feature.WRITE_CACHE:
      features.writeCache = command.dw11 & 1;
      return Status.SUCCESS;
    case Feature.QUEUES:
      return setQueues(state, command);
    default:
      features.events = command.dw11;
      return Status.SUCCESS;
  }
}

/** As many as there are, whatever was asked for: less one, submission queues in the low half. */
function queuesAllocated({ settings }: ControllerState): number {
  return (settings.queues - 1) | ((settings.queues - 1) << 16);
}

function setQueues(state: ControllerState, command: Command): number {
  const { submissions, completions } = state.queues;
  if ((command.dw11 & 0xffff) === 0xffff || command.dw11 >>> 16 === 0xffff) return Status.INVALID_FIELD;
  if ([...submissions.slice(1), ...completions.slice(1)].some((queue) => queue !== undefined)) {
    return Status.COMMAND_SEQUENCE_ERROR;
  }
  command.result = queuesAllocated(state);
  return Status.SUCCESS;
}

/** Which threshold, and of which sensor: 0 is the composite temperature, 15 all there are. */
function thresholdOf(dw11: number): { readonly sensor: number; readonly over: boolean; readonly under: boolean } {
  const kind = (dw11 >>> 20) & 3;
  return { sensor: (dw11 >>> 16) & 15, over: kind === 0, under: kind === 1 };
}

function temperature(command: Command, features: Features): number {
  const { sensor, over, under } = thresholdOf(command.dw11);
  if (sensor !== 0) return Status.SUCCESS; // such as are not there have 0
  if (!over && !under) return Status.INVALID_FIELD;
  command.result = over ? features.overTemperature : features.underTemperature;
  return Status.SUCCESS;
}

/** Too warm already, and the host wants to hear of it: an event. */
function setTemperature({ features, events }: ControllerState, { dw11 }: Command): number {
  const { sensor, over, under } = thresholdOf(dw11);
  if (!over && !under) return Status.INVALID_FIELD;
  if (sensor !== 0 && sensor !== 15) return Status.SUCCESS;
  if (over) features.overTemperature = dw11 & 0xffff;
  else features.underTemperature = dw11 & 0xffff;
  if (isTooWarm(features) && (features.events & SMART_TEMPERATURE) !== 0) events.report(Event.TEMPERATURE);
  return Status.SUCCESS;
}

function setErrorRecovery({ namespaces }: ControllerState, { nsid, dw11 }: Command): number {
  for (const namespace of namespaces) {
    if (namespace !== undefined && (nsid === EVERY_NAMESPACE || nsid === namespace.id)) namespace.errorRecovery = dw11;
  }
  return Status.SUCCESS;
}
