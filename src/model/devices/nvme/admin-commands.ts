/** The admin command set, as far as it goes here. NVMe 1.4, 5. */
import { type Command, flagStatus } from "./command.ts";
import type { ControllerState } from "./controller-state.ts";
import { getFeature, setFeature } from "./feature-commands.ts";
import { identify } from "./identify.ts";
import { getLogPage } from "./log-pages.ts";
import {
  createCompletionQueue,
  createSubmissionQueue,
  deleteCompletionQueue,
  deleteSubmissionQueue,
} from "./queue-commands.ts";
import { Status } from "./status.ts";

/** Carries out a command: its status, or that it is held. */
type Work = (state: ControllerState, command: Command) => number;

const WORK: readonly (Work | undefined)[] = [
  deleteSubmissionQueue, // 00h
  createSubmissionQueue, // 01h
  getLogPage, // 02h
  undefined,
  deleteCompletionQueue, // 04h
  createCompletionQueue, // 05h
  identify, // 06h
  undefined,
  abort, // 08h
  setFeature, // 09h
  getFeature, // 0ah
  undefined,
  ({ events }, command) => events.request(command), // 0ch
];

export function adminCommand(state: ControllerState, command: Command): number {
  const work = WORK[command.opcode];
  if (work === undefined) return Status.INVALID_OPCODE;
  const status = flagStatus(command);
  return status === Status.SUCCESS ? work(state, command) : status;
}

/** The lowest bit of the result: the command was not aborted. */
const NOT_ABORTED = 1;

/** NVMe 1.4, 5.1. Only what was fetched, and waits, can be aborted. */
function abort({ queues }: ControllerState, command: Command): number {
  command.result = NOT_ABORTED;
  const queue = queues.submissions[command.dw10 & 0xffff];
  if (queue === undefined) return Status.INVALID_FIELD;
  if (queues.abort(queue, command.dw10 >>> 16)) command.result = 0;
  return Status.SUCCESS;
}
