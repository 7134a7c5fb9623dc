/** What came of a guest, from what it said: for people, and as JSON. */

import { mayCrash } from "../conformance/run-on.ts";
import { accessesIn, type Expected, judgeAccesses } from "./accesses.ts";
import type { Written } from "./blocks.ts";
import type { End } from "./boot.ts";
import type { Boot } from "./boots.ts";
import { type Event, isCrash, type NvmeCounts, reportIn, type Scheme } from "./console.ts";
import type { Comparison } from "./disk.ts";
import type { Guest } from "./guests.ts";
import type { KernelOrigin } from "./kernels.ts";
import type { NodeOrigin } from "./node.ts";

/** Where that is from which a guest was put together. */
export interface Equipment {
  readonly kernel: KernelOrigin;
  readonly node: NodeOrigin;
  /** What this package asks for: `>=20.19`. */
  readonly engines: string;
}

export interface InFlight {
  readonly transfers: number;
  /** Transfers on a live IOVA whose data did not arrive. */
  readonly lost: number;
  /** Pages that were taken away while the program used them. */
  readonly interrupted: number;
}

/** What the NVMe driver did. */
export interface NvmeReport extends NvmeCounts {
  readonly inFlight: Readonly<Record<Scheme, { readonly commands: number; readonly lost: number }>>;
}

/** A guest in the report. What it did not come to is 0. */
export interface GuestReport {
  readonly name: string;
  readonly machine: string;
  /** What the guest says runs there: `uname -r`, `uname -v`, and Node's version. */
  readonly kernel: string;
  readonly build: string;
  readonly node: string;
  /** Where that is from; not there for a machine that is not ours. */
  readonly equipment?: Equipment;
  /** Bytes. */
  readonly cpuPage: number;
  readonly seconds: number;
  readonly tests: { readonly passed: number; readonly failed: number };
  readonly conformance: { readonly rows: number; readonly differences: number };
  readonly random: { readonly operations: number; readonly differences: number };
  readonly dma: { readonly transfers: number; readonly wrongBytes: number };
  readonly inFlight: Readonly<Record<Scheme, InFlight>>;
  readonly nvme: NvmeReport;
  readonly vmLckLeakedKiB: number;
  /** The tables that it filled, by their headings. */
  readonly tables: Readonly<Record<string, readonly Readonly<Record<string, string>>[]>>;
  /** One sentence for each thing that is wrong; a guest without any has passed. */
  readonly failures: readonly string[];
}

/** TAINT_DIE and TAINT_WARN of `include/linux/panic.h`: the kernel has met an Oops, or a warning of its own. */
const TAINT_DIE = 1 << 7;

/** How much of a log is shown when something went wrong. */
export const TAIL = 30;

const NO_NVME: NvmeCounts = { reads: 0, writes: 0, wrongBytes: 0, interrupts: 0, missed: 0 };
const NO_COMMANDS = { commands: 0, lost: 0 };

const NO_FLIGHT: InFlight = { transfers: 0, lost: 0, interrupted: 0 };

/** Listens to a guest and keeps account. */
export class Account {
  readonly #boot: Boot;
  readonly #log: string[] = [];
  readonly #failures: string[] = [];
  readonly #tables: Record<string, Record<string, string>[]> = {};
  readonly #ended = new Set<string>();
  readonly #inFlight: Record<Scheme, InFlight> = { static: NO_FLIGHT, dynamic: NO_FLIGHT };
  readonly #equipment: Equipment | undefined;
  readonly #written: Written[] = [];
  readonly #accesses: (Expected & { readonly test: string })[] = [];
  #nvme = NO_NVME;
  readonly #nvmeInFlight = { static: NO_COMMANDS, dynamic: NO_COMMANDS };
  #kernel = "";
  #build = "";
  #node = "";
  #cpuPage = 0;
  #tests = { passed: 0, failed: 0 };
  #dma = { transfers: 0, wrongBytes: 0 };
  #conformance = { rows: 0, differences: 0 };
  #random = { operations: 0, differences: 0 };
  #leaked = 0;
  /** How often each report came: twice, unless one was torn. */
  readonly #copies = new Map<string, number>();
  #torn = 0;
  #up = false;
  #off = false;
  /** A kernel that may crash has, while our program ran. */
  #crashed = false;

  constructor(boot: Boot, equipment?: Equipment) {
    this.#boot = boot;
    this.#equipment = equipment;
  }

  /** Whether the boot is for a row at which the kernel may crash. */
  get #mayCrash(): boolean {
    const { harm } = this.#boot;
    return harm !== undefined && mayCrash(harm.row);
  }

  /** Whether all parts have ended. Of a kernel that was harmed nothing more is asked, not even that it goes off. */
  get isOver(): boolean {
    return this.#crashed || (this.#boot.harm !== undefined && this.#absent.length === 0);
  }

  /** Whether nothing can be said of a row at which the kernel may crash: it neither answered nor crashed. */
  get isUndecided(): boolean {
    return this.#mayCrash && !this.#crashed && this.#conformance.rows === 0;
  }

  /** Whether Linux came as far as our first process. Before that nothing of ours has run. */
  get isUp(): boolean {
    return this.#up;
  }

  /** Whether a report came in neither copy: more lines are torn than copies missing, or a process left out a number. */
  get isLost(): boolean {
    const missing = [...this.#copies.values()].filter((copies) => copies === 1).length;
    if (this.#torn > missing) return true;
    const counted = new Map<string, { count: number; highest: number }>();
    for (const id of this.#copies.keys()) {
      const [, process, number] = /^([0-9]+)\.([0-9]+)$/.exec(id) ?? [];
      if (process === undefined) continue;
      const { count, highest } = counted.get(process) ?? { count: 0, highest: 0 };
      counted.set(process, { count: count + 1, highest: Math.max(highest, Number(number)) });
    }
    return [...counted.values()].some(({ count, highest }) => count !== highest);
  }

  get #absent(): readonly string[] {
    return this.#boot.parts.map(({ name }) => name).filter((name) => !this.#ended.has(name));
  }

  /** The last lines of all that was said. */
  get tail(): readonly string[] {
    return this.#log.slice(-TAIL);
  }

  get log(): readonly string[] {
    return this.#log;
  }

  /** Takes a line of the console; gives the text to show people, `undefined` where there is nothing to show. */
  take(line: string): string | undefined {
    this.#log.push(line);
    const event = reportIn(line);
    if (event === undefined) {
      if (isCrash(line)) this.#takeCrash(line);
      return this.#up ? line : undefined;
    }
    if (event === "torn") {
      this.#torn++;
      return line;
    }
    const copies = this.#copies.get(event.id) ?? 0;
    this.#copies.set(event.id, copies + 1);
    return copies === 0 ? this.note(event) : undefined;
  }

  #takeCrash(line: string): void {
    if (this.#boot.harm === undefined) this.#failures.push(`the kernel crashed: ${line.trim()}`);
    else if (this.#mayCrash && this.#kernel !== "") this.#crashed = true;
  }

  /** Takes an event that came by no console. Gives the text to show people. */
  note(event: Event): string | undefined {
    switch (event.kind) {
      case "up":
        this.#up = true;
        return "Linux is up";
      case "machine":
        this.#kernel = event.kernel;
        this.#build = event.build;
        this.#node = event.node;
        this.#cpuPage = event.cpuPage;
        return undefined;
      case "test":
        this.#tests[event.ok ? "passed" : "failed"]++;
        if (event.ok) return `  ok  ${event.name}`;
        this.#failures.push(`${event.name}: ${event.message ?? "failed"}`);
        return `FAIL  ${event.name}: ${event.message ?? ""}`;
      case "row": {
        this.#tables[event.table] ??= [];
        this.#tables[event.table]?.push({ ...event.cells });
        return `      ${Object.values(event.cells).join(" | ")}`;
      }
      case "dma":
        this.#dma.transfers += event.transfers;
        this.#dma.wrongBytes += event.wrongBytes;
        return undefined;
      case "inFlight": {
        const { transfers, lost, interrupted } = event;
        this.#inFlight[event.scheme] = { transfers, lost, interrupted };
        return undefined;
      }
      case "nvme":
        this.#nvme = added(this.#nvme, countsOf(event));
        return undefined;
      case "nvmeInFlight": {
        const { scheme, commands, lost } = event;
        this.#nvmeInFlight[scheme] = added(this.#nvmeInFlight[scheme], { commands, lost });
        return undefined;
      }
      case "written":
        this.#written.push(event);
        return undefined;
      case "accesses":
        this.#accesses.push(event);
        return undefined;
      case "conformance":
        this.#conformance.rows += event.rows;
        this.#conformance.differences += event.differences;
        return undefined;
      case "random":
        this.#random.operations += event.operations;
        this.#random.differences += event.differences;
        return undefined;
      case "leak":
        this.#leaked += event.kib;
        return undefined;
      case "ended":
        this.#ended.add(event.part);
        if (event.status === 0) return undefined;
        this.#tests.failed++;
        this.#failures.push(
          event.status === 137
            ? `${event.part} took too long and was killed`
            : `${event.part} ended with ${event.status}`,
        );
        return `FAIL  ${event.part} ended with ${event.status}`;
      case "off":
        this.#off = true;
        if ((event.tainted & TAINT_DIE) !== 0) this.#failures.push("the kernel says that it has met an Oops");
        return undefined;
    }
  }

  /** What the guest says that it wrote to its disk. */
  get written(): readonly Written[] {
    return this.#written;
  }

  /** The host has compared the disk. Gives the text to show people. */
  noteDisk({ wrongBytes, where }: Comparison): string | undefined {
    this.#nvme = added(this.#nvme, { ...NO_NVME, wrongBytes });
    if (wrongBytes === 0 && this.#written.length === 0) return undefined;
    const blocks = this.#written.reduce((sum, one) => sum + one.blocks, 0);
    return this.#noteTest(
      `the disk holds what the host made and the guest wrote (${blocks} blocks)`,
      wrongBytes === 0 ? undefined : `${wrongBytes} bytes do not, first in the blocks ${where.join(", ")}`,
    );
  }

  /** QEMU's log of the controller's registers. Gives the texts to show people. */
  noteAccesses(log: string): string[] {
    if (this.#accesses.length === 0) return [];
    const all = accessesIn(log);
    return this.#accesses.map((expected) => this.#noteTest(expected.test, judgeAccesses(all, expected)));
  }

  #noteTest(name: string, problem: string | undefined): string {
    const event = { kind: "test", name, ok: problem === undefined, ...(problem && { message: problem }) } as const;
    return this.note(event) ?? "";
  }

  /** The account, when the machine has come to its end after `seconds`. */
  close(end: End, seconds: number): GuestReport {
    // A crash that may be is an answer like another.
    if (this.#crashed && this.#conformance.rows === 0) {
      const one = { tests: { passed: 1, failed: 0 }, conformance: { rows: 1, differences: 0 } };
      return { ...this.#report(seconds), ...one };
    }
    const failures = [...this.#failures];
    failures.push(...this.#wrongKernel());
    if (this.isUndecided) failures.push("its row was not answered");
    if (!this.isOver) failures.push(...this.#wrongEnd(end, seconds));
    if (this.isLost) failures.push("reports were torn in both copies: the account is not complete");
    const { differences } = this.#conformance;
    if (differences > 0) failures.push(`${differences} rows of the conformance suite are answered otherwise`);
    if (this.#random.differences > 0) failures.push(`the model answered otherwise ${this.#random.differences} times`);
    if (this.#dma.wrongBytes > 0) failures.push(`${this.#dma.wrongBytes} bytes were wrong after DMA`);
    if (this.#nvme.wrongBytes > 0) failures.push(`${this.#nvme.wrongBytes} bytes of the disk were wrong`);
    const { lost } = this.#nvmeInFlight.static;
    if (lost > 0) failures.push(`the static window lost ${lost} commands of the NVMe driver`);
    const fixed = this.#inFlight.static;
    if (fixed.lost + fixed.interrupted > 0)
      failures.push(`the static window lost ${fixed.lost} transfers and interrupted ${fixed.interrupted} pages`);
    if (this.#leaked !== 0) failures.push(`${this.#leaked} KiB of locked memory were left behind`);
    const named = this.#boot.harm === undefined ? failures : failures.map((one) => `${this.#boot.name}: ${one}`);
    return { ...this.#report(seconds), failures: named };
  }

  #report(seconds: number): GuestReport {
    return {
      name: this.#boot.guest.name,
      machine: this.#boot.guest.machine,
      kernel: this.#kernel,
      build: this.#build,
      node: this.#node,
      ...(this.#equipment !== undefined && { equipment: this.#equipment }),
      cpuPage: this.#cpuPage,
      seconds: Math.round(seconds),
      tests: this.#tests,
      conformance: this.#conformance,
      random: this.#random,
      dma: this.#dma,
      inFlight: this.#inFlight,
      nvme: { ...this.#nvme, inFlight: this.#nvmeInFlight },
      vmLckLeakedKiB: this.#leaked,
      tables: this.#tables,
      failures: [],
    };
  }

  /** A report must not say one kernel and be of another. */
  #wrongKernel(): string[] {
    const { package: name } = this.#equipment?.kernel ?? {};
    if (name === undefined || this.#kernel === "") return [];
    const wanted = name.replace(/^linux-image-/, "");
    return wanted === this.#kernel ? [] : [`${name} was to be booted, and the guest says that ${this.#kernel} runs`];
  }

  #wrongEnd(end: End, seconds: number): string[] {
    const wrong: string[] = [];
    if (end.how === "stopped") wrong.push(`the machine was stopped after ${Math.round(seconds)} seconds`);
    if (end.how === "failed") wrong.push(`QEMU failed: ${end.status}`);
    if (!this.#off) wrong.push("the machine did not come to its end");
    else if (this.#absent.length > 0) wrong.push(`not run: ${this.#absent.join(", ")}`);
    return wrong;
  }
}

/** A guest for which nothing was found to boot. */
export function notBooted(guest: Guest, reason: string): GuestReport {
  const account = new Account({ guest, name: guest.name, parts: [], cpus: 1, seconds: 0 });
  return { ...account.close({ how: "off" }, 0), failures: [reason] };
}

/** What came of all boots of one guest, as of one: seconds and counts are added up. */
export function merged(reports: readonly GuestReport[]): GuestReport {
  const [first, ...more] = reports;
  if (first === undefined) throw new Error("a guest that was never booted");
  return more.reduce(plus, first);
}

function plus(a: GuestReport, b: GuestReport): GuestReport {
  return {
    ...(a.kernel === "" ? b : a),
    cpuPage: a.cpuPage || b.cpuPage,
    seconds: a.seconds + b.seconds,
    tests: added(a.tests, b.tests),
    conformance: added(a.conformance, b.conformance),
    random: added(a.random, b.random),
    dma: added(a.dma, b.dma),
    inFlight: {
      static: added(a.inFlight.static, b.inFlight.static),
      dynamic: added(a.inFlight.dynamic, b.inFlight.dynamic),
    },
    nvme: {
      ...added(countsOf(a.nvme), countsOf(b.nvme)),
      inFlight: {
        static: added(a.nvme.inFlight.static, b.nvme.inFlight.static),
        dynamic: added(a.nvme.inFlight.dynamic, b.nvme.inFlight.dynamic),
      },
    },
    vmLckLeakedKiB: a.vmLckLeakedKiB + b.vmLckLeakedKiB,
    tables: { ...a.tables, ...b.tables },
    failures: [...a.failures, ...b.failures],
  };
}

function countsOf({ reads, writes, wrongBytes, interrupts, missed }: NvmeCounts): NvmeCounts {
  return { reads, writes, wrongBytes, interrupts, missed };
}

/** Two counts of the same things. */
function added<T extends Readonly<Record<keyof T, number>>>(a: T, b: T): T {
  const names = Object.keys(a) as (keyof T)[];
  return Object.fromEntries(names.map((name) => [name, a[name] + b[name]])) as T;
}
