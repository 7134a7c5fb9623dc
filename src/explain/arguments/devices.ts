/** What is checked of a device's structs, offsets and interrupts. */
import { hex } from "../../hex.ts";
import { type Asked, type Cause, othersOf } from "../cause.ts";
import { known, operand, when } from "../facts.ts";
import { tooShort } from "./structs.ts";

const CORE = "drivers/vfio/pci/vfio_pci_core.c";
const INTRS = "drivers/vfio/pci/vfio_pci_intrs.c";
const VALIDATE = "drivers/vfio/vfio_main.c: vfio_set_irqs_validate_and_prepare";

/** Also in MAP_SHARED_VALIDATE (3). */
const MAP_SHARED = 1n;

/** Bits of SET_IRQS: what the data are, and what is done. */
const DATA = 7n;
const ACTIONS = 0x38n;
const bits = (value: bigint) => [0n, 1n, 2n].filter((bit) => ((value >> bit) & 1n) === 1n).length;

const oddFlags = when(["flags"], (flags) => {
  if ((flags & ~(DATA | ACTIONS)) !== 0n) return `flags are ${hex(flags)}: there are 6 of them`;
  return bits(flags & DATA) !== 1 && `flags are ${hex(flags)}: one kind of data, of NONE (1), BOOL (2) and EVENTFD (4)`;
});

const otherActions = when(["flags"], (flags) => {
  return (
    bits((flags & ACTIONS) >> 3n) !== 1 &&
    `flags are ${hex(flags)}: one action, of MASK (8), UNMASK (16) and TRIGGER (32)`
  );
});

const shortData = (asked: Asked): string | boolean | undefined => {
  const [size, flags, count] = [operand(asked, "argsz"), operand(asked, "flags"), operand(asked, "count")];
  if (size === undefined) return undefined;
  if (size < 20n) return `argsz is ${size}, and the struct has 20 bytes`;
  if (flags === undefined || count === undefined) return undefined;
  const wanted = 20n + count * ((flags & 4n) !== 0n ? 4n : (flags & 2n) !== 0n ? 1n : 0n);
  return size < wanted && `argsz is ${size}, and with ${count} entries the struct has ${wanted} bytes`;
};

export const deviceArguments: readonly Cause[] = [
  ...othersOf("VFIO_DEVICE_GET_INFO", { EINVAL: [tooShort(16, `${CORE}: vfio_pci_ioctl_get_info`)] }),
  ...othersOf("VFIO_DEVICE_GET_REGION_INFO", {
    EINVAL: [tooShort(32, `${CORE}: vfio_pci_ioctl_get_region_info`)],
  }),
  ...othersOf("VFIO_DEVICE_GET_IRQ_INFO", { EINVAL: [tooShort(16, `${CORE}: vfio_pci_ioctl_get_irq_info`)] }),
  ...othersOf("VFIO_DEVICE_FEATURE", { EINVAL: [tooShort(8, "drivers/vfio/vfio_main.c: vfio_ioctl_device_feature")] }),
  ...othersOf("VFIO_DEVICE_SET_IRQS", {
    EINVAL: [
      {
        id: "argsz",
        mistake: true,
        source: VALIDATE,
        why: "argsz is less than the struct has: 20 bytes, and what its flags say that follows: 4 for each eventfd, 1 for each truth value",
        next: "count the data in",
        holds: shortData,
      },
      {
        id: "flags",
        mistake: true,
        source: VALIDATE,
        why: "flags have no kind of data or more than one, or a bit that the kernel does not know",
        next: "set one of NONE (1), BOOL (2), EVENTFD (4), and one of MASK (8), UNMASK (16), TRIGGER (32)",
        holds: oddFlags,
      },
      {
        id: "index",
        source: VALIDATE,
        why: "there is no such index: INTx is 0, MSI 1, MSI-X 2, errors 3, requests 4; or the device has none of that kind",
        next: "GET_IRQ_INFO says how many of each there are",
        holds: (asked) => {
          const [index, vectors] = [operand(asked, "index"), known(asked, "vectors")];
          if (index === undefined) return undefined;
          if (index > 4n) return `index is ${index}`;
          return vectors === undefined ? undefined : vectors === 0 && `the device has none of index ${index}`;
        },
      },
      {
        id: "vectors",
        source: VALIDATE,
        why: "start and count go beyond the vectors that the device has",
        next: "GET_IRQ_INFO says how many there are",
        holds: (asked) => {
          const [start, count] = [operand(asked, "start"), operand(asked, "count")];
          const vectors = known(asked, "vectors");
          if (start === undefined || count === undefined) return undefined;
          // MSI-X has 2048 at most.
          if (vectors === undefined) return start + count > 2048n ? `${count} from ${start} on` : undefined;
          return start + count > BigInt(vectors) && `${count} from ${start} on, and the device has ${vectors}`;
        },
      },
      {
        id: "nothing-on",
        source: `${INTRS}: vfio_pci_set_msi_trigger, vfio_pci_set_intx_trigger, vfio_pci_set_ctx_trigger_single`,
        why: "interrupts of that kind are not on: there is nothing to switch off or to fire",
        next: "switch them on by eventfds first",
        holds: (asked) => {
          const flags = operand(asked, "flags");
          if (flags === undefined || !("interrupts" in asked)) return undefined;
          // Data other than eventfds switch nothing on.
          if ((flags & 4n) !== 0n) return false;
          const index = operand(asked, "index");
          return index === undefined ? undefined : BigInt(known(asked, "interrupts") ?? -1) !== index;
        },
      },
      {
        id: "other-kind-on",
        source: `${INTRS}: vfio_pci_set_irqs_ioctl, vfio_pci_set_msi_trigger, vfio_pci_set_intx_trigger`,
        why: "interrupts of another kind are on, and a device has one kind at a time",
        next: "switch those off first: count 0, NONE and TRIGGER",
        holds: (asked) => {
          const [on, index] = [known(asked, "interrupts"), operand(asked, "index")];
          if (!("interrupts" in asked) || index === undefined) return undefined;
          return on !== undefined && index < 3n && BigInt(on) !== index;
        },
      },
      {
        id: "not-eventfd",
        source: `fs/eventfd.c: eventfd_ctx_fileget; ${INTRS}: vfio_msi_set_vector_signal`,
        why: "a descriptor that was given is no eventfd",
        next: "give eventfds, or -1 for a vector that nobody hears",
        holds: (asked) => {
          const other = known(asked, "other");
          return other === undefined ? undefined : other !== "eventfd" && other !== "closed";
        },
      },
    ],
    EBADF: [
      {
        id: "not-open",
        source: `fs/eventfd.c: eventfd_ctx_fdget; ${INTRS}: vfio_msi_set_vector_signal, vfio_msi_set_block, vfio_pci_set_msi_trigger`,
        why: "a descriptor that was given is not open; vectors before it have lost theirs",
        next: "give eventfds, or -1 for a vector that nobody hears",
      },
    ],
    ENOTTY: [
      {
        id: "no-action",
        mistake: true,
        source: `${INTRS}: vfio_pci_set_irqs_ioctl`,
        why: "flags have no action, or more than one",
        next: "set one of MASK (8), UNMASK (16), TRIGGER (32); mask vectors in the device's own registers",
        holds: otherActions,
      },
    ],
    ERANGE: [
      {
        id: "no-count",
        source: `${INTRS}: vfio_pci_set_msi_trigger; drivers/pci/msi/api.c: pci_alloc_irq_vectors`,
        why: "count is 0 beside eventfds",
        next: "give one at least; NONE switches off",
        holds: when(["count"], (count) => count === 0n),
      },
    ],
  }),
  ...othersOf("VFIO_DEVICE_GET_PCI_HOT_RESET_INFO", {
    EINVAL: [tooShort(12, `${CORE}: vfio_pci_ioctl_get_pci_hot_reset_info`)],
    ENOSPC: [
      {
        id: "no-room",
        source: `${CORE}: vfio_pci_ioctl_get_pci_hot_reset_info`,
        why: "argsz has no room for the devices of the bus; count says how many there are, 8 bytes each",
        next: "call it again with so much more",
      },
    ],
  }),
  ...othersOf("VFIO_DEVICE_PCI_HOT_RESET", {
    EINVAL: [
      tooShort(12, `${CORE}: vfio_pci_ioctl_pci_hot_reset, vfio_pci_ioctl_pci_hot_reset_groups`),
      {
        id: "no-groups",
        source: `${CORE}: vfio_pci_ioctl_pci_hot_reset_groups`,
        why: "no group was given: count is 0, or more than the devices of the bus",
        next: "give the descriptor of each group of the bus",
        // How many devices the bus has nobody knows here; one there is.
        holds: when(["count"], (count) => count === 0n || (count === 1n ? false : undefined)),
      },
    ],
  }),
  ...othersOf("mapped access", {
    EIO: [
      {
        id: "memory-off",
        source: `${CORE}: vfio_pci_mmap_huge_fault, vfio_pci_zap_bars`,
        why: "a register that is mapped raises SIGBUS: the device's memory is switched off in the command register, it sleeps, or is in a reset",
        next: "switch it on (bit 1 of the command register), and let no thread touch registers while the device is reset",
      },
    ],
  }),
  ...othersOf("mmap of a region", {
    EINVAL: [
      {
        id: "alignment",
        source: "mm/mmap.c: ksys_mmap_pgoff",
        why: "the offset is no multiple of the CPU's page",
        next: "map whole pages, and look at what lies within them",
      },
      {
        id: "no-region",
        source: `${CORE}: vfio_pci_core_mmap`,
        why: "the device has no region of that number",
        next: "take the offset that GET_REGION_INFO says: bits 40 and above are the region's number",
      },
      {
        id: "private",
        mistake: true,
        source: `${CORE}: vfio_pci_core_mmap`,
        why: "the mapping is private (MAP_PRIVATE): a device's registers cannot be copied when they are written",
        next: "map it with MAP_SHARED",
        holds: when(
          ["flags"],
          (flags) => (flags & MAP_SHARED) === 0n && `flags are ${hex(flags)}, without MAP_SHARED (1)`,
        ),
      },
      {
        id: "past-the-end",
        source: `${CORE}: vfio_pci_core_mmap`,
        why: "it reaches past the region's end, rounded up to the CPU's page",
        next: "GET_REGION_INFO says size and offset",
      },
    ],
  }),
];
