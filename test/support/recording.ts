/** A kernel that remembers what it was asked, with the fields of the structs, read by offset as the kernel reads them. */
import type { Syscalls } from "../../src/syscalls.ts";
import { type Passing, Through } from "../../src/through.ts";

/** The call's name without its prefix (`MAP_DMA`), and its arguments. `answer` is what the kernel said. */
export interface Recorded {
  readonly call: string;
  readonly answer: number | bigint;
  readonly [field: string]: unknown;
}

export class RecordingSyscalls extends Through {
  readonly calls: Recorded[] = [];

  /** The calls since the last time; and forgets them. */
  take(): Recorded[] {
    return this.calls.splice(0);
  }

  /** Their names alone. */
  takeNames(): string[] {
    return this.take().map(({ call }) => call);
  }

  protected pass<R extends number | bigint>(call: Passing, make: () => R): R {
    const fields = fieldsOf(call); // before the kernel writes into the struct
    const answer = make();
    this.calls.push({ call: shortName(call.name), ...fields, answer });
    return answer;
  }
}

export function recording(kernel: Syscalls): RecordingSyscalls {
  return new RecordingSyscalls(kernel);
}

function shortName(name: string): string {
  return name.replace(/^VFIO_(IOMMU_)?(SPAPR_)?/, "");
}

function fieldsOf(call: Passing): Record<string, unknown> {
  const { fd, path, argument, memory, at, va, length, protection } = call;
  if (memory === undefined || at === undefined) {
    const plain = { fd, path, argument, va, length, protection };
    return Object.fromEntries(Object.entries(plain).filter(([, value]) => value !== undefined));
  }
  const view = new DataView(memory.buffer, memory.byteOffset + at);
  const u32 = (offset: number) => view.getUint32(offset, true);
  const u64 = (offset: number) => view.getBigUint64(offset, true);
  const head = { fd, argsz: u32(0), flags: u32(4) };
  switch (shortName(call.name)) {
    case "MAP_DMA":
      return { ...head, va: u64(8), iova: u64(16), size: u64(24) };
    case "UNMAP_DMA":
      return { ...head, iova: u64(8), size: u64(16) };
    case "REGISTER_MEMORY":
    case "UNREGISTER_MEMORY":
      return { ...head, va: u64(8), size: u64(16) };
    case "TCE_CREATE":
      return { ...head, pageShift: u32(8), size: u64(16), levels: u32(24) };
    case "TCE_REMOVE":
      return { ...head, start: u64(8) };
    case "GROUP_SET_CONTAINER":
      return { fd, container: u32(0) };
    default:
      return head;
  }
}
