/**
 * What the calls of a trace have made of the process, its containers and its memory, so far: kept call by call. The model knows all of
 * it; here only what the trace shows is known, whoever recorded it, on whatever kernel. facts.ts asks it where a call failed.
 */
import type { Known, Range } from "../explain/facts.ts";
import { IommuType, VfioCall } from "../syscalls.ts";
import { callOfShortName } from "../trace/calls.ts";
import type { TraceCall, TraceHeader } from "../trace/index.ts";
import { Spans } from "../trace/spans.ts";
import {
  closed,
  isSpapr,
  isType1,
  leave,
  newContainer,
  newDevice,
  type TracedContainer,
  type TracedFile,
  type TracedGroup,
} from "./files.ts";
import { TracedMemory } from "./memory.ts";
import { operandsOf } from "./operands.ts";

type Platform = Known["platform"];

/** The default window's TCEs are of 4 KiB. */
const DEFAULT_SHIFT = 12;

const [EVENTFD, TRIGGER, INTX_TO_MSIX] = [4, 32, 2] as const;
const [UNMAP_ALL, UNMAP_VADDR] = [2n, 4n] as const;

export class History {
  readonly header: TraceHeader;
  readonly memory: TracedMemory;
  /** What descriptors lead to, or did: by their names in the trace. */
  readonly files = new Map<unknown, TracedFile>();
  readonly containers = new Set<TracedContainer>();
  /** Registrations that were ended while their memory was mapped. */
  readonly zombies = new Spans<Range>();
  /** Which memory is mapped, by its address: on sPAPR it stays locked when it is unregistered so. */
  readonly #mapped = new Spans<true>();
  #locked: bigint | undefined;
  #platform: Platform | undefined;

  constructor(header: TraceHeader) {
    this.header = header;
    this.memory = new TracedMemory(header.pageSize);
    this.#locked = header.lockedMemory.used;
  }

  /** How much of the process's memory is locked; `undefined` once something was charged whose size the trace does not show. */
  get locked(): bigint | undefined {
    return this.#locked;
  }

  /** What the machine was, as far as the calls have shown it. */
  get platform(): Platform | undefined {
    return this.#platform;
  }

  /** The container that a call is about: its own descriptor, or that of its group or device. */
  containerOf({ fields }: TraceCall): TracedContainer | undefined {
    const file = this.files.get(fields.fd);
    if (file?.kind === "container") return file;
    if (file?.kind === "group") return file.container;
    return file?.kind === "device" ? file.group?.container : undefined;
  }

  /** Notes what a call has done. */
  add(call: TraceCall): void {
    const { fields, answer } = call;
    switch (call.call) {
      case "open":
        this.#opened(call);
        return;
      case "eventfd":
        if (typeof answer === "string" && answer.startsWith("f"))
          this.files.set(answer, { kind: "eventfd", isOpen: true });
        return;
      case "close": {
        const file = this.files.get(fields.fd);
        if (answer === 0 && file?.isOpen) closed(file, (group) => this.#leave(group));
        return;
      }
      case "mmap":
        this.memory.mmapped(call);
        return;
      case "munmap":
        if (answer === 0) this.memory.munmapped(fields.address, fields.length);
        return;
      case "lockedMemory":
        this.#locked = this.header.lockedMemory.used + signed(String(fields.used));
        return;
      default:
        this.#ioctl(call);
    }
  }

  #opened({ fields, answer }: TraceCall): void {
    if (typeof answer !== "string" || !answer.startsWith("f")) return;
    const path = String(fields.path);
    if (path === "/dev/vfio/vfio") {
      const container = newContainer();
      this.containers.add(container);
      this.files.set(answer, container);
    } else if (path.startsWith("/dev/vfio/")) {
      this.files.set(answer, { kind: "group", isOpen: true, path, container: undefined, devices: 0 });
    } else {
      this.files.set(answer, { kind: "other", isOpen: true });
    }
  }

  #ioctl(call: TraceCall): void {
    const number = callOfShortName(call.call);
    const file = this.files.get(call.fields.fd);
    if (file?.kind === "container") this.#onContainer(number, file, call);
    if (call.answer === 0 && file?.kind === "group") {
      const other = this.files.get(call.fields.container);
      if (number === VfioCall.GROUP_SET_CONTAINER && other?.kind === "container") {
        file.container = other;
        other.groups.add(file);
      }
      if (number === VfioCall.GROUP_UNSET_CONTAINER) this.#leave(file);
    }
    if (number === VfioCall.GROUP_GET_DEVICE_FD && file?.kind === "group" && typeof call.answer === "string") {
      if (!call.answer.startsWith("f")) return;
      file.devices++;
      this.files.set(call.answer, newDevice(file));
    }
    if (number === VfioCall.DEVICE_SET_IRQS && file?.kind === "device" && call.answer === 0) {
      const { flags, index, count } = call.fields as Record<string, number>;
      if (((flags ?? 0) & TRIGGER) === 0 || (index ?? 3) > INTX_TO_MSIX) return;
      const { start = 0 } = call.fields as Record<string, number>;
      if (((flags ?? 0) & EVENTFD) !== 0) {
        file.vectorsOn = Math.max(file.interrupts === undefined ? 0 : file.vectorsOn, start + (count ?? 0));
        file.interrupts = index;
      } else if (count === 0) file.interrupts = undefined;
    }
    if (number === VfioCall.DEVICE_GET_IRQ_INFO && file?.kind === "device" && typeof call.out?.count === "number") {
      file.vectors.set(Number(call.fields.index), call.out.count);
    }
  }

  /** On PowerNV every TCE of the container is cleared when a group leaves; elsewhere all goes with the last one. */
  #leave(group: TracedGroup): void {
    const { container } = group;
    if (container !== undefined && (isSpapr(container) || container.groups.size === 1)) {
      this.#unmap(container, 0n, 1n << 64n);
    }
    leave(group);
  }

  #onContainer(number: number | undefined, container: TracedContainer, call: TraceCall): void {
    const { answer, fields, out } = call;
    const operands = operandsOf(call, this.memory) as Record<string, bigint | undefined>;
    if (number === VfioCall.SET_IOMMU && answer === 0) {
      container.type = Number(fields.argument);
      this.#platform ??= isType1(container) ? "type1" : container.type === IommuType.NOIOMMU ? "noiommu" : undefined;
    }
    if (number === VfioCall.IOMMU_SPAPR_TCE_GET_INFO && answer === 0) this.#info(container, out ?? {});
    if (isSpapr(container)) this.#onSpapr(number, container, answer, operands, out);
    if (isType1(container) && answer === 0) this.#onType1(number, container, operands, out);
  }

  #info(container: TracedContainer, out: Readonly<Record<string, unknown>>): void {
    if (typeof out.pageSizes === "string") container.pageSizes = BigInt(out.pageSizes);
    if (typeof out.levels === "number") {
      container.levels = out.levels;
      // Firmware's tables have one level, bare metal's may have several.
      this.#platform ??= out.levels === 1 ? "pseries" : "powernv";
    }
    if (isSpapr(container) && container.pending === "unknown" && typeof out.size === "string") {
      container.pending = { start: BigInt(String(out.start)), size: BigInt(out.size), pageShift: DEFAULT_SHIFT };
    }
    for (const one of Array.isArray(out.capabilities) ? (out.capabilities as Record<string, unknown>[]) : []) {
      if (Array.isArray(one.ranges)) {
        container.ranges = (one.ranges as string[][]).map(([first = "0x0", last = "0x0"]) => {
          return { start: BigInt(first), size: BigInt(last) - BigInt(first) + 1n };
        });
      }
      if (typeof one.available === "number") container.mapsAvailable = one.available + container.count;
    }
  }

  #onSpapr(
    number: number | undefined,
    container: TracedContainer,
    answer: TraceCall["answer"],
    { vaddr, iova, size, pageShift, start }: Record<string, bigint | undefined>,
    out: TraceCall["out"],
  ): void {
    const isDone = answer === 0;
    switch (number) {
      case VfioCall.IOMMU_SPAPR_REGISTER_MEMORY:
        if (answer !== "EPERM" && answer !== "ENOTTY") container.claimed = true;
        if (!isDone || vaddr === undefined || size === undefined) return;
        container.registeredAny = true;
        container.registrations.set(vaddr, vaddr + size, { start: vaddr, size });
        if (this.#locked !== undefined) this.#locked += size;
        return;
      case VfioCall.IOMMU_SPAPR_UNREGISTER_MEMORY: {
        if (!isDone || vaddr === undefined || size === undefined) return;
        container.registrations.clear(vaddr, vaddr + size);
        const isElsewhere = [...this.containers].some((one) => one.registrations.at(vaddr) !== undefined);
        const isMapped = !this.#mapped.within(vaddr, vaddr + size).next().done;
        if (isElsewhere) return;
        if (isMapped) this.zombies.set(vaddr, vaddr + size, { start: vaddr, size });
        else if (this.#locked !== undefined) this.#locked -= size;
        return;
      }
      case VfioCall.IOMMU_MAP_DMA:
        if (isDone || answer === "EINVAL") this.#make(container);
        // On an LPAR a page that firmware refused stays counted.
        if (answer === "EINTR" && vaddr !== undefined && size !== undefined)
          this.#mapped.set(vaddr, vaddr + size, true);
        if (!isDone || vaddr === undefined || iova === undefined || size === undefined) return;
        this.#unmap(container, iova, iova + size);
        container.maps.set(iova, iova + size, { start: iova, size, vaddr });
        this.#mapped.set(vaddr, vaddr + size, true);
        return;
      case VfioCall.IOMMU_UNMAP_DMA:
        if (isDone || answer === "EINVAL") this.#make(container);
        if (isDone && iova !== undefined && size !== undefined) this.#unmap(container, iova, iova + size);
        return;
      case VfioCall.IOMMU_SPAPR_TCE_CREATE:
        if (answer !== "EPERM" && answer !== "ENOTTY") container.claimed = true;
        if (answer !== "EPERM" && answer !== "ENOTTY") this.#make(container);
        if (!isDone || size === undefined || pageShift === undefined) return;
        this.#locked = undefined; // by how much depends on the machine
        container.windows.push({
          start: BigInt(String(out?.start ?? 0)),
          size,
          pageShift: Number(pageShift), // a shift of a window that there is
        });
        return;
      case VfioCall.IOMMU_SPAPR_TCE_REMOVE:
        if (answer !== "EPERM" && answer !== "ENOTTY") container.claimed = true;
        if (isDone && start !== undefined) this.#remove(container, start);
        return;
    }
  }

  /** The first call that needs a window makes the default one. */
  #make(container: TracedContainer): void {
    if (container.pending === "gone" || container.pending === "unknown") return;
    container.windows.unshift(container.pending);
    container.pending = "gone";
    this.#locked = undefined;
  }

  #remove(container: TracedContainer, start: bigint): void {
    const window = container.windows.find((one) => start >= one.start && start < one.start + one.size);
    if (window === undefined) {
      // The default one, made or not, of which GET_INFO was not asked.
      container.pending = "gone";
      for (const { start: from, end } of [...container.maps]) {
        if (!container.windows.some((one) => from >= one.start && from < one.start + one.size)) {
          this.#unmap(container, from, end);
        }
      }
      return;
    }
    container.windows = container.windows.filter((one) => one !== window);
    this.#unmap(container, window.start, window.start + window.size);
    this.#locked = undefined;
  }

  #unmap(container: TracedContainer, start: bigint, end: bigint): void {
    for (const { value, start: from, end: to } of [...container.maps.within(start, end)]) {
      if (value.vaddr === undefined) continue;
      const [low, high] = [from > start ? from : start, to < end ? to : end];
      this.#mapped.clear(value.vaddr + (low - value.start), value.vaddr + (high - value.start));
    }
    container.maps.clear(start, end);
  }

  #onType1(
    number: number | undefined,
    container: TracedContainer,
    { vaddr, iova, size, flags = 0n }: Record<string, bigint | undefined>,
    out: TraceCall["out"],
  ): void {
    if (iova === undefined || size === undefined) return;
    if (number === VfioCall.IOMMU_MAP_DMA) {
      container.maps.set(iova, iova + size, { start: iova, size, vaddr });
      container.count++;
      if (this.#locked !== undefined) this.#locked += size;
    }
    if (number !== VfioCall.IOMMU_UNMAP_DMA || (flags & UNMAP_VADDR) !== 0n) return;
    const all = (flags & UNMAP_ALL) !== 0n;
    const end = all ? 1n << 64n : iova + size;
    // Whole maps only: version 1 goes by where a map begins, version 2 refuses to cut one.
    const gone = [...container.maps.within(iova, end)].filter(({ start }) => start >= iova);
    if (out?.size === "0x0") return;
    for (const span of gone) {
      container.maps.clear(span.start, span.end);
      container.count--;
      if (this.#locked !== undefined) this.#locked -= span.value.size;
    }
  }
}

/** `-0x1000`. */
function signed(text: string): bigint {
  return text.startsWith("-") ? -BigInt(text.slice(1)) : BigInt(text);
}
