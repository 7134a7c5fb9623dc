import { existsSync } from "node:fs";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { DmaWindowError } from "../../src/errors.ts";
import { linuxKernel } from "../../src/linux/index.ts";
import { builtIn } from "../../src/linux/place.ts";
import { prebuiltIn } from "../../src/linux/prebuilt.ts";
import { type NativeShim, shim, shimAvailable } from "../../src/linux/shim.ts";
import type { Syscalls } from "../../src/syscalls.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The shim's file, for programs that load it themselves: as the library chooses it, of those that are there. */
export const addon =
  process.env.DMA_WINDOW_SHIM || [builtIn(root), prebuiltIn(root) ?? ""].find(existsSync) || builtIn(root);

/** A negative errno by its name, as the shim returns it: the numbers are this machine's own. */
export function errno(name: keyof typeof constants.errno): number {
  return -constants.errno[name];
}

/**
 * Defines tests that need the native shim. Where it was not built there is still something to hold: `firstCall`, made on
 * a kernel that could be had, explains what to install.
 */
export function withShim(define: (shim: NativeShim) => void, call: string, firstCall: (kernel: Syscalls) => unknown) {
  if (shimAvailable()) {
    define(shim());
  } else {
    test(`without the shim linuxKernel() can be had, and ${call} says what to install`, () => {
      const kernel = linuxKernel();
      assert.throws(
        () => firstCall(kernel),
        (error: DmaWindowError) =>
          error.code === "ERR_SHIM_UNAVAILABLE" &&
          /(apt-get|apk|dnf) (install|add) |DMA_WINDOW_SHIM/.test(error.message),
      );
    });
  }
}

/** Asserts that the call throws an error of this class with the code that belongs to it, and that says `words`. */
export function refuses(call: () => unknown, kind: typeof TypeError | typeof RangeError, words: RegExp): void {
  const code = kind === TypeError ? "ERR_INVALID_ARG_TYPE" : "ERR_OUT_OF_RANGE";
  assert.throws(call, (error: Error & { code?: string }) => {
    assert.instance(error, kind);
    assert.is(error.code, code);
    assert.match(error.message, words);
    return true;
  });
}
