// @ts-check
/** What the driver throws and rejects with. `code` is for programs; the message says what happened, and what to do next. */
export class NvmeError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {{ status?: number, facts?: Record<string, unknown>, cause?: unknown }} [options] `status`: the field of the completion, without
   * its phase bit.
   */
  constructor(code, message, options = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.name = "NvmeError";
    this.code = code;
    if (options.status !== undefined) this.status = options.status;
    if (options.facts !== undefined) this.facts = options.facts;
  }
}

/** @param {unknown} error */
export const wordsOf = (error) => (error instanceof Error ? error.message : String(error));
