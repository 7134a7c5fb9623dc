/** What `--help` prints: a screen of all commands, and of each command its options. 80 columns. */

export const HELP = `dma-window: a DMA window, sized once

  dma-window run                 a storm of allocations through a window, and
                                 through one that is resized (POWER)
  dma-window plan                plan a window, and say why; nothing is created
  dma-window show [FILE]         draw a window by address: a plan, a trace
  dma-window replay FILE         make the system calls of a trace again
  dma-window doctor              what keeps this machine's devices from a
                                 program, and what mends it; changes nothing
  dma-window exec -- PROGRAM     what any VFIO program does wrong with DMA
  dma-window explain CALL ERRNO | LINE
                                 why VFIO answers so: a call, or a line of a log
                                 of DPDK, SPDK, QEMU, strace or dmesg
  dma-window devices [ADDRESS]   PCI devices, and what would be lost if VFIO had
                                 one
  dma-window bind ADDRESS        take a device from its driver, for vfio-pci
  dma-window unbind ADDRESS      give it back
  dma-window docs [NAME]         this package's documents

  --kernel model|linux           the software kernel, or this machine's VFIO
  --json                         one JSON document instead of words, errors too
  --version, --help              --help with a command: its options

  Exit codes: 0 done; 1 it could not be done; 2 wrong usage.
`;

const KERNEL = `
  --kernel model|linux     the software kernel (default), or this machine's VFIO
  --platform powernv|pseries|type1|noiommu
                           with --kernel model: POWER's bare metal (default) or
                           an LPAR, an IOMMU of x86 and Arm, or none at all
  --group N                with --kernel linux: the IOMMU group of the device,
                           bound to vfio-pci; may be repeated`;

const NO_IOMMU = `
  --no-iommu               with --kernel linux: the groups are
                           /dev/vfio/noiommu-N, and nothing keeps their devices
                           from any memory of this machine`;

const MEMORY = `
  --iova rebased|va|pa     what a device's address is: an offset in the window
                           (default), the virtual address, or the physical one,
                           which without an IOMMU is all there is, and the
                           default
  --grow-to SIZE           how large memory may become, such as 64G (default:
                           what the memory's lists can hold; in mode pa the
                           machine's highest RAM)
  --highest-ram ADDRESS    the last address of RAM, where /proc/iomem does not
                           say`;

const DESCRIBED = `
  --machine FILE|NAME      the machine that FILE describes, or power10, lpar,
                           laptop or vm. These change it, or describe one by
                           themselves:
  --memory SIZE            of a list of pages of --page-size SIZE
  --cpu-page-size SIZE, --iommu-pages SIZE,SIZE, --iommu-bits N
  --range START-LAST       IOVAs that type1 allows; may be repeated
  --ram SIZE, --memlock SIZE|unlimited, --entries N
  --device-bits N          the address bits of the device`;

const JSON_OPTION = `
  --json                   one JSON document instead of words`;

const ROOT = `
  --root DIR               where the machine's /sys, /proc and /dev lie, such as
                           /host in a container, or a copy of another machine's
  --kernel model|linux     the software kernel's devices, or this machine's
                           (default); with model also --platform`;

/** By command: its line, what it does, its options, and what its exit code says. */
export const HELP_OF: Readonly<Record<string, string>> = {
  run: `dma-window run

  Plans a window for this machine, creates it, maps memory into it, and lets a
  storm of allocations and frees go through it; then, where the kernel has
  windows (POWER), the same storm under the scheme that resizes its window.
${KERNEL}${NO_IOMMU}${MEMORY}
  --steps N                of the storm (default 4000)
  --seed N                 of the storm (default 1)
  --trace FILE             write down every system call of the first storm, for
                           replay, show and explain${JSON_OPTION}

  Exit codes: 0 done; 1 the storm met with failures, interruptions or leaks;
  2 wrong usage.
`,
  plan: `dma-window plan

  Plans a window for this machine, or for one that is described, and says why,
  without creating it.
${DESCRIBED}${KERNEL}${NO_IOMMU}${MEMORY}
  --compare [SIZE,SIZE]    the same memory in pages of each size, side by side
  --output FILE            write the plan as JSON, for readPlan(FILE), and show${JSON_OPTION}

  Exit codes: 0 done; 1 no window can be; 2 wrong usage.
`,
  show: `dma-window show [FILE]

  Draws a window by address: of a plan, or of a trace, also one that is being
  written; without a FILE the plan of this machine or of one that is described.
  FILE may be - for stdin, but not with --follow.

  --storm                  run's storm: a static window beside a dynamic one
  --steps [N]              a trace as it grew, in N moments (default 16); with
                           --storm: how many steps
  --seed N                 with --storm
  --at LINE                a trace as it was after that line (default: when most
                           was live)
  --follow                 the trace of a program that runs, again whenever it
                           changes
  --svg FILE, --html FILE  write the picture, as SVG or as a page that can be
                           zoomed${DESCRIBED}${KERNEL}${MEMORY}${JSON_OPTION}

  COLUMNS says how wide it is (80); NO_COLOR leaves colours out.

  Exit codes: 0 done; 1 it could not be done; 2 wrong usage.
`,
  replay: `dma-window replay FILE

  Makes the system calls of a trace again, and lists every answer that is
  another one. FILE may be - for stdin.

  --kernel model|linux     on the software kernel (default), or this machine's
  --platform powernv|pseries|type1|noiommu
                           with --kernel model; default: what the trace was
                           recorded on
  --group N                instead of the trace's own groups; may be repeated${JSON_OPTION}

  Exit codes: 0 the same answers; 1 others; 2 wrong usage.
`,
  doctor: `dma-window doctor

  One page about this machine: which ways to a device are open (through an
  IOMMU, without one, by the software kernel), what closes the others, and the
  command that mends it. It opens no group, changes nothing and executes
  nothing.
${ROOT}${JSON_OPTION}

  Exit codes: 0 a way to a device is ready; 1 none is; 2 wrong usage.
`,
  exec: `dma-window exec [OPTIONS] -- PROGRAM [ARGUMENT...]

  Runs a program in any language on the software kernel: its /dev/vfio, its PCI
  devices and their groups are the model's, and nothing of this machine's VFIO
  is touched. Says where a device reaches what the program gave back, and other
  mistakes with DMA. A test bench, and no sandbox.

  --platform powernv|pseries|type1|noiommu
                           what the machine is like (default: powernv)
  --group N                the groups; may be repeated (default: 26)
  --devices FILE           an NVMe disk, or edu, for the program to drive: JSON
  --linux VERSION          the version of Linux that answers
  --faults FILE            calls that fail: JSON
  --limits memlock=SIZE,maps=N
                           in place of the program's RLIMIT_MEMLOCK; how many
                           maps type1 takes
  --report FILE            what was found, as one JSON document
  --trace FILE             the calls, for replay, show and explain --trace
  --fail-on KIND|any       fail, with 99, where that was found; may be repeated

  Exit codes: the program's, 128 and its number for a signal; 99 by --fail-on;
  125 a program cannot be supervised here; 126 it cannot be executed; 127 there
  is none; 2 wrong usage.
`,
  explain: `dma-window explain CALL [ANSWER]
dma-window explain ANSWER
dma-window explain LINE
dma-window explain --file FILE | --trace FILE

  Says why VFIO answers so, in the order in which the kernel makes its checks:
  MAP_DMA EINVAL, a line of a log of DPDK, SPDK, QEMU, strace or dmesg, a log on
  stdin or in a file, every failing call of a trace, or a code of this library.

  --platform powernv|pseries|type1|noiommu
                           leaves out what is of other platforms
  --linux VERSION          the kernel's version, such as 6.12.107
  --kernel linux           this machine's files are asked about the causes
  --vaddr, --iova, --size, --argsz, --flags, --page-shift, --levels, --start,
  --index, --count, --argument, --group N, --path, --name TEXT
                           operands of the call${JSON_OPTION}

  Exit codes: 0 explained; 1 nothing to explain; 2 wrong usage.
`,
  devices: `dma-window devices [ADDRESS]

  Lists this machine's PCI devices: class, IOMMU group, driver, and what would
  be lost if VFIO had it; of one also why VFIO would refuse it, and what to do.
${ROOT}${JSON_OPTION}

  Exit codes: 0 done; 1 it could not be done; 2 wrong usage.
`,
  bind: `dma-window bind ADDRESS

  Takes a device from its driver and gives it to vfio-pci; as root.

  --force                  though it is in use, by a disk that is mounted, a
                           network, a console: that is lost${ROOT}${JSON_OPTION}

  Exit codes: 0 done; 1 it could not be done; 2 wrong usage.
`,
  unbind: `dma-window unbind ADDRESS

  Gives a device back to the driver that it had, also after a program that was
  killed; as root.
${ROOT}${JSON_OPTION}

  Exit codes: 0 done; 1 it could not be done; 2 wrong usage.
`,
  docs: `dma-window docs [NAME]

  Prints a document of this package, such as guide, drivers or install; without
  a NAME lists them.
${JSON_OPTION}
  Exit codes: 0 printed; 1 it could not be; 2 wrong usage.
`,
};
