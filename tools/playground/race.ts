/** One storm, let loose on both schemes at once: each on a kernel of its own, step by step. */
import { DynamicScheme, StaticScheme } from "../../src/cli/schemes.ts";
import { sharesOf } from "../../src/cli/shares.ts";
import { Storm, type StormShape, stormFor } from "../../src/cli/storm.ts";
import type { Window } from "../../src/container/window.ts";
import { stormMachine } from "./machine.ts";
import type { Settings } from "./settings.ts";

/** A scheme under way, as it is shown. */
export interface Runner {
  readonly window: { readonly start: bigint; readonly size: bigint } | undefined;
  readonly resizes: number;
  readonly interrupted: number;
  readonly failures: number;
  readonly firstFailure: unknown;
  /** Bytes that are mapped. */
  readonly live: bigint;
  /** How full each of `parts` parts of the window is, 0 to 1. */
  shares(parts: number): readonly number[];
}

/** What one step did to the dynamic scheme's window: it was replaced by another, under what was live in it. */
export interface Replacement {
  readonly step: number;
  readonly from: bigint;
  readonly to: bigint;
  readonly interrupted: number;
}

export class Race {
  readonly steps: number;
  readonly pages: number;
  /** Bytes of each. */
  readonly pageSize: bigint;
  readonly fixed: Runner;
  /** Undefined where no kernel makes and removes windows. */
  readonly dynamic: Runner | undefined;
  readonly kind: "spapr" | "type1" | "noiommu";
  /** Those of the storm: the memory that is there before it may have made some already. */
  readonly replacements: Replacement[] = [];
  readonly #ways: Way[] = [];

  /** @throws what planning, opening or mapping throws; then nothing is left open. */
  constructor(settings: Settings, pages: number, shape: Pick<StormShape, "seed" | "steps">) {
    const machine = stormMachine(settings, pages);
    const { initial, steps } = stormFor(pages, shape);
    const { iovaMode } = settings;
    this.steps = steps.length;
    this.pages = pages;
    this.pageSize = machine.pool.pageSize;
    try {
      const scheme = new StaticScheme(machine, { iovaMode }, initial);
      this.kind = scheme.plan.kind;
      this.fixed = this.#begun(new Way(scheme, new Storm(steps, scheme)));
      if (this.kind !== "spapr") return;
      const other = new DynamicScheme(machine, initial);
      this.dynamic = this.#begun(new Way(other, new Storm(steps, other)));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  get done(): number {
    return this.#ways[0]?.done ?? 0;
  }

  get isOver(): boolean {
    return this.done === this.steps;
  }

  /** One step of each scheme; false where there is none left. */
  step(): boolean {
    const before = this.#told();
    let went = false;
    for (const way of this.#ways) went = way.step() || went;
    const after = this.#told();
    if (before !== undefined && after !== undefined && after.size !== before.size) {
      const interrupted = after.interrupted - before.interrupted;
      this.replacements.push({ step: this.done, from: before.size, to: after.size, interrupted });
    }
    return went;
  }

  close(): void {
    for (const way of this.#ways) way.close();
  }

  #begun(way: Way): Way {
    this.#ways.push(way);
    return way;
  }

  #told(): { readonly size: bigint; readonly interrupted: number } | undefined {
    const { dynamic } = this;
    return dynamic?.window && { size: dynamic.window.size, interrupted: dynamic.interrupted };
  }
}

/** What both schemes have, whatever they give out. */
type AnyScheme = Pick<StaticScheme | DynamicScheme, "ground" | "window" | "close">;

class Way implements Runner {
  readonly #scheme: AnyScheme;
  readonly #storm: Storm<unknown>;

  constructor(scheme: AnyScheme, storm: unknown) {
    this.#scheme = scheme;
    this.#storm = storm as Storm<unknown>;
  }

  get window(): Window | undefined {
    return this.#scheme.window;
  }

  get resizes(): number {
    return this.#scheme.ground.witness.resizes;
  }

  get interrupted(): number {
    return this.#scheme.ground.witness.interrupted;
  }

  get failures(): number {
    return this.#storm.result.failures;
  }

  get firstFailure(): unknown {
    return this.#storm.result.firstFailure;
  }

  get live(): bigint {
    return this.window?.liveBytes ?? 0n;
  }

  get done(): number {
    return this.#storm.done;
  }

  shares(parts: number): readonly number[] {
    return this.window === undefined ? [] : sharesOf(this.window, parts);
  }

  step(): boolean {
    return this.#storm.step();
  }

  close(): void {
    this.#scheme.close();
  }
}
