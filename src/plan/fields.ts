/**
 * Fields of a JSON document that comes from elsewhere, read one by one: whatever is not asked for is refused in the end, with the
 * key that was likely meant. Every refusal names the field by its path, and says what may stand there.
 */
import { DmaWindowError } from "../errors.ts";
import { nearest } from "../known.ts";
import { bytesIn } from "./sizes.ts";

/** Nothing that is read here is longer: a text of a plan, a list of holes. */
const TEXT_LENGTH_MAX = 16_384;
const LIST_LENGTH_MAX = 65_536;

const U64_END = 1n << 64n;

/** What an error says of the field that is refused. */
export interface FieldFacts {
  /** Its path: `lists[0].length`. */
  readonly field: string;
  /** What would pass, behind "must" in a sentence; absent where the field itself is not known. */
  readonly must?: string;
}

/** What is wrong with a document, and what to do about it. */
export interface Complaint {
  /** Of the error: `ERR_PLAN_MALFORMED`. */
  readonly code: string;
  /** What the document is: `the plan`. */
  readonly what: string;
  /** `make it anew: dma-window plan --output FILE`. */
  readonly advice: string;
}

export class Fields {
  readonly #path: string;
  readonly #value: Readonly<Record<string, unknown>>;
  readonly #complaint: Complaint;
  readonly #asked = new Set<string>();

  /** @throws the complaint's error where it is no object. `path` is empty for the document itself. */
  constructor(value: unknown, complaint: Complaint, path = "") {
    this.#path = path;
    this.#complaint = complaint;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw this.#wrong(path === "" ? "it" : path, "be an object", value);
    }
    this.#value = value as Readonly<Record<string, unknown>>;
  }

  /** Whether a field is there, and not null. */
  has(name: string): boolean {
    return this.#get(name) !== undefined && this.#get(name) !== null;
  }

  isNull(name: string): boolean {
    return this.#get(name) === null;
  }

  /** Known, and of no use to who reads. */
  pass(...names: readonly string[]): void {
    for (const name of names) this.#asked.add(name);
  }

  /** Any value, for who checks it. */
  value(name: string): unknown {
    return this.#get(name);
  }

  text(name: string): string {
    const value = this.#get(name);
    if (typeof value !== "string") throw this.wrong(name, "be text");
    if (value.length > TEXT_LENGTH_MAX) throw this.refusal(name, `have at most ${TEXT_LENGTH_MAX} characters`);
    return value;
  }

  oneOf<T extends string>(name: string, choices: readonly T[]): T {
    const value = this.#get(name);
    const found = choices.find((choice) => choice === value);
    if (found !== undefined) return found;
    throw this.wrong(name, `be ${choices.map((choice) => JSON.stringify(choice)).join(", ")}`);
  }

  boolean(name: string): boolean {
    const value = this.#get(name);
    if (typeof value !== "boolean") throw this.wrong(name, "be true or false");
    return value;
  }

  /** A whole number from `least` to `most`. */
  count(name: string, least: number, most: number): number {
    const value = this.#get(name);
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= least && value <= most) return value;
    throw this.wrong(name, `be a whole number from ${least} to ${most}`);
  }

  /** An address or a size: hex text, or a whole number that is exact. */
  hex(name: string): bigint {
    const found = exact(this.#get(name));
    if (found !== undefined) return found;
    throw this.wrong(name, 'be a hex number below 2^64 as text, such as "0x1000", or a whole number below 2^53');
  }

  /** A size in bytes as the command line takes it, or a whole number; at most 2^64 - 1. */
  size(name: string): bigint {
    const value = this.#get(name);
    const found = typeof value === "string" ? bytesIn(value) : exact(value);
    if (found !== undefined && found < U64_END) return found;
    throw this.wrong(name, 'be a size below 2^64 bytes, such as "64G", "2M", "0x1000" or 4096');
  }

  /** The items of a list, each as `read` has it of its path. */
  list<T>(name: string, read: (item: unknown, path: string) => T): T[] {
    const value = this.#get(name);
    if (!Array.isArray(value)) throw this.wrong(name, "be a list");
    if (value.length > LIST_LENGTH_MAX) throw this.refusal(name, `have at most ${LIST_LENGTH_MAX} items`);
    return value.map((item, i) => read(item, `${this.#pathOf(name)}[${i}]`));
  }

  /** A list of objects. */
  objects<T>(name: string, read: (fields: Fields) => T): T[] {
    return this.list(name, (item, path) => {
      const fields = new Fields(item, this.#complaint, path);
      const made = read(fields);
      fields.end();
      return made;
    });
  }

  /** A field that is an object. */
  object<T>(name: string, read: (fields: Fields) => T): T {
    const fields = new Fields(this.#get(name), this.#complaint, this.#pathOf(name));
    const made = read(fields);
    fields.end();
    return made;
  }

  /** Refuses what nobody has asked for. */
  end(): void {
    for (const key of Object.keys(this.#value)) {
      if (this.#asked.has(key)) continue;
      const meant = nearest(key, this.#asked);
      const words = meant === undefined ? "" : `; did you mean ${JSON.stringify(meant)}?`;
      const whose = this.#path === "" ? "it" : this.#path;
      const field = this.#pathOf(key.slice(0, 80));
      throw this.#error(`${whose} has no ${JSON.stringify(key.slice(0, 80))}${words}`, { field });
    }
  }

  /** The error for a field with a value that cannot be. */
  wrong(name: string, must: string): DmaWindowError {
    return this.#wrong(this.#pathOf(name), must, this.#get(name));
  }

  /** The same without the value, for one that is too long to be shown or that others make wrong. */
  refusal(name: string, must: string): DmaWindowError {
    const field = this.#pathOf(name);
    return this.#error(`${field} must ${must}`, { field, must });
  }

  #get(name: string): unknown {
    this.#asked.add(name);
    // What an object inherits is no field of a document.
    return Object.hasOwn(this.#value, name) ? this.#value[name] : undefined;
  }

  #pathOf(name: string): string {
    return this.#path === "" ? name : `${this.#path}.${name}`;
  }

  #wrong(field: string, must: string, got: unknown): DmaWindowError {
    const shown = got === undefined ? "it is missing" : `it is ${show(got)}`;
    return this.#error(`${field} must ${must}; ${shown}`, { field, must });
  }

  #error(problem: string, facts: FieldFacts): DmaWindowError {
    const { code, what, advice } = this.#complaint;
    return new DmaWindowError(code, `${what}: ${problem}; ${advice}`, { facts: { ...facts } });
  }
}

function exact(value: unknown): bigint | undefined {
  if (typeof value === "number") return Number.isSafeInteger(value) && value >= 0 ? BigInt(value) : undefined;
  if (typeof value !== "string" || !/^0x[0-9a-f]{1,16}$/i.test(value)) return undefined;
  const number = BigInt(value);
  return number < U64_END ? number : undefined;
}

/** Short, and escaped: it comes from elsewhere, and a terminal may see it. */
function show(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  if (typeof value !== "string") return String(value);
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}...` : value).replace(
    /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
