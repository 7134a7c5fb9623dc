/** The NVM command set's opcodes. NVMe 1.4, 6. */
export const Io = { FLUSH: 0, WRITE: 1, READ: 2, COMPARE: 5, WRITE_ZEROES: 8, DATASET: 9 } as const;

/** All namespaces that there are. */
export const EVERY_NAMESPACE = 0xffff_ffff;
