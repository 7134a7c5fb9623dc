import { Cursor, Unreadable, wrapped } from "./cursor.ts";
import type { Fde } from "./eh-frame.ts";

/** Where a register of the caller is found. (DWARF 5, 6.4.1) */
export type RegisterRule =
  | { readonly kind: "undefined" }
  | { readonly kind: "same" }
  /** Saved at the CFA and so much. */
  | { readonly kind: "offset"; readonly offset: bigint }
  /** It is the CFA and so much. */
  | { readonly kind: "value"; readonly offset: bigint }
  | { readonly kind: "register"; readonly register: number }
  /** Saved where the expression says. */
  | { readonly kind: "expression"; readonly bytes: Uint8Array }
  | { readonly kind: "value-expression"; readonly bytes: Uint8Array };

/** How the CFA is computed: what the stack pointer was before the call. */
export type CfaRule =
  | { readonly kind: "register"; readonly register: number; readonly offset: bigint }
  | { readonly kind: "expression"; readonly bytes: Uint8Array };

/** What holds from `start` to before `end`. */
export interface Row {
  readonly start: bigint;
  readonly end: bigint;
  readonly cfa: CfaRule | undefined;
  /** A register without a rule is the same as in the caller. */
  readonly rules: ReadonlyMap<number, RegisterRule>;
}

/** (DWARF 5, 6.4.2 and 7.24; those from 0x2d on are GNU's) */
const Cfa = {
  NOP: 0x00,
  SET_LOC: 0x01,
  ADVANCE_LOC1: 0x02,
  ADVANCE_LOC2: 0x03,
  ADVANCE_LOC4: 0x04,
  OFFSET_EXTENDED: 0x05,
  RESTORE_EXTENDED: 0x06,
  UNDEFINED: 0x07,
  SAME_VALUE: 0x08,
  REGISTER: 0x09,
  REMEMBER_STATE: 0x0a,
  RESTORE_STATE: 0x0b,
  DEF_CFA: 0x0c,
  DEF_CFA_REGISTER: 0x0d,
  DEF_CFA_OFFSET: 0x0e,
  DEF_CFA_EXPRESSION: 0x0f,
  EXPRESSION: 0x10,
  OFFSET_EXTENDED_SF: 0x11,
  DEF_CFA_SF: 0x12,
  DEF_CFA_OFFSET_SF: 0x13,
  VAL_OFFSET: 0x14,
  VAL_OFFSET_SF: 0x15,
  VAL_EXPRESSION: 0x16,
  GNU_ARGS_SIZE: 0x2e,
  GNU_NEGATIVE_OFFSET_EXTENDED: 0x2f,
  ADVANCE_LOC: 0x40,
  OFFSET: 0x80,
  RESTORE: 0xc0,
} as const;

/** More than any machine has that is read here. */
const REGISTERS = 128;
const REMEMBERED_MAX = 64;

/** The row that holds at an address. `undefined`: none does. @throws Unreadable */
export function rowAt(fde: Fde, address: bigint): Row | undefined {
  for (const row of rowsOf(fde)) if (row.start <= address && address < row.end) return row;
  return undefined;
}

/**
 * The rows of a function, one after the other: from the beginning of its code, one for each place where something changes. A row is good
 * until the next one is asked for.
 *
 * @throws Unreadable
 */
export function* rowsOf(fde: Fde): Generator<Row> {
  const state = new State(fde);
  state.run(new Cursor(fde.cie.instructions));
  state.begin();
  const code = new Cursor(fde.instructions);
  let start = fde.start;
  while (!code.isAtEnd) {
    const next = state.step(code, start);
    if (next === undefined) continue;
    yield { start, end: next, cfa: state.cfa, rules: state.rules };
    start = next;
  }
  yield { start, end: fde.end, cfa: state.cfa, rules: state.rules };
}

class State {
  cfa: CfaRule | undefined;
  rules = new Map<number, RegisterRule>();
  readonly #fde: Fde;
  #initial: ReadonlyMap<number, RegisterRule> = new Map();
  readonly #remembered: { readonly cfa: CfaRule | undefined; readonly rules: Map<number, RegisterRule> }[] = [];

  constructor(fde: Fde) {
    this.#fde = fde;
  }

  /** What stands in front of every function of a CIE: nothing there advances. */
  run(code: Cursor): void {
    while (!code.isAtEnd) this.step(code, 0n);
  }

  /** The rules are those that `restore` leads back to. */
  begin(): void {
    this.#initial = new Map(this.rules);
  }

  /** Carries one instruction out; where it advances, to which address. */
  step(code: Cursor, here: bigint): bigint | undefined {
    const byte = code.u8();
    const low = byte & 0x3f;
    switch (byte & 0xc0) {
      case Cfa.ADVANCE_LOC:
        return this.#advanced(here, low);
      case Cfa.OFFSET:
        this.rules.set(low, { kind: "offset", offset: this.#factored(code.uleb()) });
        return undefined;
      case Cfa.RESTORE:
        this.#restore(low);
        return undefined;
    }
    switch (byte) {
      case Cfa.SET_LOC:
        return this.#fde.cie.pointer(code);
      case Cfa.ADVANCE_LOC1:
        return this.#advanced(here, code.u8());
      case Cfa.ADVANCE_LOC2:
        return this.#advanced(here, code.u16());
      case Cfa.ADVANCE_LOC4:
        return this.#advanced(here, code.u32());
      default:
        if (!this.#defineCfa(byte, code) && !this.#changeState(byte, code))
          this.rules.set(registerIn(code), this.#ruleIn(byte, code));
        return undefined;
    }
  }

  /** False where the instruction does something else. */
  #defineCfa(byte: number, code: Cursor): boolean {
    switch (byte) {
      case Cfa.DEF_CFA:
        this.cfa = { kind: "register", register: registerIn(code), offset: code.uleb() };
        return true;
      case Cfa.DEF_CFA_SF:
        this.cfa = { kind: "register", register: registerIn(code), offset: this.#factored(code.sleb()) };
        return true;
      case Cfa.DEF_CFA_REGISTER:
        this.cfa = { ...this.#registerCfa(), register: registerIn(code) };
        return true;
      case Cfa.DEF_CFA_OFFSET:
        this.cfa = { ...this.#registerCfa(), offset: code.uleb() };
        return true;
      case Cfa.DEF_CFA_OFFSET_SF:
        this.cfa = { ...this.#registerCfa(), offset: this.#factored(code.sleb()) };
        return true;
      case Cfa.DEF_CFA_EXPRESSION:
        this.cfa = { kind: "expression", bytes: code.block() };
        return true;
      default:
        return false;
    }
  }

  /** False where the instruction does something else. */
  #changeState(byte: number, code: Cursor): boolean {
    switch (byte) {
      case Cfa.NOP:
        return true;
      case Cfa.GNU_ARGS_SIZE:
        code.uleb(); // for exceptions alone: the CFA is right without
        return true;
      case Cfa.REMEMBER_STATE:
        if (this.#remembered.length === REMEMBERED_MAX) throw new Unreadable("states that pile up without an end");
        this.#remembered.push({ cfa: this.cfa, rules: new Map(this.rules) });
        return true;
      case Cfa.RESTORE_STATE: {
        const state = this.#remembered.pop();
        if (state === undefined) throw new Unreadable("a state that nobody remembered");
        this.cfa = state.cfa;
        this.rules = state.rules;
        return true;
      }
      case Cfa.RESTORE_EXTENDED:
        this.#restore(registerIn(code));
        return true;
      default:
        return false;
    }
  }

  #ruleIn(byte: number, code: Cursor): RegisterRule {
    switch (byte) {
      case Cfa.OFFSET_EXTENDED:
        return { kind: "offset", offset: this.#factored(code.uleb()) };
      case Cfa.OFFSET_EXTENDED_SF:
        return { kind: "offset", offset: this.#factored(code.sleb()) };
      case Cfa.GNU_NEGATIVE_OFFSET_EXTENDED:
        return { kind: "offset", offset: this.#factored(-code.uleb()) };
      case Cfa.VAL_OFFSET:
        return { kind: "value", offset: this.#factored(code.uleb()) };
      case Cfa.VAL_OFFSET_SF:
        return { kind: "value", offset: this.#factored(code.sleb()) };
      case Cfa.UNDEFINED:
        return { kind: "undefined" };
      case Cfa.SAME_VALUE:
        return { kind: "same" };
      case Cfa.REGISTER:
        return { kind: "register", register: registerIn(code) };
      case Cfa.EXPRESSION:
        return { kind: "expression", bytes: code.block() };
      case Cfa.VAL_EXPRESSION:
        return { kind: "value-expression", bytes: code.block() };
      default:
        throw new Unreadable(`an instruction 0x${byte.toString(16)} for frames`);
    }
  }

  #advanced(here: bigint, distance: number): bigint {
    return wrapped(here + BigInt(distance) * this.#fde.cie.codeAlignment);
  }

  #factored(offset: bigint): bigint {
    return offset * this.#fde.cie.dataAlignment;
  }

  #restore(register: number): void {
    const rule = this.#initial.get(register);
    if (rule === undefined) this.rules.delete(register);
    else this.rules.set(register, rule);
  }

  #registerCfa(): CfaRule & { readonly kind: "register" } {
    if (this.cfa?.kind !== "register")
      throw new Unreadable("a CFA that is changed where none by a register is defined");
    return this.cfa;
  }
}

function registerIn(code: Cursor): number {
  return code.count(REGISTERS);
}
