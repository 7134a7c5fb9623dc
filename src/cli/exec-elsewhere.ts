/** `dma-window exec` in the package, which has no room for it: in its place there (tools/lib.mjs) is where it can be had. */
import { ExecStatus } from "../exec/status.ts";
import type { ExecLine } from "./exec-line.ts";

export async function execCommand(_: ExecLine, warn: (text: string) => void): Promise<number> {
  warn(
    "dma-window: exec is not in the package: in a checkout, after npm ci, it is `node dist/cli/main.js exec`; " +
      "`dma-window docs exec` says how",
  );
  return ExecStatus.UNAVAILABLE;
}
