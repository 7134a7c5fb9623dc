/** The program's memory as it is when a call leads there: protected otherwise meanwhile, and what nobody knows an answer for. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { exec, kindsIn, notHere, program } from "./command.ts";

const memory = suite("memory under exec");

const why = notHere();
if (why !== undefined) memory("is not looked at here", () => console.log(why));
else {
  memory("is mapped as it may be used at that moment, and not as it could be used before (type1)", () => {
    const { out, report, err } = exec(["--platform", "type1"], [program("protected"), "type1"]);
    assert.is(
      out,
      [
        "written: 0",
        "then only read: Bad address",
        "then not at all: Bad address",
        "then written: 0",
        "a file, only read: 0",
        "then only read: Bad address\n",
      ].join("\n"),
      err,
    );
    assert.not.ok(kindsIn({ code: 0, out, report, err }).includes("given-back-while-reachable"));
  });

  memory("is registered as it may be used at that moment (powernv)", () => {
    const { out, err } = exec(["--platform", "powernv"], [program("protected"), "powernv"]);
    assert.is(
      out,
      [
        "written: 0",
        "then only read: REGISTER Bad address",
        "then not at all: REGISTER Bad address",
        "then written: 0",
        "a file, only read: REGISTER Bad address",
        "then only read: REGISTER Bad address\n",
      ].join("\n"),
      err,
    );
  });

  memory("of a call that nobody knows the answer to, the answer is EOPNOTSUPP, and the finding says which", () => {
    const { out, report } = exec(["--platform", "type1"], [program("not-modelled"), "type1", "wrong"]);
    assert.is(out, "Operation not supported\n");
    assert.equal(
      report.findings.map(({ kind }) => kind),
      ["not-modelled"],
    );
    const [{ message = "", calls = [], stack = [] } = {}] = report.findings;
    const call = "#4 DIRTY_PAGES(argsz 0x8, flags 0x1) = EOPNOTSUPP";
    assert.ok(message.startsWith(`${call}: `), message);
    assert.match(message, /DIRTY_PAGES with START: pages that devices write are not tracked$/);
    assert.equal(calls, [call]);
    assert.ok(stack.length > 0);
  });
}

memory.run();
