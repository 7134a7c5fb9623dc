/** I/O queues come and go. NVMe 1.4, 5.3 to 5.6. Of several mistakes the one counts that QEMU finds first. */
import type { Command } from "./command.ts";
import { CompletionQueue } from "./completion-queue.ts";
import type { ControllerState } from "./controller-state.ts";
import { Status } from "./status.ts";
import { SubmissionQueue } from "./submission-queue.ts";

/** The queue lies in one piece; the completion queue interrupts. */
const CONTIGUOUS = 1;
const INTERRUPTS = 2;

function asked({ dw10 }: Command): { readonly id: number; readonly entries: number } {
  return { id: dw10 & 0xffff, entries: (dw10 >>> 16) + 1 };
}

/** What both kinds of queue are asked, after their numbers: the size, and the place. */
function shapeOf({ settings, memory }: ControllerState, command: Command, sizeIsSet: boolean): number {
  const { entries } = asked(command);
  if (entries < 2 || entries > settings.maxQueueEntries || !sizeIsSet) return Status.INVALID_QUEUE_SIZE;
  if ((command.prp1Low & (memory.pageBytes - 1)) !== 0) return Status.INVALID_PRP_OFFSET;
  return Status.SUCCESS;
}

export function createCompletionQueue(state: ControllerState, command: Command): number {
  const { queues, settings } = state;
  const { id, entries } = asked(command);
  if (id === 0 || id > settings.queues || queues.completions[id] !== undefined) return Status.INVALID_QUEUE_ID;
  const status = shapeOf(state, command, state.entrySizes.completion);
  if (status !== Status.SUCCESS) return status;
  const vector = command.dw11 >>> 16;
  if (vector >= settings.vectors) return Status.INVALID_VECTOR;
  if ((command.dw11 & CONTIGUOUS) === 0) return Status.INVALID_FIELD;
  const interrupts = (command.dw11 & INTERRUPTS) !== 0;
  queues.completions[id] = new CompletionQueue(id, command.prp1, entries, vector, interrupts);
  return Status.SUCCESS;
}

export function createSubmissionQueue(state: ControllerState, command: Command): number {
  const { queues, settings } = state;
  const { id, entries } = asked(command);
  const target = command.dw11 >>> 16;
  const completions = target === 0 ? undefined : queues.completions[target];
  if (completions === undefined) return Status.INVALID_COMPLETION_QUEUE;
  if (id === 0 || id > settings.queues || queues.submissions[id] !== undefined) return Status.INVALID_QUEUE_ID;
  const status = shapeOf(state, command, state.entrySizes.submission);
  if (status !== Status.SUCCESS) return status;
  if ((command.dw11 & CONTIGUOUS) === 0) return Status.INVALID_FIELD;
  queues.add(new SubmissionQueue(id, command.prp1, entries, completions));
  return Status.SUCCESS;
}

export function deleteSubmissionQueue({ queues }: ControllerState, command: Command): number {
  const { id } = asked(command);
  const queue = id === 0 ? undefined : queues.submissions[id];
  if (queue === undefined) return Status.INVALID_QUEUE_ID;
  queues.deleteSubmission(queue);
  return Status.SUCCESS;
}

export function deleteCompletionQueue({ queues }: ControllerState, command: Command): number {
  const { id } = asked(command);
  const queue = id === 0 ? undefined : queues.completions[id];
  if (queue === undefined) return Status.INVALID_QUEUE_ID;
  if (queue.users > 0) return Status.QUEUE_STILL_USED;
  queues.deleteCompletion(queue);
  return Status.SUCCESS;
}
