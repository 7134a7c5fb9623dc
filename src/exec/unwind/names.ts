import { type ReadMemory, Unreadable } from "./cursor.ts";
import { type Section, SectionType } from "./elf.ts";

/** A function of a file, by the file's own addresses. */
export interface NamedFunction {
  readonly name: string;
  readonly start: bigint;
}

const SYMBOL_BYTES = 24;
/** More of a file's symbols are not looked at: no name is better than to wait for it. */
const SYMBOLS_BYTES = 1 << 27;
const NAME_LENGTH = 512;
const FUNCTION = 2;
const INDIRECT_FUNCTION = 10;

/** Names that begin where others do, most of which are the same function's. */
const ALIASES_MAX = 16;
const LOCAL = 0;

interface Candidate {
  readonly start: bigint;
  readonly isLocal: boolean;
  readonly nameAt: number;
}

/** The functions that addresses lie in, by the symbols of a file; `undefined` where it names none. @throws Unreadable */
export function functionsAt(
  read: ReadMemory,
  sections: readonly Section[],
  addresses: readonly bigint[],
): (NamedFunction | undefined)[] {
  const symbols =
    sections.find(({ type }) => type === SectionType.SYMBOLS) ??
    sections.find(({ type }) => type === SectionType.DYNAMIC_SYMBOLS);
  const names = sections[symbols?.link ?? -1];
  if (symbols === undefined || names === undefined) return addresses.map(() => undefined);
  if (symbols.bytes > BigInt(SYMBOLS_BYTES)) throw new Unreadable(`${symbols.bytes} bytes of symbols`);
  const found = candidates(read(symbols.offset, Number(symbols.bytes)), addresses);
  return found.map((aliases) => {
    const known = aliases.map((one) => ({ ...one, name: nameAt(read, names, one.nameAt) }));
    return known.filter(({ name }) => name !== "").sort((one, other) => strangeness(one) - strangeness(other))[0];
  });
}

/** Of several names the one that its users know: `munmap`, not `__munmap`. */
function strangeness({ name, isLocal }: { readonly name: string; readonly isLocal: boolean }): number {
  return name.length - name.replace(/^_+/, "").length + (isLocal ? NAME_LENGTH : 0);
}

/** One pass over all symbols: addresses are few, and symbols are in no order. */
function candidates(symbols: Uint8Array, addresses: readonly bigint[]): readonly (readonly Candidate[])[] {
  const view = new DataView(symbols.buffer, symbols.byteOffset, symbols.byteLength);
  const found: Candidate[][] = addresses.map(() => []);
  for (let at = 0; at + SYMBOL_BYTES <= symbols.length; at += SYMBOL_BYTES) {
    const info = view.getUint8(at + 4);
    const kind = info & 15;
    if ((kind !== FUNCTION && kind !== INDIRECT_FUNCTION) || view.getUint16(at + 6, true) === 0) continue;
    const [start, size] = [view.getBigUint64(at + 8, true), view.getBigUint64(at + 16, true)];
    for (const [index, address] of addresses.entries()) {
      if (address < start || address >= start + size) continue;
      const one = { start, isLocal: info >> 4 === LOCAL, nameAt: view.getUint32(at, true) };
      const [best] = found[index] ?? [];
      if (best === undefined || best.start < start) found[index] = [one];
      else if (best.start === start && (found[index]?.length ?? 0) < ALIASES_MAX) found[index]?.push(one);
    }
  }
  return found;
}

function nameAt(read: ReadMemory, names: Section, at: number): string {
  if (BigInt(at) >= names.bytes) return "";
  const left = names.bytes - BigInt(at);
  const bytes = read(names.offset + BigInt(at), left > BigInt(NAME_LENGTH) ? NAME_LENGTH : Number(left));
  const end = bytes.indexOf(0);
  const text = new TextDecoder().decode(end === -1 ? bytes : bytes.subarray(0, end));
  // A version stands behind names of libraries: memcpy@@GLIBC_2.14.
  return text.replace(/@.*/s, "");
}
