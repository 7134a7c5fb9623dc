/** Makes a failing program short: fewer steps first, then plainer ones. */
import type { Program } from "./choices.ts";

/**
 * The shortest program found that still fails, after at most `budget` runs. `fails` must give the same answer for the same
 * program. Steps go in halves, quarters, ... and one by one; then numbers of each step go to 0, or are halved.
 */
export function shrink(program: Program, fails: (candidate: Program) => boolean, budget = 3000): Program {
  let runs = 0;
  let best = program;
  const better = (candidate: Program): boolean => {
    if (runs >= budget) return false;
    runs++;
    if (!fails(candidate)) return false;
    best = candidate;
    return true;
  };
  for (let before = -1; before !== runs && runs < budget; ) {
    before = runs;
    const weight = weightOf(best);
    withoutSteps();
    withPlainerNumbers();
    if (weightOf(best) === weight) break;
  }
  return best;

  function withoutSteps(): void {
    for (let chunk = Math.ceil(best.length / 2); chunk >= 1; chunk = chunk === 1 ? 0 : Math.ceil(chunk / 2)) {
      // From the end: what a step needs stands before it.
      for (let start = best.length - chunk; start > -chunk; start -= chunk) {
        const from = Math.max(start, 0);
        if (best.length > 1) better([...best.slice(0, from), ...best.slice(start + chunk)]);
      }
    }
  }

  function withPlainerNumbers(): void {
    for (let at = 0; at < best.length; at++) {
      const put = (row: readonly number[]) => better(best.map((one, i) => (i === at ? row : one)));
      const row = () => best[at] as readonly number[];
      for (let keep = 0; keep < row().length && !put(row().slice(0, keep)); keep++);
      for (let i = 0; i < row().length; i++) {
        if (row()[i] === 0) continue;
        const to = (value: number) => put(row().map((one, j) => (j === i ? value : one)));
        if (to(0)) continue;
        // Choices are among a few: the smallest numbers say the same as the large ones.
        for (let small = 1; small < Math.min(row()[i] as number, 40); small++) if (to(small)) break;
      }
    }
  }
}

function weightOf(program: Program): number {
  return program.reduce((sum, row) => sum + 1000 + row.reduce((all, each) => all + 1 + each / 720_720, 0), 0);
}
