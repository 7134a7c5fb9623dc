/** The rivals in C as contenders. */
import type { Contender } from "../harness/rounds.ts";

/** What addon.c exports. `answer` is two u64: nanoseconds, and the sum of all results. */
export interface Addon {
  run(kernel: string, memory: Uint8Array, parameters: BigUint64Array, repeats: number, answer: BigUint64Array): void;
  /** The batch of ioctls whose entries lie at `table`, each with its struct in the same memory. */
  loopIoctls(
    fd: number,
    request: number,
    memory: Uint8Array,
    table: number,
    count: number,
    repeats: number,
    answer: BigUint64Array,
  ): void;
  /** Makes the kernel answer that ioctl with 0 in this thread, for good. 0 or a negative errno. */
  answerIoctls(request: number): number;
  /** VFIO_IOMMU_MAP_DMA as this machine numbers it. */
  vfioMapRequest(): number;
  /** Does nothing, whatever it is given. */
  nothing(...given: readonly unknown[]): undefined;
  /** Gives its second argument, a u32. */
  second(first: number, second: number): number;
  /** Whether a read of that file waits for something to read, from now on. 0 or a negative errno. */
  blockReads(fd: number, blocks: boolean): number;
}

/** The core's work in C, compiled for one kind of processor. */
export interface NativeRival {
  /** `C -O3 -march=native` */
  readonly name: string;
  readonly addon: Addon;
}

/** Work for a kernel of kernels.c. */
export interface KernelWork {
  readonly kernel: string;
  /** All of the core's memory, as it is when it is asked for. */
  readonly memory: () => Uint8Array;
  /** Up to 8: u64 each. */
  readonly parameters: readonly (bigint | number)[];
  /** The kernel's result, each time. */
  readonly expected: bigint;
  readonly spoil?: () => void;
  readonly verify?: () => void;
  /** Added to the rival's name, where there are several kernels for one work. */
  readonly how?: string;
}

export function inC({ name, addon }: NativeRival, work: KernelWork): Contender {
  const { kernel, memory, expected, spoil, verify, how } = work;
  const parameters = new BigUint64Array(8);
  work.parameters.forEach((parameter, i) => {
    parameters[i] = BigInt(parameter);
  });
  const answer = new BigUint64Array(2);
  const full = how === undefined ? name : `${name}, ${how}`;
  return {
    name: full,
    time: (repeats) => {
      spoil?.();
      addon.run(kernel, memory(), parameters, repeats, answer);
      const [took = 0n, sum = 0n] = answer;
      const right = BigInt.asUintN(64, expected * BigInt(repeats));
      if (sum !== right) throw new Error(`${full} (${kernel}) answered ${sum}, not ${right}`);
      verify?.();
      return Number(took);
    },
  };
}
