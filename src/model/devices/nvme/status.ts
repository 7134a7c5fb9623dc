/**
 * What a completion says, as bits 15:1 of its last two bytes have it, so without the phase bit: the code in bits 7:0, its type in 10:8,
 * and "do not retry" (DNR) in bit 14. NVMe 1.4, 4.6.1; which of them carry DNR is the controller's to say, and here as QEMU says it.
 */
export const Status = {
  SUCCESS: 0,
  INVALID_OPCODE: 0x4001,
  INVALID_FIELD: 0x4002,
  /** It is part of two that are fused, which no command can be here. */
  FUSED: 0x0002,
  ID_CONFLICT: 0x4003,
  DATA_TRANSFER_ERROR: 0x0004,
  /** The same of a PRP list. */
  LIST_TRANSFER_ERROR: 0x4004,
  ABORT_REQUESTED: 0x0007,
  ABORTED_WITH_QUEUE: 0x0008,
  INVALID_NAMESPACE: 0x400b,
  COMMAND_SEQUENCE_ERROR: 0x400c,
  INVALID_PRP_OFFSET: 0x4013,
  LBA_OUT_OF_RANGE: 0x4080,
  INVALID_COMPLETION_QUEUE: 0x4100,
  INVALID_QUEUE_ID: 0x4101,
  INVALID_QUEUE_SIZE: 0x4102,
  TOO_MANY_EVENT_REQUESTS: 0x0105,
  INVALID_VECTOR: 0x4108,
  INVALID_LOG_PAGE: 0x4109,
  QUEUE_STILL_USED: 0x010c,
  NOT_SAVEABLE: 0x410d,
  NOT_CHANGEABLE: 0x410e,
  NOT_OF_NAMESPACE: 0x410f,
  COMPARE_FAILURE: 0x0285,
} as const;

/** Instead of a status: the command is not done. It is completed later, or goes with its queue. */
export const HELD = -1;
