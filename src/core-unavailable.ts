/** What stands in for the core where the engine cannot run it: importing succeeds, and the first use says why not. */
import { DmaWindowError } from "./errors.ts";

/**
 * The core that `load` gives; or, where that throws, an object each use of which tries again, and throws a
 * {@link DmaWindowError} of code `ERR_CORE_UNAVAILABLE` when it fails again. The core itself is handed out as it is: V8
 * inlines calls into wasm only while it sees what is called.
 */
export function orStandIn<Core extends object>(load: () => Core): Core {
  try {
    return load();
  } catch {
    return standIn(load);
  }
}

function standIn<Core extends object>(load: () => Core): Core {
  let loaded: Core | undefined;
  const get = (): Core => {
    try {
      loaded ??= load();
      return loaded;
    } catch (cause) {
      throw unavailable(cause);
    }
  };
  // Symbols are what inspecting and printing ask for, which is no use of the core.
  return new Proxy({} as Core, {
    get: (none, name) => Reflect.get(typeof name === "symbol" ? none : get(), name),
    has: (_, name) => name in get(),
    ownKeys: () => Reflect.ownKeys(get()),
    getOwnPropertyDescriptor: (_, name) => {
      const found = Object.getOwnPropertyDescriptor(get(), name);
      return found && { ...found, configurable: true }; // as a proxy has to say of what its target lacks
    },
  });
}

function unavailable(cause: unknown): DmaWindowError {
  const message = `The WebAssembly core, which does all arithmetic with addresses, cannot be used. ${reason(cause)}`;
  return new DmaWindowError("ERR_CORE_UNAVAILABLE", message, { cause });
}

/** Why an engine cannot run a module of ours, and what to do. */
export function reason(cause: unknown): string {
  const said = cause instanceof Error ? cause.message : String(cause);
  if (typeof WebAssembly !== "object") {
    return "This engine has no WebAssembly: V8 has none with --jitless, and neither do browsers in lockdown modes. Run without that option.";
  }
  if ((cause as { code?: unknown } | null)?.code === "ERR_OUT_OF_RANGE") {
    return `${said.charAt(0).toUpperCase()}${said.slice(1)}. Set or unset it, and start the program again.`;
  }
  // V8 reserves 10 GiB of addresses for a memory of 128 KiB, so that it need not check bounds. Since Node 24 it goes without
  // where a process may not have so many (ulimit -v); no maximum that a module declares makes it reserve less.
  if (!(cause instanceof WebAssembly.CompileError) && /memory/i.test(said)) {
    return (
      `There is no address space left for its memory (${said}): V8 reserves 10 GiB for each. ` +
      "The limit keeps one program from taking all of the machine's memory: start Node 20 or 22 with --disable-wasm-trap-handler, " +
      "or raise it (ulimit -v); Node 24 needs neither."
    );
  }
  if (/disallowed|refused|blocked|unsafe-eval/i.test(said)) {
    return (
      `The program or the page forbids to compile WebAssembly (${said}), which keeps code that was slipped in from running. ` +
      "Allow it, and no more: in a browser 'wasm-unsafe-eval' in the Content-Security-Policy, in node:vm codeGeneration: { wasm: true }."
    );
  }
  if (/simd/i.test(said)) {
    return `This engine or processor has no SIMD (${said}). Unset DMA_WINDOW_CORE, or set it to "scalar".`;
  }
  return `Its bytes are damaged, or this engine does not know all that they need (${said}). Install dma-window again.`;
}
