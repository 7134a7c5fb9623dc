/** What a cause is: one row of the table of why the kernel says no. */
import type { Machine } from "./machine.ts";

/** The IOMMUs whose answers differ: the `kind` of a container. */
export type IommuKind = "spapr" | "type1" | "noiommu";

/** How sure the machine's own facts make a cause. `possible`: they say nothing about it. */
export type Verdict = "sure" | "likely" | "possible" | "unlikely" | "ruled out";

/** What the call was about, by the names of an error's `facts`: `group`, `length`, `pageSize`, `node`, `iova`, `va`. */
export type Asked = Readonly<Record<string, unknown>>;

/**
 * What the machine says of a cause. `why` and `next` stand in the place of the cause's own, with the machine's numbers. Of a
 * cause that is ruled out a message tells `why`, and without one nothing.
 */
export interface Finding {
  readonly verdict: Verdict;
  readonly why?: string;
  readonly next?: string;
}

/**
 * Whether a cause is the case, by the call's operands and by what came before it (`facts.ts` names both): `undefined` where
 * they do not say, `null` where it is not by all that is known, and may have become so unseen. A text says so with the numbers.
 */
export type Holds = (asked: Asked) => string | boolean | undefined | null;

/** Asks the machine's files about a cause; `undefined` where they do not say. It reads few files, and only after a refusal. */
export type Question = (machine: Machine, asked: Asked) => Finding | undefined;

/** One reason for one answer of one call. */
export interface Cause {
  /** Names it for programs and documents, beside call and errno: `reserved-regions`. */
  readonly id: string;
  /** The call as in `<linux/vfio.h>` or the manual; `open group` and `open /dev/vfio/vfio` are told apart. `any` is every call. */
  readonly call: string;
  /** By name. {@link POSITIVE} is a number above 0, with which sPAPR's calls fail too; {@link SUCCESS} and {@link CRASH}. */
  readonly errno: string;
  /** The IOMMUs on which it can be. Without: all, also where none is known. */
  readonly iommu?: readonly IommuKind[];
  /**
   * The first Linux that answers so, and the first that does not any more, where that is known; behind it the releases of
   * older series that the change was carried back to: `7.3, 7.2.8, 6.12.113`.
   */
  readonly since?: string;
  readonly before?: string;
  /** Where the kernel says so: `file: function`. */
  readonly source: string;
  /** What is the case. */
  readonly why: string;
  /** What a guard protects that `next` would lower: it is said first. */
  readonly guards?: string;
  /** What to do. */
  readonly next?: string;
  readonly ask?: Question;
  readonly holds?: Holds;
  /**
   * This library never makes a call that fails so, or no call of its own at all: its messages leave the cause out. Programs
   * that make their calls themselves meet it.
   */
  readonly others?: true;
  /** A program that makes the call wrongly meets it, and no other: those that are in use for long do not. */
  readonly mistake?: true;
  /** It sums up, or says in this library's words, what finer causes name one by one: for its messages alone. */
  readonly summary?: true;
}

export const POSITIVE = "positive";

/** An answer of 0 that does not mean what it seems to. */
export const SUCCESS = "success";

/** The kernel crashes in the call. */
export const CRASH = "Oops";

export type Row = Omit<Cause, "call" | "errno">;

/** The causes of one call, by errno: the errnos and the causes of each in the order of how often they are met. */
export function causesOf(call: string, rows: Readonly<Record<string, readonly Row[]>>): Cause[] {
  return Object.entries(rows).flatMap(([errno, causes]) => causes.map((cause) => ({ call, errno, ...cause })));
}

/** The same of what only other programs meet. */
export function othersOf(call: string, rows: Readonly<Record<string, readonly Row[]>>): Cause[] {
  return causesOf(call, rows).map((cause) => ({ ...cause, others: true }));
}
