/** Numbers of x86-64's registers. (System V ABI, AMD64 supplement, table 3.36) */
export const Register = { RBX: 3, RBP: 6, RSP: 7, R12: 12, R15: 15, RETURN_ADDRESS: 16 } as const;

/** What is known of a function's registers; nothing of the others. */
export type Registers = ReadonlyMap<number, bigint>;

export interface Frame {
  /** Where it goes on. */
  readonly pc: bigint;
  /** An address in the instruction that it is in: of one that called, not the next one's, which may be another function's. */
  readonly at: bigint;
  readonly registers: Registers;
  /** It was not found by its caller's rules, or behind one that was not. */
  readonly isGuess: boolean;
}

/** What a function leaves as it was for its caller. (AMD64 supplement, 3.2.1) */
export function isKept(register: number): boolean {
  return (
    register === Register.RBX || register === Register.RBP || (register >= Register.R12 && register <= Register.R15)
  );
}
