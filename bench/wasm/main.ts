/** `npm run wasm:report` */
import { coreReport } from "./report.ts";

console.log(coreReport(true));
