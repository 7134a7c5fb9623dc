import type { ModelPciDevice } from "./plug.ts";

/**
 * The device of a group that nobody brought one for: it has a configuration space and nothing else: no registers, no interrupts. It moves
 * data all the same, when a test tells it to (`kernel.device(group)`), and then nobody asks whether it is open.
 */
export function unnamedDevice(): ModelPciDevice {
  return {
    facts: { vendor: 0x1234, device: 0, class: 0xff_0000, bars: [] },
    plug: () => ({ read: () => 0, write: () => undefined, reset: () => undefined }),
  };
}
