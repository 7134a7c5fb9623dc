/** The real kernel and the model, asked the same at the same time: every answer is compared, byte by byte. */
import { openSync, readSync } from "node:fs";
import { errnoName } from "../../../src/errors.ts";
import { hex } from "../../../src/hex.ts";
import type { ModelKernel } from "../../../src/model/index.ts";
import { type Syscalls, VfioCall as Vfio, type VfioCall, vfioCallName } from "../../../src/syscalls.ts";

/** A descriptor of each. */
export interface Pair {
  readonly real: number;
  readonly model: number;
}

/** Where the two part, in words. */
export interface Difference {
  /** The calls so far. */
  readonly at: number;
  readonly call: string;
  readonly real: string;
  readonly model: string;
}

export class Twins {
  readonly real: Syscalls;
  readonly model: ModelKernel;
  readonly differences: Difference[] = [];
  /** Calls that were compared. */
  calls = 0;
  /** How often each call was answered how: `VFIO_IOMMU_MAP_DMA`, then `0` or `EINVAL`. */
  readonly answers = new Map<string, Map<string, number>>();
  readonly #realLocked = lockedReader();
  readonly #lockedBefore = this.#realLocked();

  constructor(real: Syscalls, model: ModelKernel) {
    this.real = real;
    this.model = model;
  }

  /** Both descriptors, or the errno. */
  open(path: string): Pair | number {
    const [real, model] = [this.real.open(path), this.model.open(path)];
    this.#compare(`open ${path}`, Math.min(real, 0), Math.min(model, 0));
    return real < 0 || model < 0 ? Math.min(real, model) : { real, model };
  }

  close({ real, model }: Pair): void {
    this.#compare("close", this.real.close(real), this.model.close(model));
  }

  ioctl({ real, model }: Pair, call: VfioCall, argument: number): number {
    const answer = this.real.ioctl(real, call, argument);
    this.#compare(`${vfioCallName(call)}(${argument})`, answer, this.model.ioctl(model, call, argument));
    return answer;
  }

  /** The struct is given to both as it is; gives the answer, and the bytes as the real kernel left them. */
  struct({ real, model }: Pair, call: VfioCall, bytes: Uint8Array): { answer: number; bytes: Uint8Array } {
    const [ofReal, ofModel] = [bytes.slice(), bytes.slice()];
    const answer = this.real.ioctlStruct(real, call, ofReal, 0);
    const same = this.model.ioctlStruct(model, call, ofModel, 0);
    this.#note(vfioCallName(call), answer);
    const asked = () => `${vfioCallName(call)} ${dump(bytes)}`;
    this.#compare(asked, answer, same, ofReal, ofModel);
    return { answer, bytes: ofReal };
  }

  /** How often the real kernel gave this answer to this call. */
  count(call: VfioCall, answer: string): number {
    return this.answers.get(vfioCallName(call))?.get(answer) ?? 0;
  }

  #note(call: string, answer: number): void {
    const word = wordOf(answer);
    const ofCall = this.answers.get(call) ?? new Map<string, number>();
    this.answers.set(call, ofCall.set(word, (ofCall.get(word) ?? 0) + 1));
  }

  setContainer(group: Pair, container: Pair): number {
    const ask = (kernel: Syscalls, on: number, fd: number) => {
      const struct = new Uint8Array(8);
      new DataView(struct.buffer).setInt32(0, fd, true);
      return kernel.ioctlStruct(on, Vfio.GROUP_SET_CONTAINER, struct, 0);
    };
    const answer = ask(this.real, group.real, container.real);
    this.#compare("VFIO_GROUP_SET_CONTAINER", answer, ask(this.model, group.model, container.model));
    return answer;
  }

  #compare(
    call: string | (() => string),
    real: number,
    model: number,
    ofReal?: Uint8Array,
    ofModel?: Uint8Array,
  ): void {
    const at = this.calls++;
    const [locked, modelLocked] = [
      this.#realLocked() - this.#lockedBefore,
      Number(this.model.lockedMemory().used >> 10n),
    ];
    const sameBytes = ofReal === undefined || ofModel === undefined || Buffer.compare(ofReal, ofModel) === 0;
    if (real === model && locked === modelLocked && sameBytes) return;
    const words = (answer: number, kib: number, bytes: Uint8Array | undefined) =>
      `${wordOf(answer)}, VmLck ${kib} KiB${bytes === undefined || sameBytes ? "" : `, ${dump(bytes)}`}`;
    this.differences.push({
      at,
      call: typeof call === "string" ? call : call(),
      real: words(real, locked, ofReal),
      model: words(model, modelLocked, ofModel),
    });
  }
}

function wordOf(answer: number): string {
  return answer < 0 ? errnoName(answer) : String(answer);
}

/** A struct as its 8-byte words: argsz and flags first. */
function dump(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const words: string[] = [];
  for (let at = 0; at + 8 <= bytes.length; at += 8) words.push(hex(view.getBigUint64(at, true)));
  return `[${words.join(" ")}]`;
}

/** VmLck of this process in KiB, read in one call: it is asked after every other one. */
function lockedReader(): () => number {
  const fd = openSync("/proc/self/status", "r");
  const bytes = Buffer.alloc(4096);
  return () => {
    const length = readSync(fd, bytes, 0, bytes.length, 0);
    const kib = bytes.toString("latin1", 0, length).match(/^VmLck:\s*(\d+) kB$/m)?.[1];
    if (kib === undefined) throw new Error("/proc/self/status says nothing of VmLck");
    return Number(kib);
  };
}
