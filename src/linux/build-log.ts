/** What the log of a failed build says: the first thing that was missing, and how a distribution calls it. */
import { isThere } from "./permitted.ts";

/** Why the shim could not be built. */
export interface BuildFailure {
  /** For programs: `no-compiler`. */
  readonly reason: string;
  readonly why: string;
  /** What to do before the next build; without a full stop. */
  readonly remedy: string;
}

/** A package, as distributions call it. */
interface Packages {
  readonly debian: string;
  readonly alpine: string;
  readonly fedora: string;
}

/** All that it takes. */
export const compilers: Packages = {
  debian: "apt-get install g++",
  alpine: "apk add g++ linux-headers",
  fedora: "dnf install gcc-c++ kernel-headers",
};
const kernelHeaders: Packages = {
  debian: "apt-get install linux-libc-dev",
  alpine: "apk add linux-headers",
  fedora: "dnf install kernel-headers",
};
const libraryHeaders: Packages = {
  debian: "apt-get install libc6-dev libstdc++-dev",
  alpine: "apk add musl-dev libstdc++-dev",
  fedora: "dnf install glibc-devel libstdc++-devel",
};

interface Sign {
  readonly reason: string;
  readonly sign: RegExp;
  readonly why: string;
  readonly install?: Packages;
  readonly remedy?: string;
}

/** In this order: a log names what came of the first thing that was missing too. */
const signs: readonly Sign[] = [
  {
    reason: "no-kernel-headers",
    sign: /fatal error: '?(linux|asm|asm-generic)\/[\w/.-]+'?(: No such file| file not found)/,
    why: "the headers of the Linux kernel are missing (linux/vfio.h)",
    install: kernelHeaders,
  },
  {
    reason: "old-kernel-headers",
    sign: /error: .*\b(VFIO_|vfio_|MPOL_|MADV_|MAP_)\w*.*(was not declared|has no member|undeclared|incomplete type|unknown type)/,
    why: "the headers of the Linux kernel (linux/vfio.h) are older than the shim needs, which are those of 5.4",
    remedy: "install newer ones; the kernel that runs does not matter for the build",
  },
  {
    reason: "no-library-headers",
    sign: /fatal error: '?(stdio|stdlib|limits|errno|string|unistd|fcntl|cstddef|cstdint|cstring|cerrno|type_traits|features|sys\/\w+)(\.h)?'?(: No such file| file not found)/,
    why: "the headers of the C or C++ library are missing",
    install: libraryHeaders,
  },
  {
    reason: "no-headers",
    sign: /fatal error: '?(napi|node_api|js_native_api)|Cannot find module 'node-a(pi-headers|ddon-api)|sources\.json\.br cannot be unpacked/,
    why: "the headers of Node-API are missing, or cannot be unpacked (they lie in prebuilds/sources.json.br, and in a checkout in node_modules)",
    remedy: "install dma-window again (in a checkout: npm ci)",
  },
  {
    reason: "old-compiler",
    sign: /unrecognized (command[- ]line )?option '?-std=|invalid value '(gnu|c)\+\+\d\w' in '-std=|requires (at least )?C\+\+/i,
    why: "the compiler is too old for the shim, which is C++17",
    remedy: "install a newer one, and let CXX name it (CXX=g++-12)",
  },
  {
    reason: "no-compiler",
    sign: /not built: there is no |(^|[\s/'"])(g\+\+|c\+\+|clang\+\+|gcc|cc|clang)(-\d+)?['"]?: (command )?(not found|No such file or directory)|make(\[\d+\])?: \S+: No such file or directory|\/bin\/sh: .*: not found/m,
    why: "there is no C++ compiler",
    install: compilers,
  },
  {
    reason: "no-memory",
    sign: /internal compiler error: Killed|Killed signal terminated program|virtual memory exhausted|Cannot allocate memory|ended by SIGKILL/,
    why: "the compiler ran out of memory",
    remedy: "give the machine, or the container, 1 GiB, or build elsewhere and let DMA_WINDOW_SHIM name the file",
  },
  { reason: "no-space", sign: /ENOSPC|No space left on device/, why: "the disk is full", remedy: "make room" },
  {
    reason: "not-writable",
    sign: /EACCES|EROFS|EPERM|Permission denied|Read-only file system/,
    why: "the build may not write where it has to",
    remedy: "build as the user who owns node_modules",
  },
];

/** `other` where the log says nothing that is known: then it has to be read. */
export function failureIn(log: string): BuildFailure {
  const found = signs.find(({ sign }) => sign.test(log));
  if (found === undefined) {
    return {
      reason: "other",
      why: "the build failed",
      remedy: `see its log; what it needs is installed by: ${installing(compilers)}`,
    };
  }
  const { reason, why, install, remedy } = found;
  return { reason, why, remedy: install ? `install it: ${installing(install)}` : (remedy ?? "") };
}

/** On this distribution, or on all where it is none of them. */
export function installing({ debian, alpine, fedora }: Packages): string {
  if (isThere("/etc/alpine-release")) return alpine;
  if (isThere("/etc/debian_version")) return `${debian} (on Alpine: ${alpine})`;
  if (isThere("/etc/redhat-release")) return fedora;
  return `on Debian: ${debian}; on Alpine: ${alpine}; on Fedora: ${fedora}`;
}
