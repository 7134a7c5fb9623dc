import { TellingError } from "../errors.ts";

/**
 * The real kernel would have crashed here (an Oops: the process dies inside the call, with the kernel's locks held).
 * The model stops in the middle of the call as the kernel does; throw the model away.
 */
export class ModelKernelOops extends TellingError {
  override readonly name = "ModelKernelOops";
  readonly code = "ERR_MODEL_KERNEL_OOPS";
}

/** A process that has ended was asked to make a call. */
export class ModelProcessEnded extends TellingError {
  override readonly name = "ModelProcessEnded";
  readonly code = "ERR_MODEL_PROCESS_ENDED";

  constructor() {
    super("this process of the model has ended, and makes no calls any more: spawn() another");
  }
}

/**
 * Nobody has seen what the real kernel does here, so the model does not pretend to know. `situation` says what it was
 * asked; the way on is to run it on a real kernel and to teach the model the answer.
 */
export class ModelUnknown extends TellingError {
  override readonly name = "ModelUnknown";
  readonly code = "ERR_MODEL_UNKNOWN";
  readonly situation: string;

  constructor(situation: string) {
    super(`the model does not know what the kernel does here: ${situation}`);
    this.situation = situation;
  }
}
