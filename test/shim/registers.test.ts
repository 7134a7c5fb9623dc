/** Registers on an ordinary file that is mapped: widths, bounds, ends, whose they are, and a page that is gone. */
import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { linuxKernel } from "../../src/linux/index.ts";
import type { Registers, Syscalls } from "../../src/syscalls.ts";
import { addon, errno, refuses, withShim } from "./native.ts";

withShim(
  (shim) => {
    const directory = mkdtempSync(join(tmpdir(), "dma-window-registers-"));
    const page = shim.pageSize();
    const kernel = linuxKernel() as { [K in keyof Syscalls]-?: NonNullable<Syscalls[K]> };
    const files: number[] = [];
    /** A file of some pages with their bytes counted from 0, over and over. */
    const file = (pages = 2): number => {
      const fd = openSync(join(directory, `file${files.length}`), "w+");
      files.push(fd);
      writeSync(
        fd,
        Uint8Array.from({ length: pages * page }, (_, i) => i),
      );
      return fd;
    };
    const mapped = (fd: number, offset = 0n, length = 2 * page): Registers => {
      const registers = kernel.registers(fd, offset, length);
      assert.type(registers, "object");
      return registers as Registers;
    };
    const bytesOf = (fd: number, at: number, length: number) => {
      const bytes = new Uint8Array(length);
      readSync(fd, bytes, 0, length, at);
      return [...bytes];
    };
    const mappings = () => readFileSync("/proc/self/maps", "utf8").split(directory).length - 1;
    test.after(() => {
      for (const fd of files) closeSync(fd);
      rmSync(directory, { recursive: true });
    });

    test("each width reads and writes its bytes, little-endian, and no others", () => {
      const fd = file();
      const registers = mapped(fd);
      assert.is(registers.length, 2 * page);
      assert.is(registers.read8(0xff), 0xff);
      assert.is(registers.read16(0xfe), 0xfffe);
      assert.is(registers.read32(0xfc), 0xfffefdfc);
      assert.is(registers.read64(0xf8), 0xfffefdfcfbfaf9f8n);
      assert.is(registers.read8(2 * page - 1), 0xff);
      assert.is(registers.write8(1, 0xa1), 0);
      assert.is(registers.write16(4, 0xb2b1), 0);
      assert.is(registers.write32(8, 0xc4c3c2c1), 0);
      assert.is(registers.write64(16, 0xd8d7d6d5d4d3d2d1n), 0);
      assert.equal(bytesOf(fd, 0, 10), [0, 0xa1, 2, 3, 0xb1, 0xb2, 6, 7, 0xc1, 0xc2]);
      assert.equal(
        bytesOf(fd, 10, 16),
        [0xc3, 0xc4, 12, 13, 14, 15, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 24, 25],
      );
      assert.is(registers.read64(16), 0xd8d7d6d5d4d3d2d1n);
      assert.is(registers.unmap(), 0);
    });

    test("an access outside, unaligned, or of a value that has no room is refused, and nothing is written", () => {
      const fd = file();
      const registers = mapped(fd, 0n, page + 6);
      const before = bytesOf(fd, 0, 2 * page);
      for (const [bits, bytes] of [
        [8, 1],
        [16, 2],
        [32, 4],
        [64, 8],
      ] as const) {
        const value = bits === 64 ? 0n : 0;
        const access = (offset: number, written: unknown = value) => {
          refuses(() => registers[`read${bits}`](offset), RangeError, /offset/);
          refuses(() => registers[`write${bits}`](offset, written as never), RangeError, /offset/);
        };
        for (const outside of [-1, page + 7 - bytes, page + 6, 2 ** 31, 2 ** 53, NaN, 0.5, Infinity, -bytes])
          access(outside);
        for (let unaligned = 1; unaligned < bytes; unaligned++) access(8 + unaligned);
        for (const offset of [undefined, null, "0", 0n, {}]) {
          refuses(() => registers[`read${bits}`](offset as never), TypeError, /offset/);
        }
        const tooMuch = bits === 64 ? [-1n, 1n << 64n] : [-1, 2 ** bits, 0.5, NaN];
        for (const bad of tooMuch) refuses(() => registers[`write${bits}`](0, bad as never), RangeError, /value/);
        for (const bad of [undefined, null, "1", bits === 64 ? 1 : 1n]) {
          refuses(() => registers[`write${bits}`](0, bad as never), TypeError, /value/);
        }
      }
      assert.equal(bytesOf(fd, 0, 2 * page), before);
      assert.is(registers.read8(page + 5), 5);
      registers.unmap();
    });

    test("a mapping that has ended says so, once more does nothing, and its place is not another one's", () => {
      const first = mapped(file());
      const before = mappings();
      assert.is(first.unmap(), 0);
      assert.is(mappings(), before - 1);
      const second = mapped(file());
      assert.is(first.unmap(), 0);
      for (const call of [
        () => first.read8(0),
        () => first.read64(0),
        () => first.write32(0, 1),
        () => first.write64(0, 1n),
        () => first.bytes(),
      ]) {
        assert.throws(call, (error: { code?: string }) => error.code === "ERR_CLOSED");
      }
      assert.is(second.read8(3), 3);
      second.unmap();
    });

    test("registers may be mapped at an offset, stay when the descriptor is closed, and are unmapped one by one", () => {
      const fd = file(3);
      const before = mappings();
      const all = Array.from({ length: 100 }, (_, i) => mapped(fd, BigInt(page * (i % 3)), page));
      all[1]?.write32(0, 0x12345678);
      assert.is(all[4]?.read32(0), 0x12345678);
      assert.is(all[0]?.read32(0), 0x03020100);
      for (const one of all) assert.is(one.unmap(), 0);
      assert.is(mappings(), before);
    });

    test("what the kernel refuses to map comes back as -errno", () => {
      const fd = file();
      assert.is(kernel.registers(2 ** 31 - 1, 0n, page), errno("EBADF"));
      assert.is(kernel.registers(fd, 1n, page), errno("EINVAL"));
      assert.is(kernel.registers(fd, 0n, 0), errno("EINVAL"));
      const readOnly = openSync("/proc/self/exe", "r");
      assert.is(kernel.registers(readOnly, 0n, page), errno("EACCES"));
      closeSync(readOnly);
    });

    test("where the page is gone each access is -EIO, and works again when it is back", () => {
      const fd = file();
      const registers = mapped(fd);
      for (let round = 0; round < 3; round++) {
        ftruncateSync(fd, 0);
        assert.equal([registers.read8(1), registers.read16(2), registers.read32(page)], Array(3).fill(errno("EIO")));
        assert.is(registers.read64(8), BigInt(errno("EIO")));
        assert.equal([registers.write8(1, 1), registers.write16(2, 1)], Array(2).fill(errno("EIO")));
        assert.equal([registers.write32(4, 1), registers.write64(page, 1n)], Array(2).fill(errno("EIO")));
        ftruncateSync(fd, 2 * page);
        assert.is(registers.read32(0), 0);
        assert.is(registers.write32(0, 0xffffffff), 0);
        assert.is(registers.read32(0), 0xffffffff);
      }
      registers.unmap();
    });

    test("the bytes are the registers' own, and have length 0 at the end", () => {
      const fd = file();
      const registers = mapped(fd, 0n, page);
      const bytes = registers.bytes();
      if (bytes === undefined) return;
      assert.is(registers.bytes(), bytes);
      assert.is(bytes.length, page);
      bytes[0] = 0x77;
      assert.is(registers.read8(0), 0x77);
      assert.is(registers.unmap(), 0);
      assert.is(bytes.length, 0);
    });

    test("bytes that were moved lead to ordinary memory at the end, and to nothing of the device", () => {
      const fd = file();
      const registers = mapped(fd, 0n, page);
      const before = mappings();
      const bytes = registers.bytes();
      if (bytes === undefined) return;
      bytes[0] = 0x55;
      const moved = new Uint8Array(structuredClone(bytes.buffer, { transfer: [bytes.buffer as ArrayBuffer] }));
      assert.is(moved[0], 0x55);
      assert.is(registers.unmap(), 0);
      assert.is(mappings(), before - 1);
      // Node 20 moves no buffer of an addon's: it copies.
      assert.is(moved[0], "transfer" in ArrayBuffer.prototype ? 0 : 0x55);
      moved[0] = 1;
      assert.is(bytesOf(fd, 0, 1)[0], 0x55);
    });

    test("another thread has none of them by their handle, and takes its own with it", async () => {
      const fd = file();
      const mine = shim.mapRegisters(fd, 0n, page);
      const before = mappings();
      const program = `
        const { workerData, parentPort } = require("node:worker_threads");
        const shim = require(workerData.addon);
        const said = [];
        const attempt = (call) => { try { said.push(call()); } catch (error) { said.push(error.code); } };
        attempt(() => shim.readRegister8(workerData.mine, 0));
        attempt(() => shim.unmapRegisters(workerData.mine, 0));
        const [own, other] = [shim.mapRegisters(workerData.fd, 0n, 4096), shim.mapRegisters(workerData.fd, 0n, 4096)];
        attempt(() => shim.readRegister8(own, 7));
        shim.addressOfRegisters(other);
        parentPort.postMessage(said);`;
      const worker = new Worker(program, { eval: true, workerData: { addon, mine, fd } });
      const said: unknown[] = [];
      worker.on("message", (value) => said.push(...value));
      await new Promise((resolve) => worker.on("exit", resolve));
      assert.equal(said, ["ERR_OUT_OF_RANGE", "ERR_OUT_OF_RANGE", 7]);
      assert.is(mappings(), before);
      assert.is(shim.readRegister8(mine, 7), 7);
      assert.is(shim.unmapRegisters(mine, 0), 0);
    });
  },
  "registers()",
  (kernel) => kernel.registers?.(0, 0n, 4096),
);

test.run();
