import type { CfaRule, RegisterRule, Row } from "./cfa.ts";
import { Cursor, type ReadMemory, Unreadable, wrapped } from "./cursor.ts";
import { evaluate } from "./expression.ts";
import { isKept, Register, type Registers } from "./frame.ts";

/** A register that is needed, and that nobody on the way has saved. */
export class UnknownRegister extends Unreadable {}

/** What the stack pointer was before the call. @throws Unreadable, UnknownRegister */
export function cfaOf(rule: CfaRule, registers: Registers, read: ReadMemory): bigint {
  if (rule.kind === "register") return wrapped(known(registers, rule.register) + rule.offset);
  return evaluate(rule.bytes, { read, register: (number) => known(registers, number) });
}

/**
 * What is known of the caller's registers, the return address among them. One that cannot be read is not known.
 *
 * @throws Unreadable where an expression makes no sense.
 */
export function callersRegisters(
  { rules }: Row,
  cfa: bigint,
  registers: Registers,
  read: ReadMemory,
): Map<number, bigint> {
  const found = new Map([...registers].filter(([register]) => isKept(register)));
  found.set(Register.RSP, cfa);
  for (const [register, rule] of rules) {
    const value = callersValue(rule, register, cfa, registers, read);
    if (value === undefined) found.delete(register);
    else found.set(register, value);
  }
  return found;
}

function callersValue(
  rule: RegisterRule,
  register: number,
  cfa: bigint,
  registers: Registers,
  read: ReadMemory,
): bigint | undefined {
  const world = { read, register: (number: number) => known(registers, number) };
  try {
    switch (rule.kind) {
      case "undefined":
        return undefined;
      case "same":
        return registers.get(register);
      case "register":
        return registers.get(rule.register);
      case "offset":
        return word(read, cfa + rule.offset);
      case "value":
        return wrapped(cfa + rule.offset);
      case "expression":
        return word(read, evaluate(rule.bytes, world, cfa));
      case "value-expression":
        return evaluate(rule.bytes, world, cfa);
    }
  } catch (error) {
    if (error instanceof Unreadable) return undefined;
    throw error;
  }
}

/** @throws Unreadable */
export function word(read: ReadMemory, address: bigint): bigint {
  return new Cursor(read(wrapped(address), 8)).u64();
}

/** `undefined` where nothing can be read. */
export function wordAt(read: ReadMemory, address: bigint): bigint | undefined {
  try {
    return word(read, address);
  } catch (error) {
    if (error instanceof Unreadable) return undefined;
    throw error;
  }
}

function known(registers: Registers, register: number): bigint {
  const value = registers.get(register);
  if (value === undefined) throw new UnknownRegister(`register ${register} is not known`);
  return value;
}
