// What a device needs, through the shim: registers on a file, their end, a page that is gone, and listeners that come and go. Nothing is
// counted up here: not every engine writes to a descriptor that it has not opened.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { linuxKernel } from "dma-window";

const kernel = linuxKernel();
const page = kernel.pageSize;
const directory = mkdtempSync(join(tmpdir(), "dma-window-engine-"));
const path = join(directory, "registers");
writeFileSync(
  path,
  Uint8Array.from({ length: 2 * page }, (_, i) => i),
);
const fd = kernel.open(path);

const registers = kernel.registers(fd, 0n, 2 * page);
console.log(
  [registers.read8(255), registers.read16(254), registers.read32(252), registers.read64(248).toString(16)].join(),
);
console.log(registers.write32(8, 0x12345678), registers.write64(page, 0xfedcba9876543210n), registers.read16(page));
const into = new Uint8Array(4);
console.log(kernel.pread(fd, into, 8n), into.join(), kernel.pwrite(fd, into, 0n), registers.read32(0).toString(16));
for (const wrong of [() => registers.read32(2), () => registers.write8(0, 256), () => registers.read64(2 * page)]) {
  try {
    wrong();
  } catch (error) {
    console.log(`${error.code}: ${error.message}`);
  }
}
const bytes = registers.bytes();
bytes[1] = 99;
console.log(registers.read8(1));
writeFileSync(path, "");
console.log(registers.read32(0), registers.write8(0, 1), registers.read64(8));
console.log(registers.unmap(), bytes.length);

let refused = 0;
for (let round = 0; round < 300; round++) {
  const event = kernel.eventfd();
  const listening = kernel.listen(event, () => {});
  if (round % 2 === 0) listening.unref();
  refused += kernel.takeEvents(event);
  listening.end();
  kernel.close(event);
}
const event = kernel.eventfd();
kernel.listen(event, () => {}).unref(); // it does not keep the program
console.log(
  refused,
  kernel.listen(fd, () => {}),
  (await kernel.ioctlLater(fd, 0x10b, undefined, 0)) < 0, // an emulated kernel refuses what it does not know in its own way
);
kernel.close(fd);
rmSync(directory, { recursive: true });
