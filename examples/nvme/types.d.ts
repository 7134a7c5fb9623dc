/** What the driver wants of the library's device, and no more: so a test needs no more either. */

/** A BAR. Every write is ordered after all that the program wrote to memory before, every read before all that it reads behind. */
export interface Registers32 {
  read32(offset: number): number;
  write32(offset: number, value: number): void;
}

export interface Vector {
  on(listener: (count: number) => void): () => void;
}

export interface Vectors {
  readonly count: number;
  vector(index: number): Vector;
  disable(): void;
}

export interface DriverDevice {
  readonly address: string;
  readonly info: {
    readonly irqs: { readonly msix: { readonly count: number }; readonly intx: { readonly count: number } };
  };
  /** Nobody answers. */
  readonly gone: boolean;
  busMaster: boolean;
  /** With its length in bytes. */
  bar(index: number): Registers32 & { readonly length: number };
  readonly irqs: { msix(count: number): Vectors; intx(): Vectors };
  readonly canReset: boolean;
  resetAsync(): Promise<void>;
}

/** Memory that the controller reaches. */
export interface DmaMemory {
  readonly bytes: Uint8Array;
  readonly iova: bigint;
  readonly length: number;
  close(): void;
}

/** Who a command is done for. `tag` is a number of its own, which it gets back. */
export interface CommandOwner {
  /** `status` is 0 where all went well; `result` is the completion's first word. */
  completed(tag: number, status: number, result: number): void;
  /** The controller was stopped before it was done. The device does not touch the command's memory any more. */
  failed(tag: number, error: Error): void;
  /** `read of 8 blocks at LBA 5`. */
  describe(tag: number): string;
}

/** An admin command's words that are not 0. */
export interface Command {
  readonly opcode: number;
  readonly nsid?: number;
  readonly prp1?: bigint;
  readonly prp2?: bigint;
  readonly words?: readonly number[];
}
