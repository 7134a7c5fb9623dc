/** The first of several that can be had: no package is so needed that all waits for it. */

/** Something that would serve, and where it is from. */
export interface Candidate<T> {
  /** In words: `linux-image-6.12.107+deb13-powerpc64le 6.12.107-1 (trixie)`. */
  readonly name: string;
  /** @throws Error when it cannot be had. */
  get(): T | Promise<T>;
}

/** A candidate that could not be had, and why. */
export interface PassedOver {
  readonly name: string;
  readonly reason: string;
}

/** A place that has nothing of the kind. It is said only where nothing was found anywhere. */
export class NoneThere extends Error {}

/** Nothing that was tried could be had. */
export class NothingToBeHad extends Error {
  readonly tried: readonly PassedOver[];

  constructor(what: string, tried: readonly PassedOver[]) {
    const lines = tried.map(({ name, reason }) => `\n  ${name}: ${reason}`);
    super(`${what}: nothing can be had. Tried:${lines.join("")}`);
    this.tried = tried;
  }
}

/** Asks one after the other, each once. @throws NothingToBeHad */
export async function firstOf<T>(
  what: string,
  candidates: AsyncIterable<Candidate<T>> | Iterable<Candidate<T>>,
  say: (line: string) => void,
): Promise<{ readonly got: T; readonly passedOver: readonly PassedOver[] }> {
  const tried: (PassedOver & { readonly isNone: boolean })[] = [];
  for await (const candidate of candidates) {
    try {
      const got = await candidate.get();
      const passedOver = tried.filter(({ isNone }) => !isNone).map(({ name, reason }) => ({ name, reason }));
      return { got, passedOver };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const isNone = error instanceof NoneThere;
      if (!isNone) say(`not to be had: ${candidate.name}: ${reason}`);
      tried.push({ name: candidate.name, reason, isNone });
    }
  }
  throw new NothingToBeHad(what, tried);
}
