import { test } from "uvu";
import * as assert from "uvu/assert";
import { isCrash, Lines, MARK, reportIn } from "./console.ts";

function linesOf(...pieces: readonly (string | Uint8Array)[]): string[] {
  const found: string[] = [];
  const lines = new Lines((line) => found.push(line));
  for (const piece of pieces) lines.write(typeof piece === "string" ? Buffer.from(piece) : piece);
  lines.end();
  return found;
}

test("lines are put together from the pieces in which they come", () => {
  assert.equal(linesOf("on", "e\r\ntw", "o\r\n", "\n", "three"), ["one", "two", "", "three"]);
  assert.equal(linesOf("one\n"), ["one"]);
  assert.equal(linesOf(), []);
});

test("a letter that is torn between two pieces is whole in its line", () => {
  const bytes = Buffer.from("Größe\n");
  assert.equal(linesOf(bytes.subarray(0, 3), bytes.subarray(3)), ["Größe"]);
});

test("a terminal's escape sequences are left out", () => {
  assert.equal(linesOf("\x1bc\x1b[?7l\x1b[2J\x1b[0;1mtext\x1b[0m  \r\n"), ["text"]);
});

test("a marked line is a report, also behind what firmware left on the line", () => {
  assert.equal(reportIn(`${MARK}{"id":"7.1","kind":"leak","kib":4}`), { id: "7.1", kind: "leak", kib: 4 });
  assert.equal(reportIn(`#1 SMP${MARK}{"id":"init up","kind":"up"}`), { id: "init up", kind: "up" });
});

test("text is no report", () => {
  assert.is(reportIn("Linux is up"), undefined);
  assert.is(reportIn('{"id":"7.1","kind":"leak","kib":4}'), undefined);
  assert.is(reportIn(""), undefined);
});

test("a mark with anything else behind it is torn, and not passed over", () => {
  const torn = ['{"id":"7.1","kind":"le[  3.1] reboot', '{"id":"7.1","kind":"up"} more', '{"id":"7.1","kind":"other"}'];
  for (const rest of [...torn, "", "null", "7", "{}", '{"kind":"up"}', '{"id":7,"kind":"up"}']) {
    assert.is(reportIn(MARK + rest), "torn", rest);
  }
});

test("a kernel's crash is known by its words", () => {
  const crashes = [
    "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100",
    "Oops: Kernel access of bad area, sig: 7 [#1]",
    "BUG: Unable to handle kernel data access at 0xc00800000f8e0000",
    "[   12.345678] kernel BUG at mm/slub.c:448!",
    "watchdog: BUG: soft lockup - CPU#0 stuck for 22s!",
  ];
  for (const line of crashes) assert.ok(isCrash(line), line);
  for (const line of ["reboot: Power down", "FAIL  a test: Oops", "panic=-1"]) assert.not.ok(isCrash(line), line);
});

test.run();
