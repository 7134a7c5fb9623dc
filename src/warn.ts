/** What is no error, and a program's user has to hear: a warning of the process, with a `code`. */

/** Where there is no process, as in a browser, nobody hears. */
export function warn(code: string, message: string): void {
  globalThis.process?.emitWarning?.(message, { type: "DmaWindowWarning", code });
}
