/** The commands of the documents that need root, a device or a module: those that a guest runs, read out of the documents. */
import type { Guest } from "../kernels/guests.ts";
import { type Command, commandsIn } from "./commands.ts";
import { documents } from "./documents.ts";
import { elsewhere, isElsewhere } from "./elsewhere.ts";

/** A command, and the document that shows it. */
export interface ShownCommand extends Command {
  readonly document: string;
}

/** What a guest of this kind runs, in the order in which it stands in the documents. */
export function commandsFor(machine: Guest["machine"]): ShownCommand[] {
  const own = elsewhere.filter(({ machines }) => machines?.includes(machine));
  return documents.flatMap(({ name, text }) =>
    commandsIn(text)
      .filter((command) => own.some((entry) => isElsewhere(entry, name, command.text)))
      .map((command) => ({ document: name, ...command })),
  );
}
