/**
 * What a device is, in words: by its class code (class, subclass, programming interface; 0x010802 is an NVMe controller). Those that
 * drivers here care about; the numbers are those of `include/linux/pci_ids.h`.
 */
const WORDS: Readonly<Record<string, string>> = {
  "0100": "SCSI controller",
  "0101": "IDE controller",
  "0104": "RAID controller",
  "0106": "SATA controller",
  "010601": "SATA controller (AHCI)",
  "0107": "SAS controller",
  "0108": "non-volatile memory controller",
  "010802": "NVMe controller",
  "01": "storage controller",
  "0200": "Ethernet controller",
  "0207": "InfiniBand controller",
  "0280": "network controller",
  "02": "network controller",
  "0300": "VGA controller",
  "0302": "3D controller",
  "0380": "display controller",
  "03": "display controller",
  "0403": "audio device",
  "04": "multimedia device",
  "0500": "memory",
  "0502": "CXL memory",
  "05": "memory controller",
  "0600": "host bridge",
  "0601": "ISA bridge",
  "0604": "PCI bridge",
  "0607": "CardBus bridge",
  "0609": "PCI bridge",
  "06": "bridge",
  "0700": "serial port",
  "07": "communication controller",
  "0801": "DMA controller",
  "0806": "IOMMU",
  "08": "system peripheral",
  "09": "input device",
  "0b": "processor",
  "0c03": "USB controller",
  "0c0330": "USB controller (xHCI)",
  "0c05": "SMBus",
  "0c06": "InfiniBand controller",
  "0c": "serial bus controller",
  "0d": "wireless controller",
  "10": "encryption controller",
  "1000": "encryption controller",
  "11": "signal processing controller",
  "12": "processing accelerator",
  "13": "instrumentation",
  "00ff": "device without a class",
  ff: "device without a class",
};

/** `NVMe controller` for 0x010802; what is not known is told by its number. */
export function className(code: number): string {
  const digits = code.toString(16).padStart(6, "0");
  const words = [6, 4, 2].map((length) => WORDS[digits.slice(0, length)]).find((one) => one !== undefined);
  return words ?? `device of class 0x${digits}`;
}

/** A bridge whose configuration header is none of a device's: to PCI, CardBus, or behind a non-transparent one. */
export function isBridge(code: number): boolean {
  return [0x0604, 0x0607, 0x0609].includes(code >>> 8);
}
