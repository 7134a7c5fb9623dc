import { Cursor, type ReadMemory, Unreadable, wrapped } from "./cursor.ts";

/** Of DWARF, for what stands in frames: it computes an address, and has no places. (DWARF 5, 2.5.1 and 7.7.1) */
const Op = {
  ADDR: 0x03,
  DEREF: 0x06,
  CONST1U: 0x08,
  CONST1S: 0x09,
  CONST2U: 0x0a,
  CONST2S: 0x0b,
  CONST4U: 0x0c,
  CONST4S: 0x0d,
  CONST8U: 0x0e,
  CONST8S: 0x0f,
  CONSTU: 0x10,
  CONSTS: 0x11,
  DUP: 0x12,
  DROP: 0x13,
  OVER: 0x14,
  PICK: 0x15,
  SWAP: 0x16,
  ROT: 0x17,
  ABS: 0x19,
  AND: 0x1a,
  DIV: 0x1b,
  MINUS: 0x1c,
  MOD: 0x1d,
  MUL: 0x1e,
  NEG: 0x1f,
  NOT: 0x20,
  OR: 0x21,
  PLUS: 0x22,
  PLUS_UCONST: 0x23,
  SHL: 0x24,
  SHR: 0x25,
  SHRA: 0x26,
  XOR: 0x27,
  BRA: 0x28,
  EQ: 0x29,
  GE: 0x2a,
  GT: 0x2b,
  LE: 0x2c,
  LT: 0x2d,
  NE: 0x2e,
  SKIP: 0x2f,
  LIT0: 0x30,
  BREG0: 0x70,
  BREGX: 0x92,
  DEREF_SIZE: 0x94,
  NOP: 0x96,
} as const;

/** One that jumps back may have no end. */
const STEPS_MAX = 1000;
const DEPTH_MAX = 64;

/** What an expression may ask for. */
export interface ExpressionWorld {
  readonly read: ReadMemory;
  /** @throws Unreadable, or what else says that the register is not known. */
  readonly register: (number: number) => bigint;
}

/** The value of an expression. @throws Unreadable where it makes no sense, has no end, or reads what is not there. */
export function evaluate(expression: Uint8Array, world: ExpressionWorld, ...pushed: readonly bigint[]): bigint {
  const code = new Cursor(expression);
  const stack = [...pushed];
  for (let steps = 0; !code.isAtEnd; steps++) {
    if (steps === STEPS_MAX) throw new Unreadable("an expression without an end");
    step(code, stack, world);
    if (stack.length > DEPTH_MAX) throw new Unreadable("an expression that piles up without an end");
  }
  return popped(stack);
}

/** Carries one operation out. */
function step(code: Cursor, stack: bigint[], world: ExpressionWorld): void {
  const op = code.u8();
  const value = isLiteral(op) ? literal(op, code, world) : computed(op, code, stack, world);
  if (value !== undefined) stack.push(wrapped(value));
}

function isLiteral(op: number): boolean {
  return op <= Op.ADDR || (op >= Op.CONST1U && op <= Op.CONSTS) || (op >= Op.LIT0 && op <= Op.BREGX);
}

/** What an operation pushes that takes nothing. */
function literal(op: number, code: Cursor, { register }: ExpressionWorld): bigint {
  if (op >= Op.LIT0 && op < Op.LIT0 + 32) return BigInt(op - Op.LIT0);
  if (op >= Op.BREG0 && op < Op.BREG0 + 32) return register(op - Op.BREG0) + code.sleb();
  switch (op) {
    case Op.ADDR:
    case Op.CONST8U:
      return code.u64();
    case Op.CONST1U:
      return BigInt(code.u8());
    case Op.CONST1S:
      return BigInt(code.i8());
    case Op.CONST2U:
      return BigInt(code.u16());
    case Op.CONST2S:
      return BigInt(code.i16());
    case Op.CONST4U:
      return BigInt(code.u32());
    case Op.CONST4S:
      return BigInt(code.i32());
    case Op.CONST8S:
      return code.i64();
    case Op.CONSTU:
      return code.uleb();
    case Op.CONSTS:
      return code.sleb();
    case Op.BREGX:
      return register(code.count(128)) + code.sleb();
    default:
      throw unknown(op);
  }
}

/** What an operation pushes that looks at what was pushed before; `undefined`: nothing. */
function computed(op: number, code: Cursor, stack: bigint[], { read }: ExpressionWorld): bigint | undefined {
  const pop = () => popped(stack);
  const operation = binary[op];
  if (operation !== undefined) {
    const right = pop();
    return operation(pop(), right);
  }
  switch (op) {
    case Op.DEREF:
      return new Cursor(read(pop(), 8)).u64();
    case Op.DEREF_SIZE:
      return sized(read, pop(), code.u8());
    case Op.DUP:
      return picked(stack, 0);
    case Op.OVER:
      return picked(stack, 1);
    case Op.PICK:
      return picked(stack, code.u8());
    case Op.DROP:
      pop();
      return undefined;
    case Op.SWAP:
      stack.push(pop(), pop());
      return undefined;
    case Op.ROT: {
      const [first, second, third] = [pop(), pop(), pop()];
      stack.push(first, third, second);
      return undefined;
    }
    case Op.ABS: {
      const value = signed(pop());
      return value < 0n ? -value : value;
    }
    case Op.NEG:
      return -pop();
    case Op.NOT:
      return ~pop();
    case Op.PLUS_UCONST:
      return pop() + code.uleb();
    case Op.SKIP:
      jump(code, code.i16());
      return undefined;
    case Op.BRA: {
      const distance = code.i16();
      if (pop() !== 0n) jump(code, distance);
      return undefined;
    }
    case Op.NOP:
      return undefined;
    default:
      throw unknown(op);
  }
}

function unknown(op: number): Unreadable {
  return new Unreadable(`an expression with operation 0x${op.toString(16)}`);
}

/** With two operands, the one that was pushed last on the right. Comparisons and division are signed. */
const binary: Readonly<Record<number, (left: bigint, right: bigint) => bigint>> = {
  [Op.AND]: (left, right) => left & right,
  [Op.OR]: (left, right) => left | right,
  [Op.XOR]: (left, right) => left ^ right,
  [Op.PLUS]: (left, right) => left + right,
  [Op.MINUS]: (left, right) => left - right,
  [Op.MUL]: (left, right) => left * right,
  [Op.DIV]: (left, right) => signed(left) / divisor(signed(right)),
  [Op.MOD]: (left, right) => left % divisor(right),
  [Op.SHL]: (left, right) => (right > 63n ? 0n : left << right),
  [Op.SHR]: (left, right) => (right > 63n ? 0n : left >> right),
  [Op.SHRA]: (left, right) => signed(left) >> (right > 63n ? 63n : right),
  [Op.EQ]: (left, right) => BigInt(left === right),
  [Op.NE]: (left, right) => BigInt(left !== right),
  [Op.GE]: (left, right) => BigInt(signed(left) >= signed(right)),
  [Op.GT]: (left, right) => BigInt(signed(left) > signed(right)),
  [Op.LE]: (left, right) => BigInt(signed(left) <= signed(right)),
  [Op.LT]: (left, right) => BigInt(signed(left) < signed(right)),
};

function signed(value: bigint): bigint {
  return BigInt.asIntN(64, value);
}

function divisor(value: bigint): bigint {
  if (value === 0n) throw new Unreadable("an expression that divides by 0");
  return value;
}

function popped(stack: bigint[]): bigint {
  const value = stack.pop();
  if (value === undefined) throw new Unreadable("an expression that takes what it has not");
  return value;
}

function picked(stack: readonly bigint[], index: number): bigint {
  const value = stack[stack.length - 1 - index];
  if (value === undefined) throw new Unreadable("an expression that takes what it has not");
  return value;
}

function sized(read: ReadMemory, address: bigint, size: number): bigint {
  if (![1, 2, 4, 8].includes(size)) throw new Unreadable(`an expression that reads ${size} bytes`);
  const bytes = new Uint8Array(8);
  bytes.set(read(address, size));
  return new Cursor(bytes).u64();
}

function jump(code: Cursor, distance: number): void {
  const to = code.at + distance;
  if (to < 0 || to > code.bytes.length) throw new Unreadable("an expression that jumps out of itself");
  code.at = to;
}
