import { before, read } from "../drift.ts";
import { Distance, Flag, Irq, NOT_OPEN, type OpenDevice } from "../open-device.ts";
import { DEVICES, DEVICES_OF_TYPE1, o, ofNvme, type Section, SPAPR } from "../row.ts";
import { GROWS } from "./changes.ts";
import * as from from "./sources.ts";

const { MSIX, MSI, INTX, ERR, REQ } = Irq;
const { NONE, BOOL, EVENTFD, MASK, UNMASK, TRIGGER } = Flag;

export const setIrqsBad: Section = {
  call: "VFIO_DEVICE_SET_IRQS",
  begin: "device",
  // biome-ignore format: a table is read by its columns
  rows: ofNvme([
    ["nothing is on: switched off, fired", DEVICES, o(from.msiTrigger), "EINVAL, EINVAL", ({ device: d }) => [d.disable(), d.fire()]],
    ["argsz 16; argsz 20 with an eventfd behind it", DEVICES, o(from.irqsValid), "EINVAL, EINVAL", ({ device: d }) => [16, 20].map((argsz) => d.setIrqs({ flags: EVENTFD | TRIGGER, fds: [d.event()], argsz }))],
    ["a pointer that leads nowhere", DEVICES, o(from.irqsIoctlCopy), "EFAULT", (p) => p.callsRaw(Distance.SET_IRQS, 0), { raw: "ioctl" }],
    ["flags 0, two kinds of data, a flag that there is not", DEVICES, o(from.irqsValid), "EINVAL, EINVAL, EINVAL", ({ device: d }) => [0, EVENTFD | BOOL | TRIGGER, EVENTFD | TRIGGER | 64].map((flags) => d.setIrqs({ flags, fds: [d.event()] }))],
    ["no action, two actions", DEVICES, o(from.irqsIoctl), "ENOTTY, ENOTTY", ({ device: d }) => [EVENTFD, EVENTFD | TRIGGER | MASK].map((flags) => d.setIrqs({ flags, fds: [d.event()] }))],
    ["index 5", DEVICES, o(from.irqsValid), "EINVAL", ({ device: d }) => d.listen([d.event()], 0, 5)],
    ["one vector more than there are; begun behind the last", DEVICES, o(from.irqsValid), "EINVAL, EINVAL", ({ device: d }) => { const count = d.vectors(MSIX); return [d.listen(Array(count + 1).fill(-1)), d.listen([d.event()], count)]; }],
    ["start and count wrap", DEVICES, o(from.irqsValid), "EINVAL", ({ device: d }) => d.listen(d.events(2), 0xffff_ffff)],
    ["count 0 with eventfds", DEVICES, o(from.msiTrigger), "ERANGE", ({ device: d }) => d.setIrqs({ flags: EVENTFD | TRIGGER })],
    ["the descriptor of something else, one that is not open: nothing is on then", DEVICES, o(from.msiVector), "EINVAL, EBADF, control 0x40", ({ device: d, container }) => [d.listen([container]), d.listen([NOT_OPEN]), d.msixControl()]],
    ["a negative descriptor, not only -1: no eventfd for that vector, and MSI-X is on", DEVICES, o(from.msiVector), "0, control 0x8040", ({ device: d }) => [d.listen([-2]), d.msixControl()]],
    ["MASK and UNMASK of MSI-X", DEVICES, o(from.irqsIoctl), "0, ENOTTY, ENOTTY", ({ device: d }) => [d.listen(d.events(1)), ...[MASK, UNMASK].map((action) => d.setIrqs({ flags: NONE | action, count: 1 }))]],
    ["MSI of a device without it", DEVICES, o(from.irqsValid), "EINVAL", ({ device: d }) => d.listen([d.event()], 0, MSI)],
  ]),
};

export const setIrqsMsix: Section = {
  call: "VFIO_DEVICE_SET_IRQS",
  begin: "device",
  // biome-ignore format: a table is read by its columns
  rows: ofNvme([
    ["only eventfd -1, as the first: MSI-X is on, and nobody hears it; switched off", DEVICES, o(from.msiEnable), "0, control 0x8040, 0, control 0x40", ({ device: d }) => [d.listen([-1]), d.msixControl(), d.disable(), d.msixControl()]],
    ["begun at vector 2, as the first: those before it are on too, with nobody listening", DEVICES, o(from.msiTrigger), "0, control 0x8040, 0, heard 1", ({ device: d }) => { const event = d.event(); return [d.listen([event], 2), d.msixControl(), d.fire(0, 3), d.heard(event)]; }],
    ["begun at vector 2, while one is on", DEVICES_OF_TYPE1, o(from.msiBlock), before(GROWS, read("0, EINVAL, control 0x8040"), "0, 0, control 0x8040"), ({ device: d }) => [d.listen([-1]), d.listen([d.event()], 2), d.msixControl()]],
    ["begun at vector 2, while one is on", SPAPR, o(from.msiBlock), "0, EINVAL, control 0x8040", ({ device: d }) => [d.listen([-1]), d.listen([d.event()], 2), d.msixControl()]],
    ["four eventfds: MSI-X is on, and INTx is not switched off for the program to see", DEVICES, o(from.msiEnable), "0, control 0x8040, command 0x6", ({ device: d }) => { d.command(6); return [d.listen(d.events(4)), d.msixControl(), d.command()]; }],
    ["each fired without the device (DATA_NONE)", DEVICES, o(from.msiTrigger), "0, 0, 0, 0, heard 1 1 1 1", ({ device: d }) => { const all = listening(d, 4); return [...[0, 1, 2, 3].map((start) => d.fire(start)), d.heard(...all)]; }],
    ["three of four fired (DATA_BOOL)", DEVICES, o(from.msiTrigger), "0, heard 1 0 1 1", ({ device: d }) => { const all = listening(d, 4); return [d.setIrqs({ flags: BOOL | TRIGGER, bools: [1, 0, 1, 1] }), d.heard(...all)]; }],
    ["fired twice before it is heard", DEVICES, o(from.msiTrigger), "0, 0, heard 2, heard 0", ({ device: d }) => { const all = listening(d, 1); return [d.fire(), d.fire(), d.heard(...all), d.heard(...all)]; }],
    ["one more vector while four are on", DEVICES_OF_TYPE1, o(from.msiBlock), before(GROWS, read("EINVAL, 0, heard 0"), "0, 0, heard 1"), ({ device: d }) => grow(d)],
    ["one more vector while four are on", SPAPR, o(from.msiBlock), "EINVAL, 0, heard 0", ({ device: d }) => grow(d)],
    ["the eventfd of one is taken away: it is fired all the same, and not heard", DEVICES, o(from.msiVector), "0, 0, heard 0", ({ device: d }) => { const all = listening(d, 4); return [d.listen([-1], 1), d.fire(1), d.heard(all[1] as number)]; }],
    ["the eventfd of one is replaced", DEVICES, o(from.msiVector), "0, 0, heard 0 1", ({ device: d }) => { const [old = -1] = listening(d, 4); const fresh = d.event(); return [d.listen([fresh]), d.fire(), d.heard(old, fresh)]; }],
    ["one eventfd for two vectors", DEVICES, o(from.msiVector), "0, 0, heard 2", ({ device: d }) => { listening(d, 4); const both = d.event(); return [d.listen([both, both], 2), d.fire(2, 2), d.heard(both)]; }],
    ["a good eventfd, a bad one, a good one, while three are on: those before the bad one are deaf from then on, and so is that; the third has its old one", DEVICES, o(from.msiBlock), "EBADF, 0, heard 0 0 1, heard 0 0", ({ device: d }) => { const old = listening(d, 3); const [first = -1, third = -1] = d.events(2); return [d.listen([first, NOT_OPEN, third]), d.fire(0, 3), d.heard(...old), d.heard(first, third)]; }],
    ["the same as the first: nothing is on", DEVICES, o(from.msiTrigger), "EBADF, control 0x40, EINVAL", ({ device: d }) => { const [first = -1, third = -1] = d.events(2); return [d.listen([first, NOT_OPEN, third]), d.msixControl(), d.fire()]; }],
    ["the program has closed its eventfd: the kernel has it still", DEVICES, o(from.msiTrigger), "0, 0", ({ device: d }) => { const [only = -1] = listening(d, 1); return [d.closeEvent(only), d.fire()]; }],
    ["MSI and INTx while MSI-X is on", DEVICES, o(from.irqsIoctl), "EINVAL, EINVAL", ({ device: d }) => { listening(d, 1); return [d.listen([d.event()], 0, MSI), d.listen([d.event()], 0, INTX)]; }],
    ["switched off, and once more", DEVICES, o(from.msiTrigger), "0, control 0x40, EINVAL", ({ device: d }) => { listening(d, 1); return [d.disable(), d.msixControl(), d.disable()]; }],
    ["all vectors at once, the last fired", DEVICES, o(from.msiEnable), "65, 0, control 0x8040, 0, heard 1", ({ device: d }) => { const all = d.events(d.vectors(MSIX)); return [all.length, d.listen(all), d.msixControl(), d.fire(all.length - 1), d.heard(all.at(-1) as number)]; }],
    ["more vectors than there are, while some are on: nothing has changed", DEVICES, o(from.irqsValid), "EINVAL, 0, heard 1", ({ device: d }) => { const [first = -1] = listening(d, 4); return [d.listen(Array(d.vectors(MSIX) + 1).fill(-1)), d.fire(), d.heard(first)]; }],
  ]),
};

export const setIrqsOthers: Section = {
  call: "VFIO_DEVICE_SET_IRQS",
  begin: "device",
  // biome-ignore format: a table is read by its columns
  rows: ofNvme([
    ["INTx: an eventfd, fired", DEVICES, o(from.intxTrigger), "0, command 0x6, 0, heard 1", ({ device: d }) => { d.command(6); const event = d.event(); return [d.listen([event], 0, INTX), d.command(), d.fire(0, 1, INTX), d.heard(event)]; }],
    ["INTx: MASK, UNMASK, UNMASK by an eventfd", DEVICES, o(from.intxMask), "0, 0, 0, 0", ({ device: d }) => [d.listen([d.event()], 0, INTX), ...[MASK, UNMASK].map((action) => d.setIrqs({ index: INTX, flags: NONE | action, count: 1 })), d.setIrqs({ index: INTX, flags: EVENTFD | UNMASK, fds: [d.event()] })]],
    ["INTx: two of them", DEVICES, o(from.irqsValid), "EINVAL", ({ device: d }) => d.listen(d.events(2), 0, INTX)],
    ["INTx: switched off, fired", DEVICES, o(from.intxTrigger), "0, 0, EINVAL", ({ device: d }) => [d.listen([d.event()], 0, INTX), d.disable(INTX), d.fire(0, 1, INTX)]],
    ["MSI-X while INTx is on", DEVICES, o(from.msiTrigger), "0, EINVAL", ({ device: d }) => [d.listen([d.event()], 0, INTX), d.listen([d.event()])]],
    ["an eventfd for errors, fired", DEVICES, o(from.singleTrigger), "0, 0, heard 1", ({ device: d }) => notice(d, ERR)],
    ["an eventfd for requests to give it back, fired", DEVICES, o(from.singleTrigger), "0, 0, heard 1", ({ device: d }) => notice(d, REQ)],
    ["that is taken away with -1, and with no data: the second time there is none", DEVICES, o(from.singleTrigger), "0, 0, EINVAL", ({ device: d }) => [d.listen([d.event()], 0, REQ), d.listen([-1], 0, REQ), d.disable(REQ)]],
  ]),
};

/** MSI-X with so many vectors is on; their eventfds. */
function listening(d: OpenDevice, count: number): number[] {
  const all = d.events(count);
  if (d.listen(all) !== 0) throw new Error(`MSI-X cannot be switched on with ${count} vectors`);
  return all;
}

/** A fifth vector beside four, which is fired. */
function grow(d: OpenDevice): readonly (number | string)[] {
  listening(d, 4);
  const fifth = d.event();
  return [d.listen([fifth], 4), d.fire(4), d.heard(fifth)];
}

function notice(d: OpenDevice, index: number): readonly (number | string)[] {
  const event = d.event();
  return [d.listen([event], 0, index), d.fire(0, 1, index), d.heard(event)];
}
