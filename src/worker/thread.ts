/** Which thread this is, as Linux knows it: so that of a worker that is to be recovered it can be said whether it still runs. */
import { machineFiles } from "../system/machine-files.ts";

/** The number of this thread, and below it when it began; 0n where nobody says. */
export function thisThread(): bigint {
  return read("/proc/thread-self/stat") ?? 0n;
}

/** Whether a thread of this process still runs; `undefined` where nobody says. */
export function isRunning(thread: bigint): boolean | undefined {
  if (thread === 0n) return undefined;
  return read(`/proc/self/task/${thread >> 32n}/stat`) === thread;
}

/** `tid (name) state ppid ...`; the time of its beginning is the 22nd field. (man 5 proc_pid_stat) */
function read(path: string): bigint | undefined {
  const text = asked(path);
  if (text === undefined) return undefined;
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [tid, began] = [Number.parseInt(text, 10), Number(fields[19])];
  if (!Number.isSafeInteger(tid) || !Number.isSafeInteger(began)) return undefined;
  return (BigInt(tid) << 32n) | BigInt(began % 2 ** 32);
}

/** `undefined` also where a program may not read it. */
function asked(path: string): string | undefined {
  try {
    const text = machineFiles.text(path);
    return typeof text === "string" ? text : undefined;
  } catch {
    return undefined;
  }
}
