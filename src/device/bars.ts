/** The BARs of a device that are open. One that is asked for in both byte orders is mapped once. */
import { ERRNO } from "../errno.ts";
import { asOurs, DmaWindowError, leftBy, withResidue } from "../errors.ts";
import type { Registers } from "../syscalls.ts";
import { Bar, type BarOptions } from "./bar.ts";
import { CallRegisters } from "./call-registers.ts";
import type { ConfigSpace } from "./config.ts";
import type { DeviceFile } from "./file.ts";
import type { PowerControl } from "./power.ts";
import { checkBarIndex, type DeviceRegion, ROM_REGION } from "./regions.ts";
import { SwappedRegisters } from "./swapped-registers.ts";

type Endian = NonNullable<BarOptions["endian"]>;

interface Opened {
  readonly registers: Registers;
  readonly isMapped: boolean;
  readonly bars: Map<Endian, Bar>;
}

/** Of a BAR's register in the configuration space: it is ports, or memory like memory. */
const FIRST_BAR = 0x10;
const PORTS = 1;
const PREFETCHABLE = 8;

/** The kernel maps nothing there, though it says that it would: the page of the MSI-X table before Linux 4.16. */
const NOT_MAPPED = -ERRNO.EINVAL;

export class Bars {
  readonly #file: DeviceFile;
  readonly #regions: readonly DeviceRegion[];
  readonly #power: () => PowerControl;
  readonly #config: () => ConfigSpace;
  readonly #opened = new Map<number, Opened>();
  /** Closed, and still mapped: unmapping has failed, and is tried again with the device. */
  readonly #stuck = new Map<Registers, number>();

  /** What else belongs to the device is asked for when a BAR is opened: it knows of its BARs too. */
  constructor(
    file: DeviceFile,
    regions: readonly DeviceRegion[],
    power: () => PowerControl,
    config: () => ConfigSpace,
  ) {
    this.#file = file;
    this.#regions = regions;
    this.#power = power;
    this.#config = config;
  }

  /** Names of those that are mapped. */
  mapped(): string[] {
    return [...this.#opened].filter(([, { isMapped }]) => isMapped).map(([index]) => this.#name(index));
  }

  /** The one that is open already; `undefined` where it is not. */
  find(index: number, endian: Endian): Bar | undefined {
    return this.#opened.get(checkBarIndex(index))?.bars.get(endian);
  }

  open(index: number, endian: Endian): Bar {
    const opened = this.#opened.get(index) ?? this.#map(index);
    const { registers, isMapped, bars } = opened;
    const shown = endian === "little" ? registers : new SwappedRegisters(registers);
    const bar = new Bar(index, shown, isMapped, {
      where: this.#file.where,
      isPrefetchable: () => this.#isPrefetchable(index),
      diagnose: () => this.#power().diagnose(),
      release: () => this.#release(index, endian),
    });
    this.#opened.set(index, opened);
    bars.set(endian, bar);
    return bar;
  }

  /** All of them, past what fails. */
  end(): DmaWindowError[] {
    const bars = [...this.#opened.values()].flatMap((opened) => [...opened.bars.values()]);
    for (const bar of bars) bar.end(); // what fails is among those that are tried now
    return [...this.#stuck]
      .map(([registers, index]) => this.#unmap(registers, index))
      .filter((one) => one !== undefined);
  }

  #release(index: number, endian: Endian): DmaWindowError | undefined {
    const opened = this.#opened.get(index);
    if (opened === undefined) return undefined;
    opened.bars.delete(endian);
    if (opened.bars.size > 0) return undefined;
    this.#opened.delete(index);
    return this.#unmap(opened.registers, index);
  }

  #unmap(registers: Registers, index: number): DmaWindowError | undefined {
    const name = this.#name(index);
    this.#stuck.set(registers, index);
    try {
      const answer = registers.unmap();
      if (answer < 0) throw this.#file.refused("munmap", answer, { bar: index }, `munmap of ${name}`);
      this.#stuck.delete(registers);
      return undefined;
    } catch (error) {
      const ours = asOurs(error, "the kernel interface, in the unmapping of a BAR,");
      return asOurs(
        withResidue(ours, [`${name} of device ${this.#file.where.address} may still be mapped, which keeps it open`]),
      );
    }
  }

  #map(index: number): Opened {
    const region = this.#regions[index];
    if (region === undefined || region.bytes === 0n) throw this.#none(index);
    const length = Number(region.bytes); // at most 2^52, so exact
    const byCalls = (): Opened => ({
      registers: new CallRegisters(this.#file, region.offset, length),
      isMapped: false,
      bars: new Map(),
    });
    if (!region.mappable || region.sparse !== undefined) return byCalls();
    this.#power().checkAnswers(this.#name(index));
    const registers = this.#ask(region, length);
    if (typeof registers !== "number") return { registers, isMapped: true, bars: new Map() };
    if (registers === NOT_MAPPED && !region.msixMappable) return byCalls();
    const about = `mmap of ${this.#name(index)}`;
    throw this.#file.refused("mmap", registers, { bar: index, length: region.bytes }, about, "mmap of a region");
  }

  #ask(region: DeviceRegion, length: number): Registers | number {
    const { kernel, fd } = this.#file;
    const answer = kernel.registers(fd, region.offset, length);
    if (typeof answer === "number" || answer.length === length) return answer;
    const problem = `registers of ${answer.length} bytes, where ${length} were asked for`;
    throw withResidue(
      new DmaWindowError("ERR_INTERFACE", `the kernel interface gave ${problem}`),
      leftBy(() => answer.unmap(), "they may still be mapped, which keeps the device open"),
    );
  }

  #isPrefetchable(index: number): boolean {
    if (index >= ROM_REGION) return false;
    const register = this.#config().read32(FIRST_BAR + 4 * index);
    return (register & PORTS) === 0 && (register & PREFETCHABLE) !== 0;
  }

  #name(index: number): string {
    return this.#regions[index]?.name ?? `bar${index}`;
  }

  #none(index: number): DmaWindowError {
    const has = this.#regions
      .filter(({ index: one, bytes }) => one <= ROM_REGION && bytes > 0n)
      .map(({ name }) => name);
    const { address, group } = this.#file.where;
    const hint = has.length === 0 ? "it has none at all" : `it has ${has.join(", ")}`;
    return new DmaWindowError("ERR_NO_BAR", `device ${address} has no ${this.#name(index)}: ${hint}`, {
      facts: { address, group, bar: index, has },
    });
  }
}
