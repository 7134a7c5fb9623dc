/**
 * What the limits and rights of a machine guard. Advice that lowers one says this first: whoever follows it should know what it
 * costs. Each is a sentence without a capital and a full stop, for the middle of a message.
 */
export const guards = {
  /** RLIMIT_MEMLOCK, CAP_IPC_LOCK */
  lockedMemory: "the limit keeps one user from locking all of the machine's memory",
  /** RLIMIT_NOFILE */
  openFiles: "the limit keeps a program that forgets to close files from taking the kernel's memory",
  /** /proc/sys/fs/file-max */
  openFilesOfAll: "the limit keeps open files from filling the kernel's memory",
  /** RLIMIT_AS, RLIMIT_DATA */
  addressSpace: "the limit keeps one program from taking all of the machine's memory",
  /** vm.max_map_count */
  mapCount: "the limit keeps one program from filling the kernel's memory with records of address space",
  /** dma_entry_limit */
  dmaEntries: "the limit keeps a program from filling the kernel's memory with records of maps",
  /** memory.max */
  memoryCgroup: "the limit keeps one container from taking the memory of the others",
  /** hugetlb.*.max */
  hugetlbCgroup: "the limit keeps one container from taking the pages of the others",
  /** CAP_SYS_ADMIN, for pagemap and iomem */
  physicalAddresses: "physical addresses help to attack the kernel, which shows them to root alone",
} as const;

/** The same with a capital: at the beginning of a sentence. */
export function sentence(guard: string): string {
  return `${guard.charAt(0).toUpperCase()}${guard.slice(1)}`;
}
