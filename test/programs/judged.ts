/** Programs that others wrote, under `dma-window exec`: what is found in them, and what is known of it. */

/** Why a finding is the program's own, and no mistake of ours. */
export interface Explanation {
  readonly kind: string;
  /** In which cases; without it in all. */
  readonly cases?: RegExp;
  /** What the program does, and where that is known from. */
  readonly why: string;
}

export interface Case {
  readonly name: string;
  readonly platform: "powernv" | "pseries" | "type1" | "noiommu";
  /** Of exec's own, beside the platform; in the folder that {@link Judge.build} was given. */
  readonly options?: (folder: string) => readonly string[];
  /** Behind the program's name. */
  readonly words: readonly string[];
  /** Needs free hugepages of 2 MiB. */
  readonly hugepages?: number;
  /** Kinds that have to be found: who finds less does not see what is known to be there. */
  readonly known: readonly string[];
  /** What the program did not do that it should have, in words. */
  readonly fault?: (ran: Ran, folder: string) => string | undefined;
}

/** How a program ended. */
export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
}

export interface Judge {
  readonly name: string;
  /** Of the package, or why it cannot be run here. */
  /** Debian's packages that it needs. */
  readonly packages: readonly string[];
  readonly version: () => { readonly version: string } | { readonly absent: string };
  /** The program's file, in a folder for it. @throws Error with what the compiler said */
  readonly build: (folder: string) => string;
  readonly cases: readonly Case[];
  readonly explanations: readonly Explanation[];
}
