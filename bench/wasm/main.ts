/** `npm run wasm:report` */
import { wasmReport } from "./report.ts";

console.log(wasmReport());
