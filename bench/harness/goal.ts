/** What is aimed at in one row. */
export interface Goal {
  readonly goal: number;
  /** What is reached without anything new; the goal is beyond it. */
  readonly floor?: number;
  readonly unit: string;
  /** What is compared, for the page. */
  readonly about: string;
}

export const each = (what: string): string => `ns per ${what}`;
