/** What is closed in the end, by hand or by `using`. */

/**
 * The method that `using` calls, in the types of a program whose TypeScript knows `Symbol.dispose`; nothing in those of another,
 * so that the declarations of this package hold for both.
 */
type Disposes = SymbolConstructor extends { readonly dispose: infer Key extends symbol }
  ? { readonly [key in Key]: () => void }
  : object;

const Plain: new () => Disposes = Object as never; // the method comes below

const made = new WeakSet<Closable>();

/** Whether it is an object itself, as its constructor made it: a Proxy in front of one passes `instanceof`, and has none of its fields. */
export function isItself(value: unknown): boolean {
  return made.has(value as Closable);
}

/** The method behind `Symbol.dispose`, on every engine: the library's own. */
export const disposing: unique symbol = Symbol("disposing");

/** What `using` ends, where the engine knows `Symbol.dispose`. */
export abstract class Disposing extends Plain {
  /** @internal What `using` does; once more does nothing. */
  abstract [disposing](): void;
}

/** An object with `close()`, which `using` calls. */
export abstract class Closable extends Disposing {
  constructor() {
    super();
    made.add(this);
  }

  /** Ends it; once more does nothing. */
  abstract close(): void;

  /** @internal What `using` does: it closes, and some end first what would stand in the way. */
  override [disposing](): void {
    this.close();
  }
}

// Not as a method: where there is no such symbol, as in older browsers, it would be one called "undefined".
if (typeof Symbol.dispose === "symbol") {
  Object.defineProperty(Disposing.prototype, Symbol.dispose, {
    value(this: Disposing): void {
      this[disposing]();
    },
    writable: true,
    configurable: true,
  });
}
