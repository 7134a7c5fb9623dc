/** What the buttons of the page paste. */
export const EXAMPLES = {
  iomem: `00000000-00000fff : Reserved
00001000-0009fbff : System RAM
00100000-bffdffff : System RAM
  01000000-01ffffff : Kernel code
fee00000-fee00fff : Local APIC
100000000-103fffffff : System RAM
`,
  log: "vfio_container_dma_map(0x55d0c2a3b2a0, 0xfec00000, 0x1000, 0x7f3a4c000000) = -22 (Invalid argument)",
} as const;
