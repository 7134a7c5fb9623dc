/** Programs that others wrote, under `dma-window exec`: what is found in them, and what is known of it. */

/** Why a finding is the program's own, and no mistake of ours. */
export interface Explanation {
  readonly kind: string;
  /** In which cases; without it in all. */
  readonly cases?: RegExp;
  /** Of which words; without it of any. */
  readonly message?: RegExp;
  /** What the program does, and where that is known from. */
  readonly why: string;
}

/** What a program said. */
export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What came of a program that is a test itself. */
export interface Verdict {
  /** Cases that ran. */
  readonly cases: number;
  /** `4 passed, 1 skipped` */
  readonly words: string;
  /** What is known of those that did not simply pass. */
  readonly known: readonly string[];
  /** What did not answer as it does on a real kernel. */
  readonly faults: readonly string[];
}

export interface Case {
  readonly name: string;
  readonly platform: "powernv" | "pseries" | "type1" | "noiommu";
  /** The program, `./NAME` of what its judge built or as `PATH` has it, and what stands behind it. */
  readonly words: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** What `exec --devices` reads. */
  readonly devices?: readonly object[];
  /** For `exec --linux`. */
  readonly linux?: string;
  /** Needs free hugepages of 2 MiB. */
  readonly hugepages?: number;
  /** Kinds that have to be found: who finds less does not see what is known to be there. */
  readonly known: readonly string[];
  /** Without it the program is one case, which is right where nothing is found that nobody has explained. */
  readonly judge?: (ran: Ran, folder: string) => Verdict;
}

export interface Judge {
  readonly name: string;
  /** Debian's packages that it needs and this machine has not; or why it cannot be run here at all. */
  readonly needs: () => readonly string[] | { readonly never: string };
  /** Puts its programs into a folder, in which they run. Which version they are. @throws Error with what was not to be had, or did not compile */
  readonly build: (folder: string, say: (line: string) => void) => string | Promise<string>;
  readonly cases: readonly Case[];
  readonly explanations: readonly Explanation[];
}
