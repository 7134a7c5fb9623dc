/** Stacks of programs whose calls are known, as compilers make them in different ways, and beside a debugger. */
import { spawnSync } from "node:child_process";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { built, hasTool } from "./built.ts";
import { exec, notHere } from "./command.ts";

const stacks = suite("stacks");

/** The program's own functions, as they call one another, innermost first. */
const called: Readonly<Record<string, readonly string[]>> = {
  calls: ["give_back", "third", "second", "first", "main"],
  alloca: ["give_back", "third", "with_alloca", "main"],
  signal: ["give_back", "third", "on_signal", "interrupted", "main"],
  "other-stack": ["give_back", "third", "on_signal", "interrupted", "main"],
  library: ["give_back", "third", "inside", "called_back", "main"],
  thread: ["give_back", "third", "in_thread"],
};
const known = new Set(Object.values(called).flat());

/** Compilers' ways, and whether each frame can be found exactly: without a frame pointer, whose value nobody knows. */
const ways: readonly (readonly [name: string, options: readonly string[], isExact: boolean])[] = [
  ["O2", ["-O2"], true],
  ["O0-without-frame-pointer", ["-O0", "-fomit-frame-pointer"], true],
  ["O2-static", ["-O2", "-static"], true],
  ["O2-no-pie", ["-O2", "-no-pie"], true],
  ["O0", ["-O0"], false],
  ["O0-lines", ["-O0", "-g"], false],
  ["O2-frame-pointer", ["-O2", "-fno-omit-frame-pointer"], false],
];

const why = process.arch === "x64" ? notHere() : "only x86-64 is unwound";
if (why !== undefined) stacks("are not looked for here", () => console.log(why));
else {
  for (const [name, options, isExact] of ways) {
    stacks(`${name}: the program's own functions, in their order${isExact ? ", none of them guessed" : ""}`, () => {
      const file = stackProgram(name, options);
      const stacksFound = stacksOf(file, Object.keys(called));
      for (const [index, [how, expected]] of Object.entries(called).entries()) {
        const stack = stacksFound[index] ?? [];
        const words = `${name} ${how}:\n${stack.join("\n")}`;
        assert.equal(ownNames(stack), expected, words);
        assert.match(stack[0] ?? "", /^munmap\+0x/, words);
        // A function with alloca has a frame pointer, however it is compiled.
        if (isExact && how !== "alloca") assert.not.ok(stack.some(isGuess), words);
        if (!isExact) assert.ok(stack.some(isGuess), words);
        assert.not.ok(stack[1]?.includes("(by the stack)"), words);
      }
    });
  }

  stacks("a recursion is cut, and says so", () => {
    const stack = stackOf(stackProgram("O2", ["-O2"]), "recursion");
    assert.is(stack.length, 33);
    assert.is(stack.at(-1), "(not unwound further: there are more)");
    assert.ok(stack.slice(2, -1).every((frame) => frame.startsWith("down+0x")));
  });

  stacks("name lines of the source where there is addr2line and the program has them", () => {
    if (!hasTool("addr2line")) return;
    const stack = stackOf(stackProgram("O0-lines", ["-O0", "-g"]), "calls");
    assert.match(
      stack[1] ?? "",
      /^give_back\+0x[0-9a-f]+ at .*\/programs\/stack\.c:\d+ \(.*O0-lines \+ 0x[0-9a-f]+\)$/,
    );
  });

  stacks("name places alone where the program has been stripped, by addresses of its file", () => {
    const file = stackProgram("stripped", ["-O2", "-s"]);
    const whole = stackOf(stackProgram("O2", ["-O2"]), "calls");
    const stack = stackOf(file, "calls");
    assert.match(stack[1] ?? "", /^\/\S+\/stripped \+ 0x[0-9a-f]+$/);
    assert.equal(stack.length, whole.length, stack.join("\n"));
  });

  stacks("say where there are no rules: what follows is a guess", () => {
    const options = ["-O2", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables"];
    const stack = stackOf(stackProgram("without-rules", options), "calls");
    assert.match(stack[0] ?? "", /^munmap\+0x[^(]*\([^(]*\)$/);
    assert.ok(stack.slice(2, 4).every(isGuess), stack.join("\n"));
  });

  stacks("are those that gdb sees", () => {
    if (!hasTool("gdb")) return;
    const file = stackProgram("O2", ["-O2"]);
    const found = stacksOf(file, Object.keys(called));
    for (const [index, how] of Object.keys(called).entries()) {
      const seen = byGdb(file, how);
      assert.ok(seen.length > 3, `gdb says ${seen}`);
      assert.equal(ownNames(found[index] ?? []), ownNames(seen), how);
    }
  });
}

stacks.run();

function stackProgram(name: string, options: readonly string[]): string {
  if (options.includes("-static")) return built(name, options, ["stack.c", "stack-library.c"]);
  const library = built(`lib${name}.so`, [...options, "-shared", "-fPIC"], ["stack-library.c"]);
  return built(name, options, ["stack.c", library]);
}

function stackOf(file: string, how: string): readonly string[] {
  return stacksOf(file, [how])[0] ?? [];
}

/** Of a process for each: which finding is whose, its IOVA says. */
function stacksOf(file: string, hows: readonly string[]): (readonly string[])[] {
  const iovaOf = (index: number) => `0x${(index + 1).toString(16)}0000`;
  const lines = hows.map((how, index) => `${file} type1 ${how} ${iovaOf(index)}`);
  const { report, err } = exec(["--platform", "type1"], ["sh", "-c", lines.join("\n")]);
  return hows.map((how, index) => {
    const found = report.findings.find(
      ({ kind, addresses }) => kind === "given-back-while-reachable" && addresses[0]?.iova === iovaOf(index),
    );
    assert.ok(found, `${how}: ${err}`);
    return found.stack;
  });
}

function isGuess(frame: string): boolean {
  return frame.endsWith(" (by the stack)");
}

function ownNames(stack: readonly string[]): string[] {
  return stack.map((frame) => /^\w+/.exec(frame)?.[0] ?? "").filter((name) => known.has(name));
}

/** The stack of the same program in a debugger, without VFIO, where it gives the memory back. */
function byGdb(file: string, how: string): string[] {
  const commands = ["set confirm off", "break give_back", "run", "catch syscall munmap", "continue", "bt"];
  const words = ["-nx", "-batch", "-ex", "handle SIGUSR1 nostop", ...commands.flatMap((each) => ["-ex", each])];
  const { stdout } = spawnSync("gdb", [...words, "--args", file, "none", how, "0"], {
    encoding: "utf8",
    timeout: 30_000,
  });
  return [...stdout.matchAll(/^#\d+ +(?:0x[0-9a-f]+ in )?(\w+)/gm)].map(([, name = ""]) => name);
}
