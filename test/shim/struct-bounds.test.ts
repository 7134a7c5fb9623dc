import { closeSync, openSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { VfioCall } from "../../src/syscalls.ts";
import { errno, refuses, withShim } from "./native.ts";

// The fewest bytes of each call's struct; distance 12 is type1's GET_INFO (24 bytes) too, and takes the larger.
const smallest: readonly (readonly [VfioCall, number])[] = [
  [VfioCall.GROUP_GET_STATUS, 8],
  [VfioCall.GROUP_SET_CONTAINER, 4],
  [VfioCall.IOMMU_SPAPR_TCE_GET_INFO, 32],
  [VfioCall.IOMMU_MAP_DMA, 32],
  [VfioCall.IOMMU_UNMAP_DMA, 24],
  [VfioCall.IOMMU_SPAPR_REGISTER_MEMORY, 24],
  [VfioCall.IOMMU_SPAPR_UNREGISTER_MEMORY, 24],
  [VfioCall.IOMMU_SPAPR_TCE_CREATE, 40],
  [VfioCall.IOMMU_SPAPR_TCE_REMOVE, 16],
  [VfioCall.DEVICE_GET_INFO, 16],
  [VfioCall.DEVICE_GET_REGION_INFO, 32],
  [VfioCall.DEVICE_GET_IRQ_INFO, 16],
  [VfioCall.DEVICE_SET_IRQS, 20],
  [VfioCall.DEVICE_GET_PCI_HOT_RESET_INFO, 12],
  [VfioCall.DEVICE_PCI_HOT_RESET, 12],
  [VfioCall.DEVICE_FEATURE, 8],
];

// Neither of the type libraries that we compile with knows WebAssembly.
type WasmMemory = { readonly buffer: ArrayBuffer; grow(pages: number): number };
const { Memory } = (
  globalThis as unknown as {
    WebAssembly: { Memory: new (pages: { initial: number; maximum: number; shared?: boolean }) => WasmMemory };
  }
).WebAssembly;

withShim(
  (shim) => {
    const fd = openSync("/dev/null", "r+");
    test.after(() => closeSync(fd));
    const notForDevNull = errno("ENOTTY");

    test("a struct that ends with the memory is passed on, and one byte less memory is refused", () => {
      for (const [call, bytes] of smallest) {
        assert.is(shim.ioctlStruct(fd, call, new Uint8Array(bytes), 0), notForDevNull);
        assert.is(shim.ioctlStruct(fd, call, new Uint8Array(64 + bytes), 64), notForDevNull);
        refuses(() => shim.ioctlStruct(fd, call, new Uint8Array(bytes - 1), 0), RangeError, /bytes/);
        refuses(() => shim.ioctlStruct(fd, call, new Uint8Array(64 + bytes - 1), 64), RangeError, /bytes/);
        refuses(() => shim.ioctlStruct(fd, call, new Uint8Array(0), 0), RangeError, /bytes/);
      }
    });

    test("a device's name ends with a 0 within the memory, or is refused", () => {
      const named = new TextEncoder().encode("12345678 0000:00:01.0\0");
      assert.is(shim.ioctlStruct(fd, VfioCall.GROUP_GET_DEVICE_FD, named, 0), notForDevNull);
      assert.is(shim.ioctlStruct(fd, VfioCall.GROUP_GET_DEVICE_FD, new Uint8Array(9), 8), notForDevNull, "no name");
      const endless = named.subarray(0, -1);
      refuses(() => shim.ioctlStruct(fd, VfioCall.GROUP_GET_DEVICE_FD, endless, 0), RangeError, /end with a 0/);
      refuses(() => shim.ioctlStruct(fd, VfioCall.GROUP_GET_DEVICE_FD, new Uint8Array(8), 8), RangeError, /end with/);
      refuses(() => shim.ioctl(fd, VfioCall.GROUP_GET_DEVICE_FD, 0), TypeError, /takes a struct/);
    });

    test("the part of a buffer before and after the array does not count", () => {
      const part = new Uint8Array(new ArrayBuffer(4096), 1024, 32);
      assert.is(shim.ioctlStruct(fd, VfioCall.IOMMU_MAP_DMA, part, 0), notForDevNull);
      refuses(() => shim.ioctlStruct(fd, VfioCall.IOMMU_MAP_DMA, part, 8), RangeError, /bytes/);
    });

    test("an argsz larger than the struct has to fit as well", () => {
      const memory = new Uint8Array(128);
      const argsz = new DataView(memory.buffer);
      argsz.setUint32(64, 64, true);
      assert.is(shim.ioctlStruct(fd, VfioCall.IOMMU_SPAPR_TCE_GET_INFO, memory, 64), notForDevNull);
      for (const tooLarge of [65, 0x7fffffff, 0x80000000, 0xffffffc0, 0xffffffff]) {
        argsz.setUint32(64, tooLarge, true);
        refuses(() => shim.ioctlStruct(fd, VfioCall.IOMMU_SPAPR_TCE_GET_INFO, memory, 64), RangeError, /bytes/);
      }
    });

    test("an argsz smaller than the struct is the kernel's to refuse, and does not make the struct smaller", () => {
      const memory = new Uint8Array(32);
      memory[0] = 8;
      assert.is(shim.ioctlStruct(fd, VfioCall.IOMMU_MAP_DMA, memory, 0), notForDevNull);
      const short = new Uint8Array(24);
      short[0] = 8;
      refuses(() => shim.ioctlStruct(fd, VfioCall.IOMMU_MAP_DMA, short, 0), RangeError, /bytes/);
    });

    test("the file descriptor of GROUP_SET_CONTAINER is not taken for an argsz", () => {
      const memory = new Uint8Array(4);
      new DataView(memory.buffer).setInt32(0, 1000, true);
      assert.is(shim.ioctlStruct(fd, VfioCall.GROUP_SET_CONTAINER, memory, 0), notForDevNull);
    });

    test("an argsz holds for every call on a device, and none of them may be in a batch", () => {
      for (const [call] of smallest.filter(([number]) => number >= 0x100)) {
        const memory = new Uint8Array(64);
        const view = new DataView(memory.buffer);
        view.setUint32(0, 64, true);
        assert.is(shim.ioctlStruct(fd, call, memory, 0), notForDevNull);
        for (const tooLarge of [65, 2 ** 31, 2 ** 32 - 1]) {
          view.setUint32(0, tooLarge, true);
          refuses(() => shim.ioctlStruct(fd, call, memory, 0), RangeError, /bytes/);
        }
        view.setUint32(0, call, true);
        view.setUint32(4, 16, true);
        refuses(() => shim.ioctlBatch(fd, memory, 0, 1), RangeError, /one on a container/);
      }
    });

    test("the descriptors of a hot reset are counted, whatever its argsz says", () => {
      const memory = new Uint8Array(32);
      const view = new DataView(memory.buffer);
      for (const argsz of [0, 12, 20]) {
        view.setUint32(0, argsz, true);
        view.setUint32(8, 5, true);
        assert.is(shim.ioctlStruct(fd, VfioCall.DEVICE_PCI_HOT_RESET, memory, 0), notForDevNull);
        for (const tooMany of [6, 2 ** 30, 2 ** 32 - 1]) {
          view.setUint32(8, tooMany, true);
          refuses(() => shim.ioctlStruct(fd, VfioCall.DEVICE_PCI_HOT_RESET, memory, 0), RangeError, /bytes/);
        }
      }
      // Elsewhere a count reaches no farther than argsz, and what it says is the kernel's to judge.
      view.setUint32(0, 20, true);
      view.setUint32(16, 2 ** 32 - 1, true);
      assert.is(shim.ioctlStruct(fd, VfioCall.DEVICE_SET_IRQS, memory, 0), notForDevNull);
    });

    test("an offset that is no multiple of 8, or lies beyond the memory, is refused", () => {
      const memory = new Uint8Array(256);
      for (const offset of [1, 4, 7, 9, 63]) {
        refuses(() => shim.ioctlStruct(fd, VfioCall.IOMMU_MAP_DMA, memory, offset), RangeError, /multiple of 8/);
      }
      for (const offset of [232, 256, 264, 2 ** 31, 2 ** 32 - 8]) {
        refuses(() => shim.ioctlStruct(fd, VfioCall.IOMMU_MAP_DMA, memory, offset), RangeError, /bytes/);
      }
    });

    test("after wasm memory grew a new view works, and the old one is refused", () => {
      const wasm = new Memory({ initial: 1, maximum: 4 });
      const old = new Uint8Array(wasm.buffer);
      assert.is(shim.ioctlStruct(fd, VfioCall.IOMMU_MAP_DMA, old, 65536 - 32), notForDevNull);
      wasm.grow(1);
      refuses(() => shim.ioctlStruct(fd, VfioCall.IOMMU_MAP_DMA, old, 0), TypeError, /detached/);
      refuses(() => shim.ioctlBatch(fd, old, 0, 0), TypeError, /detached/);
      const grown = new Uint8Array(wasm.buffer);
      assert.is(shim.ioctlStruct(fd, VfioCall.IOMMU_MAP_DMA, grown, 131072 - 32), notForDevNull);
    });

    test("shared memory works, also wasm's, which grows under its views", () => {
      const shared = new Memory({ initial: 1, maximum: 2, shared: true });
      const before = new Uint8Array(shared.buffer);
      shared.grow(1);
      const after = new Uint8Array(shared.buffer);
      assert.is(shim.ioctlStruct(fd, VfioCall.IOMMU_MAP_DMA, before, 65536 - 32), notForDevNull);
      refuses(() => shim.ioctlStruct(fd, VfioCall.IOMMU_MAP_DMA, before, 65536), RangeError, /bytes/);
      assert.is(shim.ioctlStruct(fd, VfioCall.IOMMU_MAP_DMA, after, 131072 - 32), notForDevNull);
    });

    test("an array whose resizable buffer shrank below it is refused", () => {
      type Resizable = ArrayBuffer & { resize(bytes: number): void };
      const make = ArrayBuffer as unknown as new (bytes: number, options: { maxByteLength: number }) => Resizable;
      const buffer = new make(128, { maxByteLength: 128 });
      const fixed = new Uint8Array(buffer, 64, 64);
      const tracking = new Uint8Array(buffer);
      assert.is(shim.ioctlStruct(fd, VfioCall.IOMMU_MAP_DMA, fixed, 0), notForDevNull);
      buffer.resize(96);
      refuses(() => shim.ioctlStruct(fd, VfioCall.IOMMU_MAP_DMA, fixed, 0), RangeError, /bytes/);
      assert.is(shim.ioctlStruct(fd, VfioCall.IOMMU_MAP_DMA, tracking, 64), notForDevNull);
      refuses(() => shim.ioctlStruct(fd, VfioCall.IOMMU_MAP_DMA, tracking, 72), RangeError, /bytes/);
    });
  },
  "ioctlStruct()",
  (kernel) => kernel.ioctlStruct(0, VfioCall.IOMMU_MAP_DMA, new Uint8Array(32), 0),
);

test.run();
