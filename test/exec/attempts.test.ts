/** Nothing leads to the machine's own VFIO: neither by name, nor by another way to the same file, nor by a call that the filter refuses. */
import { rmSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { readableByAll } from "../cli/command.ts";
import { exec, notHere, program } from "./command.ts";

const attempts = suite("ways to the real /dev/vfio");

/** That lead to the model. */
const led = [
  ...["open", "raw-openat", "openat2", "dots", "relative", "relative-up", "openat", "symlink", "symlink-relative"],
  ...["symlink-utf8", "symlink-latin1", "self-root", "thread-self-root", "self-cwd", "path-then-open", "dev-fd"],
  ...["reopen", "dup", "thread", "socket", "fork", "vfork-exec"],
  ...(process.arch === "x64" ? ["raw-open", "creat"] : []),
];

/** That lead nowhere. */
const refused: Readonly<Record<string, RegExp>> = {
  node: /^No such file or directory$/,
  handle: /^Operation not permitted$/,
  io_uring: /^Function not implemented$/,
  "init-root": /^(Permission denied|No such file or directory)$/,
};

const why = notHere();
if (why !== undefined) attempts("are not tried here", () => console.log(why));
else {
  // Each is a process of its own; all of them under one command.
  const ways = [...led, ...Object.keys(refused)];
  const script = `for way in ${ways.join(" ")}; do "$1" $way || echo failed; done`;
  const { out, err } = exec(["--platform", "type1"], ["sh", "-c", script, "sh", program("attempts")]);
  const answers = out.trimEnd().split("\n");
  for (const [index, way] of ways.entries()) {
    const wanted = refused[way];
    attempts(`${way} leads ${wanted ? "nowhere" : "to the model"}`, () => {
      if (wanted === undefined) assert.is(answers[index], "API 0, the model", err);
      else assert.match(answers[index] ?? "", wanted, err);
    });
  }

  attempts("lead to the model without privileges too, where nothing can be mounted", () => {
    if (process.getuid?.() !== 0) return;
    const where = readableByAll();
    try {
      const unprivileged = exec(["--platform", "type1"], ["sh", "-c", script, "sh", program("attempts")], {
        where,
        uid: 65534,
      });
      const given = unprivileged.out.trimEnd().split("\n");
      const others = ways.filter((way, index) => led.includes(way) && given[index] !== "API 0, the model");
      // There is no /dev/vfio to go into, nothing to look at before it is opened, and a link that leads nowhere is read as UTF-8.
      assert.equal(others, ["relative", "symlink-latin1", "path-then-open", "dev-fd"], unprivileged.out);
      assert.match(unprivileged.err, /without CAP_SYS_ADMIN the program sees this machine's own PCI devices/);
    } finally {
      rmSync(where, { recursive: true });
    }
  });
}

attempts.run();
