/** The command line: `npm run test:kernels -- --only pseries,x86 --json`. */
import { HARM } from "./boots.ts";
import { type Guest, guests } from "./guests.ts";

/** All that `--parts` may name. */
const partNames: readonly string[] = [
  ...new Set([...guests.flatMap(({ parts }) => parts.map(({ name }) => name)), HARM]),
];

export interface Options {
  /** The guests to boot, in the order of `guests.ts`. */
  readonly chosen: readonly Guest[];
  /** One JSON document at the end, on stdout; everything else goes to stderr. */
  readonly json: boolean;
  /** Leaves the images and the logs where they are, and says where. */
  readonly keep: boolean;
  /** The parts of the guests' program to run: all, unless named. */
  readonly parts: readonly string[] | undefined;
  /** A guest to boot for a person, and nothing else. */
  readonly shell: Guest | undefined;
  /** Files for it. */
  readonly files: readonly string[];
  /** The version of Linux to boot, or its beginning; without it, what is in the cache, or the newest that is known to work. */
  readonly linux: string | undefined;
  /** The mirror is asked first, and the cache only where the mirror has nothing. */
  readonly fresh: boolean;
  /** By what all time limits are multiplied. */
  readonly patience: number;
  /** A host that cannot boot guests is a failure, and not passed over. */
  readonly insist: boolean;
  /** Names the Debian packages that are missing here, and does nothing else. */
  readonly needs: boolean;
  readonly help: boolean;
}

const switches: readonly string[] = ["--json", "--keep", "--fresh", "--insist", "--needs", "--help"];

export const usage = `npm run test:kernels -- [--only NAMES] [--parts NAMES] [--linux VERSION] [--fresh] [--patience N] [--json] [--keep] [--insist]
npm run test:kernels -- --shell NAME [--with FILES]
npm run test:kernels -- --needs

Boots the real VFIO drivers of Linux in emulated machines and runs this library on them. Needs Debian and QEMU, but neither
KVM nor a second machine. What is downloaded and built stays in ~/.cache/dma-window (or DMA_WINDOW_CACHE).

  --only NAMES   guests, or what they have in common, by comma: ${guests.map(({ name }) => name).join(", ")},
                 pseries, powernv, x86
  --parts NAMES  parts of the program, by comma: ${partNames.join(", ")}
  --linux V      boots this version of Linux, or the newest of a series: 6.12.107, 6.12
  --fresh        asks the mirror for kernels and Node, and takes those of earlier runs only where it has none
  --patience N   multiplies every time limit, for a host that does other things at the same time
  --json         ends with one JSON document on stdout; the guests' output goes to stderr
  --keep         keeps images and logs
  --insist       a host that cannot boot them is a failure; it is passed over otherwise
  --needs        names Debian's packages that are missing here, and does nothing else
  --shell NAME   one guest with a shell in it, on this terminal
  --with FILES   files for it, by comma: a TypeScript program in one piece beside the suite's, anything else in /root
`;

/** @throws Error with a sentence for the user when an option cannot be. */
export function optionsFrom(parameters: readonly string[]): Options {
  const flags = new Set<string>();
  let only: readonly string[] | undefined;
  let parts: readonly string[] | undefined;
  let linux: string | undefined;
  let patience = 1;
  let shell: Guest | undefined;
  let files: readonly string[] = [];
  const left = [...parameters];
  for (let parameter = left.shift(); parameter !== undefined; parameter = left.shift()) {
    const [name = "", inline] = parameter.split(/=(.*)/s);
    if (name === "--only") only = names(name, inline ?? left.shift());
    else if (name === "--parts") parts = names(name, inline ?? left.shift());
    else if (name === "--linux") linux = version(name, inline ?? left.shift());
    else if (name === "--patience") patience = factor(name, inline ?? left.shift());
    else if (name === "--with") files = names(name, inline ?? left.shift());
    else if (name === "--shell") {
      const [wanted = ""] = names(name, inline ?? left.shift());
      shell = guests.find((guest) => isNamed(guest, wanted));
      if (shell === undefined) throw new Error(noSuchGuest(name, wanted));
    } else if (switches.includes(parameter)) flags.add(parameter);
    else throw new Error(`${parameter} is no option of this command; --help names them`);
  }
  const chosen = guests.filter((guest) =>
    only === undefined ? !guest.isExtra : only.some((name) => isNamed(guest, name)),
  );
  for (const name of only ?? []) {
    if (guests.some((guest) => isNamed(guest, name))) continue;
    throw new Error(noSuchGuest("--only", name));
  }
  for (const name of parts ?? []) {
    if (!partNames.includes(name)) throw new Error(`--parts ${name}: there is no such part; --help names them`);
  }
  if (files.length > 0 && shell === undefined) throw new Error("--with is for the guest of --shell");
  return {
    chosen: shell === undefined ? chosen : [shell],
    linux,
    fresh: flags.has("--fresh"),
    patience,
    json: flags.has("--json"),
    keep: flags.has("--keep"),
    insist: flags.has("--insist"),
    needs: flags.has("--needs"),
    help: flags.has("--help"),
    parts,
    shell,
    files,
  };
}

function noSuchGuest(option: string, name: string): string {
  return `${option} ${name}: there is no such guest; there are ${guests.map((guest) => guest.name).join(", ")}`;
}

/** `powernv` names both PowerNV guests. */
function isNamed(guest: Guest, name: string): boolean {
  return guest.name === name || guest.machine === name;
}

function version(option: string, value = ""): string {
  if (/^\d+(\.\d+)*$/.test(value)) return value;
  throw new Error(`${option} needs a version of Linux after it, as 6.12.107, or the beginning of one, as 6.12`);
}

function factor(option: string, value = ""): number {
  if (/^[1-9]\d?$/.test(value)) return Number(value);
  throw new Error(`${option} needs a number from 1 to 99 after it`);
}

function names(option: string, value: string | undefined): readonly string[] {
  const found = (value ?? "").split(",").filter((name) => name !== "");
  if (found.length === 0 || value?.startsWith("-")) throw new Error(`${option} needs names after it, by comma`);
  return found;
}
