/** What the process is warned of, in the command's own voice. */

/** By `openContainer` of a container without an IOMMU: its devices reach all memory. */
const NO_IOMMU = "DMA_WINDOW_NO_IOMMU";

/**
 * From now on a container without an IOMMU is warned of as everything is that is no result: in one line, on stderr. On the
 * software kernel it is not: no memory of this machine is in reach. Other warnings stay as they are, and where the process
 * was told to give none, there is none.
 */
export function warnInOwnWords(isSoftware: boolean): void {
  const others = process.listeners("warning");
  if (others.length === 0) return;
  process.removeAllListeners("warning");
  process.on("warning", (warning) => {
    if (!("code" in warning) || warning.code !== NO_IOMMU) for (const listener of others) listener(warning);
    else if (!isSoftware) process.stderr.write(`dma-window: warning: ${warning.message} [${NO_IOMMU}]\n`);
  });
}
