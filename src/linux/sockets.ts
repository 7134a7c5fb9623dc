/**
 * Sockets that read into memory of the program's: `onread` of a net.Socket, and so of `tls.connect` and a terminal.
 *
 * Node takes the address of such a buffer when the socket gets its handle, and reads to that address whenever data comes, whatever
 * has become of the buffer meanwhile (src/stream_base.cc: StreamBase::UseUserBuffer, CustomBufferJSListener). No request is
 * under way while it waits, so libuv's count of these says nothing. But the socket keeps the array in a property of its own
 * (lib/net.js: initSocketHandle; lib/internal/stream_base_commons.js: onStreamRead), for as long as the address is in use.
 *
 * A buffer that has been detached has no address to give: so once no socket reads into what it had, none ever will.
 */
import process from "node:process";
import { apply, kindOf } from "../captured.ts";

/** What is needed of the shim. */
interface Streams {
  openStreams<T>(list: () => T): T | undefined | null;
}

type Handles = readonly Readonly<Record<symbol, unknown>>[];

/** Taken at once: what a program puts in their place later is not called. */
const { _getActiveHandles: activeHandles, getBuiltinModule } = process as typeof process & {
  readonly _getActiveHandles?: () => Handles;
};
const { getOwnPropertySymbols } = Object;

/** Bun takes the address anew for each read, and refuses a buffer that is gone. */
const isBun = process.versions.bun !== undefined;
/** Deno's list has all streams, also those that do not keep a program running; its loop is not libuv's. */
const listsAll = process.versions.deno !== undefined;

/** By what a socket names its array. `undefined` where this version does so in another way. */
let name: symbol | undefined;

function findName(): symbol | undefined {
  const { Socket } = apply(getBuiltinModule, process, ["node:net"]) as typeof import("node:net");
  const symbols = getOwnPropertySymbols(new Socket());
  for (let i = 0; i < symbols.length; i++) if (symbols[i]?.description === "kBuffer") return symbols[i];
  return undefined;
}

/**
 * Whether an open socket of this thread reads into an array of which `is` holds; `undefined`: nobody can say. Costs a walk over the
 * handles of the loop, and 0.2 us for each where a stream is among them.
 */
export function isReadInto(shim: Streams, is: (array: Uint8Array) => boolean): boolean | undefined {
  if (isBun) return false;
  try {
    const list = () => apply(activeHandles as () => Handles, process, []);
    const handles = listsAll ? list() : shim.openStreams(list);
    if (handles === undefined) return false;
    name ??= findName();
    if (handles === null || name === undefined) return undefined;
    for (let i = 0; i < handles.length; i++) {
      const array = handles[i]?.[name];
      if (kindOf(array) === "Uint8Array" && is(array as Uint8Array)) return true;
    }
    return false;
  } catch {
    return undefined;
  }
}
