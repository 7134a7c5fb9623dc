// Node 20 loads TypeScript in a worker only where that is asked for there.
import { register } from "tsx/esm/api";

register();
await import("./thread.ts");
