/**
 * Loops of their own for what is measured in JavaScript.
 *
 * V8 inlines a call into wasm only while the call site has seen one module's function, and it keeps what a call site has seen
 * for all closures that were made of the same source. So every contender gets a loop that was compiled for it alone: its source
 * has a number in it, or V8 would find it among what it has compiled before.
 */
import type { Contender } from "./rounds.ts";

/** Work in JavaScript, as source. */
export interface Work {
  readonly name: string;
  /** A statement that does the work once and adds to `sum`, a number: `sum += translate(window, vas, iovas, count);` */
  readonly once: string;
  /** A statement before each time, of the same words, which is not timed: what the work needs and does not count. */
  readonly before?: string;
  /** What the statements' words stand for. */
  readonly scope: Readonly<Record<string, unknown>>;
  /** By how much `sum` grows each time: what shows that the work was done. */
  readonly expected: number;
  /** Makes what is to be written wrong, before each timing. */
  readonly spoil?: () => void;
  /** Throws unless what was written is right, after each timing. */
  readonly verify?: () => void;
}

type Loop = (repeats: number) => { readonly took: number; readonly sum: number };

let loops = 0;

function compile({ once, before, scope }: Pick<Work, "once" | "before" | "scope">): Loop {
  loops++;
  const timed =
    before === undefined
      ? `const begun = performance.now();
      for (let repeat = 0; repeat < repeats; repeat++) { ${once} }
      const took = (performance.now() - begun) * 1e6;`
      : `let took = 0;
      for (let repeat = 0; repeat < repeats; repeat++) {
        ${before}
        const begun = performance.now();
        { ${once} }
        took += (performance.now() - begun) * 1e6;
      }`;
  const source = `"use strict";
    return function loop${loops}(repeats) {
      let sum = 0;
      ${timed}
      return { took, sum };
    };`;
  return new Function(...Object.keys(scope), source)(...Object.values(scope)) as Loop;
}

/** A contender of that work. It throws when an answer was wrong. */
export function inJavaScript(work: Work): Contender {
  const { name, expected, spoil, verify } = work;
  const loop = compile(work);
  return {
    name,
    time: (repeats) => {
      spoil?.();
      const { took, sum } = loop(repeats);
      if (sum !== expected * repeats) throw new Error(`${name} answered ${sum}, not ${expected * repeats}`);
      verify?.();
      return took;
    },
  };
}
