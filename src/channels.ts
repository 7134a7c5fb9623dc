/**
 * What this library says to whoever listens, by Node's `diagnostics_channel`. A message is made when somebody does, and at no other
 * time; a channel costs a look at one field. Where there is no such module, as in a browser, nobody listens ever.
 *
 *     import { subscribe } from "node:diagnostics_channel";
 *     subscribe("dma-window:map", (message) => console.log(message));
 *
 * Whoever listens is called within the operation, and may ask, but not change anything (`ERR_BUSY`). What it throws changes nothing
 * here: Node makes it an uncaught exception of the process.
 */

/** Who had memory mapped, or unmapped: the program by `window.map` and its like, a memory that is attached, or a window that closes. */
export type Mapper = "program" | "memory" | "window";

/** On `dma-window:map`, when all of them are mapped: one message for each crossing into the kernel. */
export interface MapMessage {
  /** The container's number, as `memory.mapped` has it. */
  readonly container: number;
  /** Where the window begins. */
  readonly window: bigint;
  readonly by: Mapper;
  readonly maps: readonly {
    readonly va: bigint;
    readonly iova: bigint;
    /** Bytes. */
    readonly length: bigint;
    readonly read: boolean;
    readonly write: boolean;
  }[];
  /** How long the checks and the kernel took. */
  readonly milliseconds: number;
}

/** On `dma-window:unmap`, likewise. */
export interface UnmapMessage extends Omit<MapMessage, "maps"> {
  readonly maps: readonly { readonly va: bigint; readonly iova: bigint; readonly length: bigint }[];
}

/** On `dma-window:window`. */
export interface WindowMessage {
  readonly event: "created" | "closed";
  readonly container: number;
  readonly kind: "spapr" | "type1" | "noiommu";
  readonly start: bigint;
  /** Bytes. */
  readonly size: bigint;
  readonly pageSize: bigint;
  readonly iovaMode: "rebased" | "va" | "pa";
}

/** On `dma-window:device`. */
export interface DeviceMessage {
  readonly event: "opened" | "reset" | "closed";
  /** `0000:01:00.0` */
  readonly address: string;
  readonly group: number;
  /** Of a reset: of the device alone, or of its whole bus. */
  readonly reset?: "device" | "bus";
  /** Of one that closed: whether it had gone by then. */
  readonly gone?: boolean;
}

/** On `dma-window:failure`: an operation that was refused, by this library or by the kernel, and threw. */
export interface FailureMessage {
  /** `window.map`, `memory.allocate`: what was called. */
  readonly operation: string;
  /** What it threw. */
  readonly error: unknown;
}

/** A channel, as far as it is used here. */
interface Channel {
  readonly hasSubscribers: boolean;
  publish(message: unknown): void;
}

const NOBODY: Channel = Object.freeze({ hasSubscribers: false, publish() {} });

function channel(name: string): Channel {
  const node = globalThis.process?.getBuiltinModule?.("node:diagnostics_channel");
  return node?.channel(`dma-window:${name}`) ?? NOBODY;
}

/** One object for each, for ever: whoever subscribes changes it. */
const map = channel("map");
const unmap = channel("unmap");
const window = channel("window");
const device = channel("device");
const failure = channel("failure");

export const channels = { map, unmap, window, device, failure } as const;

export function tellDevice(message: DeviceMessage): void {
  device.publish(message);
}

/** Errors that were told: one that passes several operations is told once, by the innermost. */
const told = new WeakSet<object>();

/** Whoever is told calls the library, and is refused: that is thrown there, and told to nobody, or it would be told without end. */
let isTelling = false;

/** Tells of an operation that ends with an error, which it gives back to be thrown. */
export function failed<E>(operation: string, error: E): E {
  if (!failure.hasSubscribers || isTelling) return error;
  const isObject = typeof error === "object" && error !== null;
  if (isObject && told.has(error)) return error;
  if (isObject) told.add(error);
  isTelling = true;
  try {
    failure.publish({ operation, error } satisfies FailureMessage);
  } finally {
    isTelling = false;
  }
  return error;
}
