/** Who hears of an eventfd: by its number in the shim, which has one thread that waits for all of them. */
import type { Listening } from "../syscalls.ts";
import type { NativeShim } from "./shim.ts";

/** What is needed of the shim. */
type Events = Pick<NativeShim, "listen" | "endListening" | "holdLoop">;

/** As `Syscalls.listen`. -EINVAL for a descriptor that is no eventfd, or may block. */
export function listen(shim: Events, fd: number, listener: (count: number) => void): Listening | number {
  const number = shim.listen(fd, listener);
  return number < 0 ? number : new LinuxListening(shim, number);
}

class LinuxListening implements Listening {
  readonly #shim: Events;
  readonly #number: number;

  constructor(shim: Events, number: number) {
    this.#shim = shim;
    this.#number = number;
  }

  ref(): void {
    this.#shim.holdLoop(this.#number, 1);
  }

  unref(): void {
    this.#shim.holdLoop(this.#number, 0);
  }

  end(): void {
    this.#shim.endListening(this.#number);
  }
}
