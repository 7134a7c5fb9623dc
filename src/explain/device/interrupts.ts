/** Interrupts of a device, and the eventfds by which they are heard. */
import { guards } from "../../guards.ts";
import { type Cause, causesOf } from "../cause.ts";
import { known, operand } from "../facts.ts";
import { openFiles } from "../questions.ts";
import { CORE, kernelMemory, memoryOf, unplugged, wake } from "./common.ts";

const INTRS = "drivers/vfio/pci/vfio_pci_intrs.c";

export const interruptCauses: readonly Cause[] = [
  ...causesOf("VFIO_DEVICE_SET_IRQS", {
    EINVAL: [
      {
        id: "other-kind",
        summary: true,
        source: `${INTRS}: vfio_pci_set_msi_trigger, vfio_pci_set_intx_trigger`,
        why: "interrupts of another kind are on, or none where some have to be",
        next: "switch them off first",
      },
      {
        id: "no-resize",
        source: `${INTRS}: vfio_msi_set_block, vfio_pci_set_msi_trigger`,
        holds: (asked) => {
          const [on, count] = [known(asked, "interrupts"), known(asked, "vectorsOn")];
          const [index, start, more] = ["index", "start", "count"].map((name) => operand(asked, name));
          if (on === undefined || count === undefined || index === undefined) return undefined;
          if (start === undefined || more === undefined) return undefined;
          return BigInt(on) === index && start + more > BigInt(count);
        },
        why: "the kernel cannot add vectors to those that are on (NORESIZE)",
        next: "switch all on in one call: irqs.msix(count), or vectors.grow(count)",
      },
      {
        id: "too-many",
        summary: true,
        source: "drivers/vfio/vfio_main.c: vfio_set_irqs_validate_and_prepare",
        why: "the device has not so many vectors, or the call's struct is not one",
        next: "ask for no more than device.info.irqs says",
      },
      {
        id: "not-an-eventfd",
        summary: true,
        source: "fs/eventfd.c: eventfd_ctx_fileget",
        why: "the descriptor is no eventfd any more: it was closed, and opened for another file, behind this library's back",
        next: "let nobody close descriptors that are not theirs",
      },
    ],
    EBADF: [
      {
        id: "descriptor",
        summary: true,
        source: "fs/eventfd.c: eventfd_ctx_fdget",
        why: "an eventfd was closed behind this library's back",
        next: "let nobody close descriptors that are not theirs",
      },
    ],
    ENOTTY: [
      {
        id: "action",
        source: `${INTRS}: vfio_pci_set_irqs_ioctl`,
        why: "interrupts of this kind cannot be masked or unmasked",
        next: "mask them in the device's own registers",
      },
    ],
    ENOSPC: [
      {
        id: "vectors",
        source: "drivers/pci/msi/msi.c: pci_alloc_irq_vectors",
        why: "the machine has no interrupt vectors left",
        next: "ask for fewer",
      },
    ],
    EBUSY: [
      {
        id: "intx-shared",
        source: `${INTRS}: vfio_intx_set_signal, request_irq`,
        why: "the device's interrupt line is shared with another device's driver, and this device cannot mask its own part",
        next: "use MSI or MSI-X, or unbind that driver",
      },
      {
        id: "two-users",
        source: "virt/lib/irqbypass.c: irq_bypass_register_producer",
        why: "the interrupt belongs to another user already",
        next: "switch it off there first",
      },
    ],
    ERANGE: [
      {
        id: "no-vectors",
        summary: true,
        source: "drivers/pci/msi/api.c: pci_alloc_irq_vectors",
        why: "no vector was asked for",
        next: "ask for one at least",
      },
    ],
    ENODEV: [unplugged],
    EIO: [wake],
    ENOMEM: [kernelMemory],
    EFAULT: [memoryOf(`${CORE}: vfio_pci_ioctl_set_irqs`)],
  }),
  ...causesOf("eventfd", {
    EMFILE: [
      {
        id: "open-files",
        source: "fs/file.c: alloc_fd",
        why: "this process has as many files open as it may, and each interrupt vector is one",
        guards: guards.openFiles,
        next: "ask for fewer vectors, close some files, or raise the limit (ulimit -n)",
        ask: openFiles,
      },
    ],
    ENFILE: [
      {
        id: "all-files",
        source: "fs/file_table.c: alloc_empty_file",
        why: "the machine has as many files open as it may (fs.file-max)",
        next: "close some",
      },
    ],
    ENODEV: [
      {
        id: "anonymous-inodes",
        source: "fs/eventfd.c: do_eventfd",
        why: "the kernel could not mount its device of anonymous files",
        next: "see the kernel's log (dmesg)",
      },
    ],
    ENOMEM: [kernelMemory],
    EBADF: [
      {
        id: "descriptor",
        source: "fs/eventfd.c: eventfd_read",
        why: "the eventfd was closed behind this library's back",
        next: "let nobody close descriptors that are not theirs",
      },
    ],
    EINVAL: [
      {
        id: "descriptor",
        source: "fs/eventpoll.c: do_epoll_ctl",
        why: "the descriptor is no eventfd any more",
        next: "let nobody close descriptors that are not theirs",
      },
    ],
    EPERM: [
      {
        id: "not-pollable",
        source: "fs/eventpoll.c: do_epoll_ctl",
        why: "the descriptor is of a file that nobody can wait for",
        next: "let nobody close descriptors that are not theirs",
      },
    ],
  }),
];
