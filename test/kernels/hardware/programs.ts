/** The programs that run on a machine: in an image as bundles side by side, elsewhere the sources themselves. */
import { fileURLToPath } from "node:url";

const isSource = import.meta.url.endsWith(".ts");

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));

export const programs = {
  /** The parts: `guest.mjs PART`. */
  guest: path(isSource ? "../guest/main.ts" : "guest.mjs"),
  /** Rows, by name or all of them. */
  conformance: path(isSource ? "../../conformance/guest.ts" : "conformance.mjs"),
  /** The parts on a machine that is not ours. */
  hardware: path(isSource ? "main.ts" : "hardware.mjs"),
  /** The command line of the NVMe driver. */
  nvme: path(isSource ? "../../../examples/nvme/main.mjs" : "nvme.mjs"),
};

/**
 * The environment for a program and all that it starts. Sources need their loader, which is told to leave no cache behind:
 * some are started as another user.
 */
export function environment(own: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  if (!isSource) return { ...own };
  const options = [own.NODE_OPTIONS, `--import=${import.meta.resolve("tsx")}`].filter((option) => option).join(" ");
  return { ...own, NODE_OPTIONS: options, TSX_DISABLE_CACHE: "1" };
}
