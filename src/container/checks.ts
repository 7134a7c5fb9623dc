/** What a container is given, checked before anything is done with it. */
import { isItself } from "../closable.ts";
import { argumentTypeError, DmaWindowError, imitationError } from "../errors.ts";
import { MemsegTable } from "../memory/table.ts";
import { isSameKernel, type Syscalls } from "../syscalls.ts";
import { Window } from "./window.ts";

/** @throws `ERR_INVALID_ARG_TYPE`. */
export function checkMemory(memory: MemsegTable): void {
  if (!(memory instanceof MemsegTable)) throw argumentTypeError("memory", "a MemsegTable", memory);
  if (!isItself(memory)) throw imitationError("memory", "a MemsegTable");
}

/** @throws `ERR_INVALID_ARG_TYPE`. */
export function checkWindow(window: Window): void {
  if (!(window instanceof Window)) throw argumentTypeError("window", "a Window of this container", window);
  if (!isItself(window)) throw imitationError("window", "a Window");
}

/** Its pages are in the address space of the process that the container's kernel knows, or they are nowhere. @throws `ERR_OTHER_KERNEL`. */
export function checkKernel(memory: MemsegTable, kernel: Syscalls): void {
  if (isSameKernel(memory.kernel ?? kernel, kernel)) return;
  throw new DmaWindowError(
    "ERR_OTHER_KERNEL",
    "the memory was made with another kernel than the container: its addresses mean other memory there, or none. " +
      "Give both the same kernel, or one in front of it",
  );
}
