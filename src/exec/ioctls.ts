import { ERRNO } from "../errno.ts";
import { ModelKernelOops, ModelUnknown } from "../model/index.ts";
import type { Supervision } from "../supervision.ts";
import { VfioCall } from "../syscalls.ts";
import { deviceFile } from "./device-file.ts";
import { fileKey, type ProgramEvent } from "./event.ts";
import type { GivenFile, GivenFiles } from "./given-files.ts";
import type { Program } from "./program.ts";
import { StructCopy } from "./struct-copy.ts";
import { distanceOf, ON_DEVICE, shapeOf } from "./structs.ts";

/** Where fields lie in the structs of `<linux/vfio.h>`. */
const Field = {
  FLAGS: 4,
  MAP_VADDR: 8,
  MAP_SIZE: 24,
  REGISTER_VADDR: 8,
  REGISTER_SIZE: 16,
  COUNT: 8,
  FILES: 12,
} as const;
const SetIrqs = { DATA_EVENTFD: 4, COUNT: 16 } as const;

/** A call of VFIO as the program made it. */
export interface ProgramCall {
  readonly program: Program;
  readonly file: GivenFile;
  readonly thread: number;
  /** Of the program, when it made the call. */
  readonly instruction: bigint;
  /** On the seam: a device's have 0x100 more. */
  readonly call: number;
  /** Where the call takes a number. */
  readonly argument: number;
  /** The struct as the program gave it: its bytes until the call is answered. */
  readonly struct: DataView | undefined;
}

/** Who looks at the calls: before the model has them, and with its answer. */
export interface CallWitness {
  asked(call: ProgramCall): void;
  answered(call: ProgramCall, answer: number): void;
  /** The model does not know, or knows that a kernel would crash. */
  notModelled(call: ProgramCall, why: string): void;
}

/** Makes the program's ioctls on the model. */
export class Ioctls {
  readonly #native: Supervision;
  readonly #files: GivenFiles;
  readonly #witness: CallWitness;
  readonly #copy: StructCopy;

  constructor(native: Supervision, files: GivenFiles, witness: CallWitness) {
    this.#native = native;
    this.#files = files;
    this.#witness = witness;
    this.#copy = new StructCopy(native);
  }

  /** Answers an ioctl on a file that the program was given. */
  answer(event: ProgramEvent, program: Program, file: GivenFile): void {
    const { id } = event;
    const distance = distanceOf(event.word(1));
    if (distance === undefined) {
      this.#native.execAnswer(id, -ERRNO.ENOTTY);
      return;
    }
    const call = file.kind === "device" ? distance + ON_DEVICE : distance;
    const isName = call === VfioCall.GROUP_GET_DEVICE_FD && file.kind === "group";
    const isStruct = isName || shapeOf(call) !== undefined;
    const hasStruct = isName ? this.#copy.takeName(event) : isStruct && this.#copy.take(event, call);
    // The number may be another process's by now: then what was read is not the program's.
    if (!this.#native.execIsWaiting(id)) return;
    const asked: ProgramCall = {
      program,
      file,
      thread: event.thread,
      instruction: event.instruction,
      call,
      argument: isStruct ? 0 : Math.min(event.word(2), 0xffff_ffff),
      struct: hasStruct ? this.#copy.view : undefined,
    };
    this.#witness.asked(asked);
    const fd = this.#files.fdOf(file, program);
    const answer = this.#make(asked, fd, isStruct);
    if (isName && answer >= 0) {
      this.#giveDevice(event, asked, answer);
      return;
    }
    const result = answer >= 0 && hasStruct && call !== VfioCall.GROUP_SET_CONTAINER ? this.#back(answer) : answer;
    // Before the program goes on: where it is, is still to be seen.
    this.#witness.answered(asked, result);
    this.#native.execAnswer(id, result);
  }

  #back(answer: number): number {
    const copied = this.#copy.giveBack();
    return copied < 0 ? copied : answer;
  }

  #make(asked: ProgramCall, fd: number, isStruct: boolean): number {
    const { program, call, argument, struct } = asked;
    try {
      if (!isStruct) return program.calls.ioctl(fd, call as VfioCall, argument);
      // A pointer that leads nowhere: the model is given none.
      if (struct === undefined) return program.calls.ioctl(fd, call as VfioCall, 0);
      const refused = this.#prepare(asked, struct);
      return refused ?? program.calls.ioctlStruct(fd, call as VfioCall, this.#copy.bytes, 0);
    } catch (error) {
      if (!(error instanceof ModelUnknown) && !(error instanceof ModelKernelOops)) throw error;
      this.#witness.notModelled(asked, error.message);
      return -ERRNO.EOPNOTSUPP;
    }
  }

  /** What has to be so before the model sees the call: memory that it knows, its own descriptors. An answer, where it cannot be. */
  #prepare({ program, file, call, thread }: ProgramCall, struct: DataView): number | undefined {
    switch (call) {
      case VfioCall.IOMMU_MAP_DMA:
        program.readLimit();
        program.memory.learn(struct.getBigUint64(Field.MAP_VADDR, true), struct.getBigUint64(Field.MAP_SIZE, true));
        return undefined;
      case VfioCall.IOMMU_SPAPR_REGISTER_MEMORY:
        program.readLimit();
        program.memory.learn(
          struct.getBigUint64(Field.REGISTER_VADDR, true),
          struct.getBigUint64(Field.REGISTER_SIZE, true),
        );
        return undefined;
      case VfioCall.IOMMU_SPAPR_TCE_CREATE:
        program.readLimit();
        return undefined;
      case VfioCall.GROUP_SET_CONTAINER:
        struct.setInt32(0, this.#modelFd(program, thread, struct.getInt32(0, true)), true);
        return undefined;
      case VfioCall.DEVICE_PCI_HOT_RESET: {
        const count = Math.min(struct.getUint32(Field.COUNT, true), 64);
        for (let at = Field.FILES; at < Field.FILES + 4 * count; at += 4) {
          struct.setInt32(at, this.#modelFd(program, thread, struct.getInt32(at, true)), true);
        }
        return undefined;
      }
      case VfioCall.DEVICE_SET_IRQS: {
        const isEvents = (struct.getUint32(Field.FLAGS, true) & SetIrqs.DATA_EVENTFD) !== 0;
        if (!isEvents || struct.getUint32(SetIrqs.COUNT, true) === 0) return undefined;
        throw new ModelUnknown(`interrupts of ${file.name} by an eventfd of the program's`);
      }
      default:
        return undefined;
    }
  }

  /** The model's descriptor for one of the program's: -1 where there is none. */
  #modelFd(program: Program, thread: number, fd: number): number {
    const leads = this.#native.execLeadsTo(`/proc/${thread}/fd/${fd}`);
    if (typeof leads === "number") return -1;
    const file = this.#files.find(fileKey(leads[0] ?? 0, leads[1] ?? 0));
    return file === undefined ? program.foreign : this.#files.fdOf(file, program);
  }

  #giveDevice(event: ProgramEvent, asked: ProgramCall, fd: number): void {
    const { program } = asked;
    const name = deviceNameIn(this.#copy.bytes);
    // Like the kernel's own: closed by exec. (`drivers/vfio/group.c: vfio_group_ioctl_get_device_fd`)
    const waiting = { id: event.id, flags: 0o2000000 };
    const given = this.#files.give(waiting, program, fd, { kind: "device", name, ...deviceFile(program, fd) });
    if (given < 0) {
      program.calls.close(fd);
      this.#native.execAnswer(event.id, given);
    }
    this.#witness.answered(asked, given);
  }
}

function deviceNameIn(bytes: Uint8Array): string {
  const text = new TextDecoder("latin1").decode(bytes.subarray(0, bytes.indexOf(0)));
  return text.split(" ")[0] ?? text;
}
