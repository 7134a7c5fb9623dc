/**
 * The capabilities of a PCI device: two lists in its configuration space, which a broken device may tie into a loop, or let end in
 * the middle of nowhere. (PCI 3.0, 6.7; PCI Express 7.6)
 *
 *     0x34 ──> | id | next |            below 0x100, where the status register says that there are any
 *     0x100 ─> | id : 16 | version : 4 | next : 12 |
 */

/** A capability of a device. */
export interface PciCapability {
  /** Its number; one of the extended list may have the same as one of the other. */
  readonly id: number;
  /** Bytes from the beginning of the configuration space. */
  readonly offset: number;
  /** From the list that begins at 0x100. */
  readonly extended: boolean;
  /** `MSI-X`; the number where nobody knows it: `0x1f`. */
  readonly name: string;
}

/** Ids that this library itself looks for. */
export const Capability = { POWER: 0x01, EXPRESS: 0x10 } as const;

const STATUS = 0x06;
const HAS_LIST = 0x10;
const FIRST = 0x34;
const HEADER_END = 0x40;
const EXTENDED = 0x100;

const NAMES: Readonly<Record<number, string>> = {
  1: "power management",
  2: "AGP",
  3: "VPD",
  4: "slot identification",
  5: "MSI",
  6: "CompactPCI hot swap",
  7: "PCI-X",
  8: "HyperTransport",
  9: "vendor-specific",
  10: "debug port",
  11: "CompactPCI control",
  12: "hot plug",
  13: "bridge subsystem",
  14: "AGP 8x",
  15: "secure device",
  16: "PCI Express",
  17: "MSI-X",
  18: "SATA",
  19: "advanced features",
  20: "enhanced allocation",
  21: "flattening portal bridge",
};

const EXTENDED_NAMES: Readonly<Record<number, string>> = {
  1: "advanced error reporting",
  2: "virtual channel",
  3: "serial number",
  4: "power budgeting",
  5: "root complex links",
  9: "virtual channel (multi-function)",
  11: "vendor-specific",
  13: "access control (ACS)",
  14: "alternative routing (ARI)",
  15: "address translation (ATS)",
  16: "SR-IOV",
  18: "multicast",
  19: "page requests (PRI)",
  21: "resizable BAR",
  22: "dynamic power allocation",
  23: "TPH requester",
  24: "latency tolerance",
  25: "secondary PCI Express",
  27: "PASID",
  29: "downstream port containment",
  30: "L1 substates",
  31: "precision time",
  35: "designated vendor-specific",
  37: "data link feature",
  38: "physical layer 16 GT/s",
  39: "lane margining",
  42: "physical layer 32 GT/s",
  46: "data object exchange",
};

/** Both lists, each in its own order. `config` is the whole configuration space; nothing in it is trusted. */
export function capabilitiesOf(config: Uint8Array): PciCapability[] {
  const view = new DataView(config.buffer, config.byteOffset, config.byteLength);
  return [...plain(view), ...extended(view)];
}

function plain(view: DataView): PciCapability[] {
  if (view.byteLength < HEADER_END || (view.getUint16(STATUS, true) & HAS_LIST) === 0) return [];
  const found = new Map<number, PciCapability>();
  let at = view.getUint8(FIRST) & 0xfc; // the two low bits are kept for later
  while (at >= HEADER_END && at + 2 <= Math.min(view.byteLength, EXTENDED) && !found.has(at)) {
    const id = view.getUint8(at);
    if (id === 0xff) break; // nothing answers there
    found.set(at, { id, offset: at, extended: false, name: nameOf(id, NAMES) });
    at = view.getUint8(at + 1) & 0xfc;
  }
  return [...found.values()].filter(({ id }) => id !== 0); // an empty one is passed over
}

/** VFIO hides what it does not know; the first one it can only empty, and the list goes on behind it (vfio_pci_config.c: vfio_ecap_init). */
function extended(view: DataView): PciCapability[] {
  const found = new Map<number, PciCapability>();
  let at = EXTENDED;
  while (at >= EXTENDED && at + 4 <= view.byteLength && !found.has(at)) {
    const header = view.getUint32(at, true);
    if (header === 0xffff_ffff) break;
    const id = header & 0xffff;
    found.set(at, { id, offset: at, extended: true, name: nameOf(id, EXTENDED_NAMES) });
    at = (header >>> 20) & 0xffc;
  }
  return [...found.values()].filter(({ id }) => id !== 0);
}

function nameOf(id: number, names: Readonly<Record<number, string>>): string {
  return names[id] ?? `0x${id.toString(16)}`;
}
