/** Programs that fetch: each call has an end, and what failed by chance is tried again, a few times. */
import { spawnSync } from "node:child_process";
import { setTimeout as pause } from "node:timers/promises";
import { isFinal, reasonIn } from "./packages.ts";

/** A download can arrive torn, and an index that is being replaced on the mirror cannot be read. */
const ATTEMPTS = 3;

/** Another run of the harness may be reading the same index: apt does not wait for it. */
const ATTEMPTS_WHILE_LOCKED = 15;

/** A no that stays one: to ask again is of no use. */
export class Refused extends Error {}

export interface Call {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** Then it is killed. */
  readonly seconds: number;
}

/** What it prints. @throws Refused; Error where another attempt may do better; both with what it complained of. */
export function run({ program, args, cwd, seconds }: Call): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd,
    encoding: "utf8",
    env: { ...process.env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" },
    input: "",
    killSignal: "SIGKILL",
    maxBuffer: 64 << 20,
    timeout: seconds * 1000,
  });
  if (status === 0) return `${stdout}\n${stderr}`;
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (code === "ETIMEDOUT") throw new Error(`${program} was stopped after ${seconds} s without an answer`);
  if (error !== undefined) throw new Refused(`${program} cannot be run: ${error.message}`);
  const said = `${stdout}\n${stderr}`;
  throw isFinal(said) ? new Refused(reasonIn(said)) : new Error(reasonIn(said));
}

/** Tries a few times what may fail by chance. `pauseMs`: before the second attempt; more before those after it. */
export async function persist<T>(
  what: string,
  attempt: () => T,
  { say, pauseMs }: { readonly say: (line: string) => void; readonly pauseMs: number },
): Promise<T> {
  for (let count = 1; ; count++) {
    try {
      return attempt();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const limit = /could not get lock|unable to lock/i.test(reason) ? ATTEMPTS_WHILE_LOCKED : ATTEMPTS;
      if (error instanceof Refused || count >= limit) throw error;
      say(`${what} failed (${reason}); once more`);
      await pause(pauseMs * count);
    }
  }
}
