/** What a container does for a window of its own. */
import type { DmaWindowError } from "../errors.ts";
import type { Placing } from "./offset.ts";

export interface Keeper<Window> {
  /** The memories that are attached to the window. */
  attached(window: Window): readonly Placing[];
  /** Closes the heaps over the window's memory, whatever is live in them. */
  endHeaps(window: Window): void;
  /**
   * Ends what depends on the window and removes it from the kernel; gives an error where that went well and something stays locked
   * all the same.
   */
  remove(window: Window): DmaWindowError | undefined;
}
