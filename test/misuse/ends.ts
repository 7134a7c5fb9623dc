/** How a program that misuses memory or devices ends, and what it says before. */

interface Misuse {
  /** What must not be. */
  readonly faults: readonly string[];
  /** How often what was done. */
  readonly done: unknown;
  /** Waits for what is under way. */
  settle(): Promise<void>;
}

/** `exit` and `throw` end it at once, with whatever is open. Code 3: there was a fault. */
export async function endAs(end: string, misuse: Misuse): Promise<void> {
  if (misuse.faults.length > 0) {
    console.log(misuse.faults.slice(0, 3).join("\n"));
    process.exit(3);
  }
  console.log(JSON.stringify(misuse.done));
  console.log("ended");
  if (end === "exit") process.exit(0);
  if (end === "throw") throw new Error("as asked");
  await misuse.settle();
}
