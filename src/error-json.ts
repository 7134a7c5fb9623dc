/**
 * An error as plain data for `JSON.stringify`, which itself throws at the first bigint, and leaves an error's message out.
 *
 *     bigint       "0x1000", "-0x1": exact, as the messages write addresses. Sizes too
 *     an error     name, code, message, what else it holds, and its cause
 *     what JSON has no word for: a function, a symbol, NaN, a Map     its own text
 *
 * Never throws: whoever writes an error down has one already. What leads back into itself is `"[circular]"`, what lies deeper
 * than anybody reads `"[deep]"`, and what cannot be read `"[unreadable]"`.
 */

/** What JSON can say. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

const DEPTH_MAX = 20;
/** Elements of one array, and keys of one object. */
const WIDTH_MAX = 1000;

/** The error, and all that hangs on it. */
export function errorToJson(error: Error): { readonly [key: string]: Json } {
  try {
    return errorFields(error, []);
  } catch {
    return { message: "[unreadable]" };
  }
}

/** `above` are the objects that this one is in. */
function toJson(value: unknown, above: readonly object[]): Json | undefined {
  switch (typeof value) {
    case "bigint":
      return value < 0n ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
    case "number":
      return Number.isFinite(value) ? value : String(value);
    case "string":
    case "boolean":
      return value;
    case "undefined":
      return undefined;
    case "function":
    case "symbol":
      return textOf(value);
    default:
      return value === null ? null : objectToJson(value as object, above);
  }
}

function objectToJson(value: object, above: readonly object[]): Json | undefined {
  if (above.includes(value)) return "[circular]";
  if (above.length >= DEPTH_MAX) return "[deep]";
  try {
    if (value instanceof Error) return errorFields(value, above);
    const within = [...above, value];
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? textOf(value) : value.toISOString();
    if (value instanceof Map) return listToJson(value, within);
    if (Array.isArray(value) || value instanceof Set || ArrayBuffer.isView(value)) {
      return listToJson(value as Iterable<unknown>, within);
    }
    return fieldsOf(value, Object.keys(value), within);
  } catch {
    return "[unreadable]";
  }
}

function listToJson(list: Iterable<unknown>, above: readonly object[]): Json {
  const found: Json[] = [];
  for (const element of list) {
    if (found.length === WIDTH_MAX) {
      found.push("[more]");
      break;
    }
    found.push(toJson(element, above) ?? null);
  }
  return found;
}

/** Name, code and message first: that is what is read first. */
function errorFields(error: Error, above: readonly object[]): { readonly [key: string]: Json } {
  const own = Object.keys(error).filter((key) => key !== "stack");
  const keys = ["name", "code", "message", ...own, ...("cause" in error ? ["cause"] : [])];
  return fieldsOf(error, [...new Set(keys)], [...above, error]);
}

function fieldsOf(value: object, keys: readonly string[], above: readonly object[]): { readonly [key: string]: Json } {
  const fields: [string, Json][] = [];
  for (const key of keys.slice(0, WIDTH_MAX)) {
    let field: Json | undefined;
    try {
      field = toJson((value as Record<string, unknown>)[key], above);
    } catch {
      field = "[unreadable]";
    }
    if (field !== undefined) fields.push([key, field]);
  }
  if (keys.length > WIDTH_MAX) fields.push(["[more]", keys.length - WIDTH_MAX]);
  return Object.fromEntries(fields);
}

function textOf(value: unknown): string {
  try {
    return typeof value === "function" ? `function ${value.name}` : String(value);
  } catch {
    return "[unreadable]";
  }
}
