/**
 * How `util.inspect`, and with it `console.log`, shows what this library gives: a name, a state, and a few facts. Addresses are hex,
 * sizes have their unit and are exact, and no bigint is a row of digits.
 *
 *     Window { start: 0x800000000000000, size: 64 GiB, pageSize: 64 KiB, iovaMode: 'rebased', liveBytes: 2 MiB }
 *     Segment (freed) { va: 0x7f0000000000, length: 2 MiB }
 *
 * Node calls a method by a symbol that is registered for all, and hands it its own `inspect`: so nothing of Node is imported, and
 * elsewhere nobody calls it. Who looks is told what is known here: nothing is changed, no kernel is asked, nothing is thrown.
 */
import { bytes, hex } from "./hex.ts";

/** Node's `util.inspect.custom`. */
const INSPECT = Symbol.for("nodejs.util.inspect.custom");

/** What `inspect` hands over, as far as it is used. */
interface Options {
  readonly depth?: number | null;
  readonly breakLength?: number;
  readonly maxArrayLength?: number | null;
  readonly stylize?: (text: string, style: string) => string;
}

type Inspect = (value: unknown, options: object) => string;

/** What an object says of itself. `state` stands behind its name; what is undefined is left out. */
export interface Told {
  readonly state?: string | undefined;
  readonly [fact: string]: unknown;
}

/** A word that is shown as it is, without quotes. */
class Verbatim {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** A size under a name that does not say that it is one. */
export function inBytes(value: bigint | number): object {
  return new Verbatim(bytes(value));
}

/** Behind the name of what has ended. */
export function whereClosed({ closed }: { readonly closed: boolean }): "closed" | undefined {
  return closed ? "closed" : undefined;
}

/** Makes the objects of a class show what `tell` says of them: an imitation (a Proxy, a bare prototype) is one that cannot be read. */
export function inspectable<T extends object>(
  made: { readonly prototype: T },
  name: string,
  tell: (object: T) => Told,
): void {
  define(made.prototype, name, tell);
}

/** Makes a plain object show its own fields, or what `tell` makes of them, by the same rules. It has no more keys by that. Gives it. */
export function readable<T extends object>(object: T, name = "", tell?: (object: T) => object): T {
  // Most have neither, and a program may be given thousands of them: they share one method.
  if (name === "" && tell === undefined) return Object.defineProperty(object, INSPECT, SHOWS_ITS_FIELDS);
  return define(object, name, tell ?? same);
}

/** The same of each. */
export function readableEach<T extends object>(objects: T[], name = ""): T[] {
  for (const object of objects) readable(object, name);
  return objects;
}

/** The same of plain objects in it too, so that each is shown so by itself; not of those that show themselves already. Never throws. */
export function readableDeep<T extends object>(object: T): T {
  try {
    mark(object, new Set());
  } catch {
    // a Proxy: it is shown as Node does it
  }
  return object;
}

/** No getter is asked. */
function mark(object: object, seen: Set<object>): void {
  if (seen.has(object) || seen.size > MARKED_MAX) return;
  const isPlain = isPlainObject(object);
  if (!isPlain && !Array.isArray(object)) return;
  seen.add(object);
  const isOpen = isPlain && Object.isExtensible(object) && (object as Record<symbol, unknown>)[INSPECT] === undefined;
  if (isOpen) readable(object);
  for (const key of Object.keys(object)) {
    const value: unknown = Object.getOwnPropertyDescriptor(object, key)?.value;
    if (typeof value === "object" && value !== null) mark(value, seen);
  }
}

function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function same<T>(value: T): T {
  return value;
}

function define<T extends object>(object: T, name: string, tell: (object: T) => object): T {
  return Object.defineProperty(object, INSPECT, methodOf(name, tell));
}

function methodOf<T extends object>(name: string, tell: (object: T) => object): PropertyDescriptor {
  function shown(this: T, depth?: number | null, options?: Options, inspect?: Inspect): string {
    return show(name, () => tell(this), new Layout(depth ?? null, options ?? {}, inspect));
  }
  return { value: shown, writable: true, configurable: true };
}

/** The method of a plain object without a name. */
const SHOWS_ITS_FIELDS = methodOf("", same);

/** The method of a class of errors: as Node shows them, with their facts by these rules. */
export function inspectErrors(made: { readonly prototype: Error }): void {
  function shown(this: Error, depth?: number | null, options?: Options, inspect?: Inspect): string {
    try {
      return inspect === undefined
        ? String(this)
        : inspect(withReadableFacts(this), { ...options, depth: depth ?? null });
    } catch {
      return "[unreadable error]";
    }
  }
  Object.defineProperty(made.prototype, INSPECT, { value: shown, writable: true, configurable: true });
}

/** A copy that Node shows as it shows the error itself, and whose facts are not the error's own object: others may have that. */
function withReadableFacts(error: Error): Error {
  const { facts } = error as { facts?: unknown };
  const fields = Object.getOwnPropertyDescriptors(error) as PropertyDescriptorMap;
  fields.stack = { value: error.stack };
  fields[INSPECT as never] = { value: undefined }; // or it would come back here
  if (typeof facts === "object" && facts !== null) {
    fields.facts = { value: readableDeep({ ...facts }), enumerable: true };
  }
  return Object.create(Object.getPrototypeOf(error), fields);
}

/** Names of what is bytes, where it is a bigint; so are all that end with Bytes. */
const SIZES = new Set(
  (
    "size length bytes pageSize largestHole lockable alignment needed total live pooled free largest quarantined lent returned kept max done " +
    "most listRoom windowRoom waiting wanted longest limit used reclaimable mapped unmapped mapLength locked"
  ).split(" "),
);
/** Where it is a number. */
const NUMBER_SIZES = new Set(["size", "length", "bytes", "buffer", "pageSize", "cpuPageSize"]);
/** Names of what is counted: all other bigints are addresses. */
const COUNTS = new Set("tces maps pages mapsAvailable available count index events segments".split(" "));

/** More objects than are looked at in one. */
const MARKED_MAX = 1000;

/** From here on what is nested is named, and not shown: looking stays cheap whatever depth is asked for. */
const DEEPEST = 12;

/** The state of one showing. `depth`: how many levels are to be shown below this one; `null` for all. */
class Layout {
  readonly depth: number | null;
  readonly #options: Options;
  readonly #inspect: Inspect | undefined;
  readonly #above: readonly object[];

  constructor(depth: number | null, options: Options, inspect: Inspect | undefined, above: readonly object[] = []) {
    this.depth = depth;
    this.#options = options;
    this.#inspect = inspect;
    this.#above = above;
  }

  /** A value that stands under a name, as text. */
  value(key: string, value: unknown): string {
    if (typeof value === "bigint") return this.#style(bigintText(key, value), "bigint");
    if (typeof value === "number" && NUMBER_SIZES.has(key) && Number.isSafeInteger(value) && value >= 0) {
      return this.#style(bytes(value), "number");
    }
    if (typeof value !== "object" || value === null) return this.#node(value);
    if (value instanceof Verbatim) return this.#style(value.text, "number");
    if (Array.isArray(value)) return this.#array(key, value);
    if (ArrayBuffer.isView(value)) return `${value.constructor.name}(${(value as Uint8Array).length})`;
    if (!isPlainObject(value) || (value as Record<symbol, unknown>)[INSPECT] !== undefined) return this.#node(value);
    return this.#isDeep(value) ? "[Object]" : this.#below(value).object("", value);
  }

  object(head: string, told: object): string {
    const entries = Object.entries(told).flatMap(([key, value]) =>
      value === undefined ? [] : [`${key}: ${this.value(key, value)}`],
    );
    return this.#join(head === "" ? "{" : `${head} {`, entries, "}");
  }

  #array(key: string, array: readonly unknown[]): string {
    if (array.length === 0) return "[]";
    if (this.#isDeep(array)) return "[Array]";
    const most = this.#options.maxArrayLength ?? 100;
    const within = this.#below(array);
    const entries = array.slice(0, most).map((one) => within.value(key, one));
    const more = array.length - entries.length;
    return within.#join("[", more > 0 ? [...entries, `... ${more} more`] : entries, "]");
  }

  /** As Node shows it: text in quotes and escaped, objects of this library by this file. */
  #node(value: unknown): string {
    if (this.#inspect === undefined) return typeof value === "object" && value !== null ? "[Object]" : String(value);
    return this.#inspect(value, { ...this.#options, depth: this.depth === null ? null : this.depth - 1 });
  }

  #isDeep(value: object): boolean {
    return (this.depth !== null && this.depth <= 0) || this.#above.length >= DEEPEST || this.#above.includes(value);
  }

  #below(value: object): Layout {
    const depth = this.depth === null ? null : this.depth - 1;
    return new Layout(depth, this.#options, this.#inspect, [...this.#above, value]);
  }

  #style(text: string, style: string): string {
    return this.#options.stylize?.(text, style) ?? text;
  }

  /** On one line, if it fits; else as many entries on a line as fit. */
  #join(begin: string, entries: readonly string[], end: string): string {
    if (entries.length === 0) return `${begin}${end}`;
    const width = this.#options.breakLength ?? 80;
    const isOne = !entries.some((entry) => entry.includes("\n"));
    const line = `${begin} ${entries.join(", ")} ${end}`;
    if (isOne && widthOf(line) <= width) return line;
    const lines: string[] = [];
    for (const [i, entry] of entries.entries()) {
      const text = `${entry.replaceAll("\n", "\n  ")}${i === entries.length - 1 ? "" : ","}`;
      const last = lines.at(-1);
      const fits = last !== undefined && ![last, text].some((one) => one.includes("\n"));
      if (fits && widthOf(last) + widthOf(text) + 3 <= width) lines[lines.length - 1] = `${last} ${text}`;
      else lines.push(text);
    }
    return `${begin}\n  ${lines.join("\n  ")}\n${end}`;
  }
}

function show(name: string, tell: () => object, layout: Layout): string {
  try {
    if (layout.depth !== null && layout.depth < 0) return `[${name || "Object"}]`;
    const { state, ...told } = tell() as Told;
    const isState = name !== "" && state !== undefined;
    return layout.object(
      isState ? `${name} (${state})` : name,
      isState || state === undefined ? told : { state, ...told },
    );
  } catch {
    return `[${name || "Object"}: unreadable]`; // a Proxy, a bare prototype, or somebody else's getter
  }
}

function bigintText(key: string, value: bigint): string {
  if (value < 0n) return `-${bigintText(key, -value)}`;
  if (COUNTS.has(key)) return value.toString();
  return SIZES.has(key) || key.endsWith("Bytes") ? bytes(value) : hex(value);
}

/** Without the codes of colours. */
function widthOf(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a colour begins with one
  return text.replaceAll(/\x1b\[\d+m/g, "").length;
}
