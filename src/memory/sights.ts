import { OwnSet } from "../captured.ts";
import { type Sight, type Syscalls, sightIn } from "../syscalls.ts";

/**
 * A view whose end was tried, and the interface threw: it may be alive. It is tried again whenever somebody asks, and until that goes
 * well its memory is seen.
 */
export class UnendedView implements Sight {
  readonly #kernel: Syscalls;
  #view: Uint8Array | undefined;
  #problem: unknown;
  /** What the interface gave once it had ended the view. */
  #rest: Sight | undefined;

  constructor(kernel: Syscalls, view: Uint8Array, problem: unknown) {
    this.#kernel = kernel;
    this.#view = view;
    this.#problem = problem;
  }

  get moved(): boolean {
    return this.#view !== undefined || this.#rest?.moved === true;
  }

  /** What was thrown last; `undefined` once the view has ended. */
  get problem(): unknown {
    return this.#view === undefined ? undefined : this.#problem;
  }

  seen(): boolean {
    if (this.#view !== undefined) {
      try {
        this.#rest = sightIn(this.#kernel.unview(this.#view));
        this.#view = undefined;
      } catch (error) {
        this.#problem = error;
        return true;
      }
    }
    return this.#rest?.seen() ?? false;
  }

  collect(): void {
    this.#rest?.collect?.();
  }
}

/** All that may still reach a range. What a sight does not answer counts as seen: a kernel interface may be anybody's. */
export class Sights {
  readonly #all = new OwnSet<Sight>();

  get size(): number {
    return this.#all.size;
  }

  add(sight: Sight): void {
    this.#all.add(sight);
  }

  addAll(others: Sights): void {
    others.#all.forEach((sight) => {
      this.#all.add(sight);
    });
  }

  /** Those that still see something. */
  seen(): Sights {
    const found = new Sights();
    this.#all.forEach((sight) => {
      if (isTrue(() => sight.seen())) found.add(sight);
    });
    return found;
  }

  get isSeen(): boolean {
    return this.#any((sight) => sight.seen());
  }

  /** Whether anything but input and output that ends of itself sees the range. */
  get isMoved(): boolean {
    return this.#any((sight) => sight.moved);
  }

  /** Why a view could not be ended, where one could not. */
  get problem(): unknown {
    let found: unknown;
    this.#all.forEach((sight) => {
      if (sight instanceof UnendedView) found ??= sight.problem;
    });
    return found;
  }

  /** Has garbage collected, where one of them knows how; gives whether. */
  collect(): boolean {
    let isDone = false;
    this.#all.forEach((sight) => {
      if (isDone) return;
      try {
        if (!sight.collect) return;
        sight.collect();
        isDone = true;
      } catch {
        // whatever it was to end stays seen
      }
    });
    return isDone;
  }

  #any(holds: (sight: Sight) => boolean): boolean {
    let found = false;
    this.#all.forEach((sight) => {
      found ||= isTrue(() => holds(sight));
    });
    return found;
  }
}

/** Also where nobody can say. */
function isTrue(ask: () => boolean): boolean {
  try {
    return ask();
  } catch {
    return true;
  }
}
