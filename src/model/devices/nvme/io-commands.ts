/** The NVM command set. NVMe 1.4, 6. Of several mistakes in a command the one counts that QEMU finds first. */
import { type Command, flagStatus } from "./command.ts";
import type { ControllerState } from "./controller-state.ts";
import { DISK_PAGE } from "./disk.ts";
import type { HostMemory } from "./host-memory.ts";
import type { Namespace } from "./namespace.ts";
import { EVERY_NAMESPACE, Io } from "./opcodes.ts";
import { LEAST_PAGE } from "./registers.ts";
import { Status } from "./status.ts";

/** Dataset Management: a range, and the attribute that says its blocks are not needed. */
const RANGE_BYTES = 16;
const DEALLOCATE = 4;

/** Carries out a command of an I/O queue, and gives its status. */
export function ioCommand(state: ControllerState, command: Command): number {
  const { nsid, opcode } = command;
  if (nsid === 0 || (nsid > state.namespaceLimit && nsid !== EVERY_NAMESPACE)) return Status.INVALID_NAMESPACE;
  const namespace = state.namespaces[nsid];
  if (namespace === undefined && !(opcode === Io.FLUSH && nsid === EVERY_NAMESPACE)) return Status.INVALID_FIELD;
  const work = WORK[opcode];
  if (work === undefined) return Status.INVALID_OPCODE;
  const status = flagStatus(command);
  return status === Status.SUCCESS ? work(state, command, namespace as Namespace) : status;
}

/** Carries out a command on a namespace, and gives its status. Flush may have none: it takes all. */
type Work = (state: ControllerState, command: Command, namespace: Namespace) => number;

const WORK: (Work | undefined)[] = [];
WORK[Io.FLUSH] = () => Status.SUCCESS; // all that was written is on the disk already
WORK[Io.READ] = transfer;
WORK[Io.WRITE] = transfer;
WORK[Io.COMPARE] = transfer;
WORK[Io.WRITE_ZEROES] = writeZeroes;
WORK[Io.DATASET] = dataset;

/** The first block. Above 2^53 it is not exact, and above the end of every namespace all the same. */
function firstBlock({ dw10, dw11 }: Command): number {
  return dw11 * 2 ** 32 + dw10;
}

function blocksOf({ dw12 }: Command): number {
  return (dw12 & 0xffff) + 1;
}

function transfer(state: ControllerState, command: Command, namespace: Namespace): number {
  const blocks = blocksOf(command);
  const bytes = blocks * namespace.blockBytes;
  if (bytes > state.mostBytes) return Status.INVALID_FIELD;
  const first = firstBlock(command);
  if (first + blocks > namespace.blocks) return Status.LBA_OUT_OF_RANGE;
  const status = state.memory.open(command, bytes);
  if (status !== Status.SUCCESS) return status;
  const start = first * namespace.blockBytes;
  if (command.opcode === Io.COMPARE) return compare(state.memory, namespace, start, bytes);
  if (command.opcode === Io.READ) {
    namespace.reads++;
    namespace.blocksRead += blocks;
    return read(state.memory, namespace, start, bytes);
  }
  namespace.writes++;
  namespace.blocksWritten += blocks;
  return write(state.memory, namespace, start, bytes);
}

/** A piece lies in one page of the disk and in one page of the host. Whole pages of the disk are the views that it has anyway. */
function read(memory: HostMemory, { disk }: Namespace, start: number, bytes: number): number {
  for (let at = start, end = start + bytes; at < end; ) {
    const index = Math.floor(at / DISK_PAGE);
    const within = at - index * DISK_PAGE;
    const length = Math.min(DISK_PAGE - within, end - at);
    const page = disk.page(index);
    if (!memory.write(length === page.length ? page : page.subarray(within, within + length))) {
      return Status.DATA_TRANSFER_ERROR;
    }
    at += length;
  }
  return Status.SUCCESS;
}

/** Blocks before the one where DMA fails are written. */
function write(memory: HostMemory, { disk }: Namespace, start: number, bytes: number): number {
  for (let at = start, end = start + bytes; at < end; ) {
    const index = Math.floor(at / DISK_PAGE);
    const within = at - index * DISK_PAGE;
    const length = Math.min(DISK_PAGE - within, end - at);
    const page = disk.writable(index);
    if (!memory.read(length === page.length ? page : page.subarray(within, within + length))) {
      return Status.DATA_TRANSFER_ERROR;
    }
    at += length;
  }
  return Status.SUCCESS;
}

const compared = new Uint8Array(DISK_PAGE);

function compare(memory: HostMemory, { disk }: Namespace, start: number, bytes: number): number {
  let same = true;
  for (let at = start, end = start + bytes; at < end; ) {
    const index = Math.floor(at / DISK_PAGE);
    const within = at - index * DISK_PAGE;
    const length = Math.min(DISK_PAGE - within, end - at);
    if (!memory.read(compared.subarray(0, length))) return Status.DATA_TRANSFER_ERROR;
    const page = disk.page(index);
    for (let i = 0; i < length && same; i++) same = compared[i] === page[within + i];
    at += length;
  }
  return same ? Status.SUCCESS : Status.COMPARE_FAILURE;
}

function writeZeroes(_state: ControllerState, command: Command, namespace: Namespace): number {
  const blocks = blocksOf(command);
  const first = firstBlock(command);
  if (first + blocks > namespace.blocks) return Status.LBA_OUT_OF_RANGE;
  namespace.disk.clear(first * namespace.blockBytes, blocks * namespace.blockBytes);
  return Status.SUCCESS;
}

/** Ranges are looked at before the first of them is cleared. Blocks that are not needed read as zeros. */
function dataset(state: ControllerState, command: Command, namespace: Namespace): number {
  if ((command.dw11 & DEALLOCATE) === 0) return Status.SUCCESS;
  const ranges = new Uint8Array(((command.dw10 & 0xff) + 1) * RANGE_BYTES);
  const status = state.memory.open(command, ranges.length);
  if (status !== Status.SUCCESS) return status;
  if (!state.memory.read(ranges)) return Status.DATA_TRANSFER_ERROR;
  const view = new DataView(ranges.buffer);
  const { blockBytes, blocks, disk } = namespace;
  const first = (at: number) => view.getUint32(at + 12, true) * 2 ** 32 + view.getUint32(at + 8, true);
  for (let at = 0; at < ranges.length; at += RANGE_BYTES) {
    if (first(at) + view.getUint32(at + 4, true) > blocks) return Status.LBA_OUT_OF_RANGE;
  }
  for (let at = 0; at < ranges.length; at += RANGE_BYTES) {
    disk.clear(first(at) * blockBytes, view.getUint32(at + 4, true) * blockBytes);
  }
  return Status.SUCCESS;
}

/** The limit of a transfer, as MDTS says it; 0: none. */
export function mostBytes(mdts: number): number {
  return mdts === 0 ? Number.POSITIVE_INFINITY : LEAST_PAGE * 2 ** mdts;
}
