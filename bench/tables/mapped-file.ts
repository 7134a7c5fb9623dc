/** A file in place of a device: what the shim maps as registers is ordinary memory, which answers at once. */
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Bar } from "../../src/device/bar.ts";
import { linuxKernel } from "../../src/index.ts";
import type { Registers } from "../../src/syscalls.ts";

export interface MappedFile {
  /** Through the library, as a driver has it. */
  readonly bar: Bar;
  /** The same through the kernel interface alone. */
  readonly registers: Registers;
  /** Its bytes, as they are in the file. */
  read(): Uint8Array<ArrayBuffer>;
  write(bytes: Uint8Array): void;
  close(): void;
}

/** Needs the shim. `length`: whole pages. */
export function mappedFile(length: number): MappedFile {
  const directory = mkdtempSync(join(tmpdir(), "dma-window-bench-"));
  const fd = openSync(join(directory, "bar0"), "w+");
  rmSync(directory, { recursive: true }); // the file is there as long as it is mapped
  writeSync(fd, new Uint8Array(length));
  const registers = linuxKernel().registers?.(fd, 0n, length);
  if (typeof registers !== "object") throw new Error(`the file cannot be mapped: ${registers}`);
  const bar = new Bar(0, registers, true, {
    where: { address: "0000:00:00.0", group: 0, iommu: "type1" },
    isPrefetchable: () => false,
    diagnose: () => ({ why: "unknown", words: "a file answers always" }),
    release: () => undefined,
  });
  return {
    bar,
    registers,
    read: () => {
      const bytes = new Uint8Array(length);
      readSync(fd, bytes, 0, length, 0);
      return bytes;
    },
    write: (bytes) => {
      writeSync(fd, bytes, 0, bytes.length, 0);
    },
    close: () => {
      bar.close();
      registers.unmap();
      closeSync(fd);
    },
  };
}
