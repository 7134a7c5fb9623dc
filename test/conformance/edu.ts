import { readSync, writeSync } from "node:fs";
import type { Device } from "./target.ts";

/**
 * QEMU's teaching device `edu` (1234:11e8), through its VFIO descriptor: a region is a stretch of the file.
 *
 *     region 0 at 0          its registers        region 7 at 7 << 40    its PCI configuration space
 *       0x00 id: 0x010000ed    0x80 source, 8 bytes                        0x04 command: bit 2 lets it do DMA
 *                              0x88 destination, 8 bytes
 *                              0x90 length, 8 bytes
 *                              0x98 command: 1 memory to buffer, 3 buffer to memory; bit 0 falls when it is done
 *
 * Its buffer of 4 KiB lies at 0x40000 of its own addresses. The registers are big-endian on some machines: its id tells.
 */
export function eduDevice(fd: number, close: () => void): Device {
  const bytes = Buffer.alloc(8);
  readSync(fd, bytes, 0, 4, REGISTERS);
  const isLittle = bytes.readUInt32LE(0) === ID;
  if (!isLittle && bytes.readUInt32BE(0) !== ID)
    throw new Error(`no edu device: id 0x${bytes.readUInt32LE(0).toString(16)}`);

  readSync(fd, bytes, 0, 2, CONFIGURATION + 4);
  bytes.writeUInt16LE(bytes.readUInt16LE(0) | BUS_MASTER, 0);
  writeSync(fd, bytes, 0, 2, CONFIGURATION + 4);

  const write = (register: number, value: bigint) => {
    if (isLittle) bytes.writeBigUInt64LE(value);
    else bytes.writeBigUInt64BE(value);
    writeSync(fd, bytes, 0, 8, REGISTERS + register);
  };
  const command = () => {
    readSync(fd, bytes, 0, 8, REGISTERS + 0x98);
    return isLittle ? bytes.readBigUInt64LE() : bytes.readBigUInt64BE();
  };
  const run = (source: bigint, destination: bigint, length: number, direction: bigint) => {
    write(0x80, source);
    write(0x88, destination);
    write(0x90, BigInt(length));
    write(0x98, direction);
    const started = Date.now();
    while ((command() & 1n) !== 0n) {
      if (Date.now() - started > 10_000) throw new Error("the edu device does not come to an end");
    }
  };
  return {
    load: (iova, length) => run(iova, BUFFER, length, 1n),
    store: (iova, length) => run(BUFFER, iova, length, 3n),
    close,
  };
}

const ID = 0x010000ed;
const REGISTERS = 0;
const CONFIGURATION = 7 * 2 ** 40;
const BUS_MASTER = 4;
const BUFFER = 0x40000n;
