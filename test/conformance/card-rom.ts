/** Bytes of an image: all of this one is what says that there is one. */
const IMAGE_BYTES = 512;

/** What a file of it has, and so the region: the least that a ROM's register can say. */
const BYTES = 2048;

/** Where its data structure is. */
const STRUCTURE = 0x1c;

/** No processor's: firmware that looks for code finds none. */
const NO_CODE = 0xff;

/**
 * The expansion ROM of the network card: an image without code, which is enough for Linux to find one.
 *
 *     0x00  55 aa   images begin so                0x1c  "PCIR"          0x2c  length in units of 512 bytes
 *     0x18  where the data structure is            0x20  vendor, device  0x30  whose code it is
 *                                                  0x26  length          0x31  0x80: the last image
 *
 * (PCI Firmware Specification 3.0, 5.1; `drivers/pci/rom.c: pci_get_rom_size`)
 */
export function cardRom(): Uint8Array {
  const bytes = new Uint8Array(BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set([0x55, 0xaa, 1], 0);
  view.setUint16(0x18, STRUCTURE, true);
  bytes.set(new TextEncoder().encode("PCIR"), STRUCTURE);
  view.setUint16(STRUCTURE + 0x04, 0x8086, true);
  view.setUint16(STRUCTURE + 0x06, 0x10d3, true);
  view.setUint16(STRUCTURE + 0x0a, 0x18, true);
  view.setUint16(STRUCTURE + 0x10, IMAGE_BYTES / 512, true);
  bytes.set([NO_CODE, 0x80], STRUCTURE + 0x14);
  return bytes;
}

/** The image alone: what is behind it in the region nobody reads. */
export function cardImage(): Uint8Array {
  return cardRom().subarray(0, IMAGE_BYTES);
}
