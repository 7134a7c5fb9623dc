import type { ErrorLog } from "./error-log.ts";
import type { Events } from "./events.ts";
import type { Features } from "./features.ts";
import type { HostMemory } from "./host-memory.ts";
import type { Namespace } from "./namespace.ts";
import type { NvmeSettings } from "./options.ts";
import type { Queues } from "./queues.ts";

/** What commands are carried out on. */
export interface ControllerState {
  readonly settings: NvmeSettings;
  /** By NSID, from 1 on; `undefined` where none is. */
  readonly namespaces: readonly (Namespace | undefined)[];
  /** The highest NSID that may be named. */
  readonly namespaceLimit: number;
  /** The most bytes that one command moves. */
  readonly mostBytes: number;
  readonly queues: Queues;
  readonly memory: HostMemory;
  readonly features: Features;
  readonly events: Events;
  readonly errors: ErrorLog;
  /** Whether CC's sizes of entries are those of this controller: without them there are no I/O queues. */
  readonly entrySizes: { readonly submission: boolean; readonly completion: boolean };
}
