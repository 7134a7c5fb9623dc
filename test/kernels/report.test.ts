import { test } from "uvu";
import * as assert from "uvu/assert";
import { mayCrash } from "../conformance/run-on.ts";
import { type Boot, bootsOf } from "./boots.ts";
import { type Event, MARK } from "./console.ts";
import { type Guest, guests } from "./guests.ts";
import { Account, type Equipment, merged, notBooted, TAIL } from "./report.ts";
import { textOf } from "./report-text.ts";

const guest = guests[0] as Guest;
const [usual] = bootsOf(guest, ["dma", "flight"]) as [Boot];
const [harmful] = bootsOf(guest, ["harm"]) as [Boot];
const crashing = guests.flatMap((one) => bootsOf(one, ["harm"])).find(({ harm }) => harm && mayCrash(harm.row)) as Boot;

let reports = 0;

/** A report's two copies. */
function twice(event: Event): string[] {
  const line = MARK + JSON.stringify({ id: `${process.pid}.${++reports}`, ...event });
  return [line, line];
}

/** A boot that has just begun. */
function begun(boot: Boot, own?: Equipment): Account {
  reports = 0;
  return new Account(boot, own);
}

function tell(account: Account, ...events: readonly Event[]): void {
  for (const line of events.flatMap(twice)) account.take(line);
}

/** What a guest says that has done everything right. */
const good: readonly Event[] = [
  { kind: "up" },
  { kind: "machine", kernel: "6.12.107", build: "#1 SMP Debian", node: "v20.19.2", cpuPage: 65536 },
  { kind: "test", name: "it holds", ok: true },
  { kind: "dma", transfers: 10, wrongBytes: 0 },
  { kind: "row", table: "a table", cells: { way: "old", A: "stopped" } },
  { kind: "row", table: "a table", cells: { way: "new and longer", A: "reached" } },
  { kind: "leak", kib: 0 },
  { kind: "ended", part: "dma", status: 0 },
  { kind: "inFlight", scheme: "static", transfers: 80, lost: 0, interrupted: 0 },
  { kind: "inFlight", scheme: "dynamic", transfers: 81, lost: 3, interrupted: 900 },
  { kind: "conformance", rows: 250, differences: 0 },
  { kind: "conformance", rows: 20, differences: 0 },
  { kind: "random", operations: 5000, differences: 0 },
  { kind: "random", operations: 5001, differences: 0 },
  { kind: "nvme", reads: 100, writes: 20, wrongBytes: 0, interrupts: 50, missed: 1 },
  { kind: "nvme", reads: 1, writes: 2, wrongBytes: 0, interrupts: 3, missed: 0 },
  { kind: "nvmeInFlight", scheme: "static", commands: 500, lost: 0 },
  { kind: "nvmeInFlight", scheme: "dynamic", commands: 600, lost: 7 },
  { kind: "ended", part: "flight", status: 0 },
  { kind: "off", tainted: 0 },
];

function accountOf(events: readonly Event[], ...texts: readonly string[]): Account {
  const account = begun(usual);
  tell(account, ...events);
  for (const text of texts) account.take(text);
  return account;
}

const failuresOf = (events: readonly Event[], ...texts: readonly string[]) =>
  accountOf(events, ...texts).close({ how: "off" }, 10).failures;

test("a guest's account adds up what its parts report", () => {
  assert.equal(accountOf(good).close({ how: "off" }, 41.6), {
    name: "pseries-4k",
    machine: "pseries",
    kernel: "6.12.107",
    build: "#1 SMP Debian",
    node: "v20.19.2",
    cpuPage: 65536,
    seconds: 42,
    tests: { passed: 1, failed: 0 },
    conformance: { rows: 270, differences: 0 },
    random: { operations: 10001, differences: 0 },
    dma: { transfers: 10, wrongBytes: 0 },
    inFlight: {
      static: { transfers: 80, lost: 0, interrupted: 0 },
      dynamic: { transfers: 81, lost: 3, interrupted: 900 },
    },
    nvme: {
      reads: 101,
      writes: 22,
      wrongBytes: 0,
      interrupts: 53,
      missed: 1,
      inFlight: { static: { commands: 500, lost: 0 }, dynamic: { commands: 600, lost: 7 } },
    },
    vmLckLeakedKiB: 0,
    tables: {
      "a table": [
        { way: "old", A: "stopped" },
        { way: "new and longer", A: "reached" },
      ],
    },
    failures: [],
  });
});

test("the dynamic scheme may lose transfers, the static window may not", () => {
  const fixed: Event = { kind: "inFlight", scheme: "static", transfers: 80, lost: 1, interrupted: 2 };
  assert.match(failuresOf([...good, fixed]).join(), /lost 1 transfers and interrupted 2 pages/);
});

test("each thing that is wrong is a failure of its own", () => {
  const wrong: readonly [Event, RegExp][] = [
    [{ kind: "test", name: "it holds", ok: false, message: "it does not" }, /^it holds: it does not$/],
    [{ kind: "dma", transfers: 1, wrongBytes: 7 }, /^7 bytes were wrong/],
    [{ kind: "nvme", reads: 1, writes: 0, wrongBytes: 9, interrupts: 0, missed: 0 }, /^9 bytes of the disk were wrong/],
    [{ kind: "nvmeInFlight", scheme: "static", commands: 9, lost: 2 }, /^the static window lost 2 commands/],
    [{ kind: "conformance", rows: 1, differences: 1 }, /^1 rows of the conformance suite/],
    [{ kind: "random", operations: 1, differences: 2 }, /^the model answered otherwise 2 times$/],
    [{ kind: "leak", kib: 64 }, /^64 KiB of locked memory/],
    [{ kind: "leak", kib: -4 }, /^-4 KiB of locked memory/],
    [{ kind: "ended", part: "dma", status: 1 }, /^dma ended with 1$/],
    [{ kind: "ended", part: "dma", status: 137 }, /^dma took too long/],
    [{ kind: "off", tainted: 128 }, /^the kernel says that it has met an Oops$/],
  ];
  for (const [event, expected] of wrong) {
    const [failure, ...more] = failuresOf([...good, event]);
    assert.match(failure ?? "", expected);
    assert.equal(more, []);
  }
});

test("the host's look at the disk counts: blocks that are not what the guest says are a failed test and wrong bytes", () => {
  const account = accountOf([...good, { kind: "written", first: 8, blocks: 4, by: 1 }]);
  assert.equal(
    account.written.map(({ first, blocks, by }) => [first, blocks, by]),
    [[8, 4, 1]],
  );
  assert.match(
    account.noteDisk({ wrongBytes: 3, where: [9] }) ?? "",
    /^FAIL .* 3 bytes do not, first in the blocks 9$/,
  );
  const report = account.close({ how: "off" }, 1);
  assert.is(report.nvme.wrongBytes, 3);
  assert.equal(report.tests, { passed: 1, failed: 1 });
  assert.is(report.failures.length, 2);
});

test("what QEMU's log is to have of the registers is a test for each that the guest named", () => {
  const test = "a register of 4 bytes is read by one access of 4";
  const account = accountOf([
    ...good,
    { kind: "accesses", test, mark: 0, accesses: [{ kind: "read", at: 8, width: 4 }] },
  ]);
  const log = ["0xf00 size 4", "0x8 size 1", "0xf04 size 4"].map((one) => `pci_nvme_mmio_read addr ${one}`).join("\n");
  assert.match(account.noteAccesses(log).join(), /^FAIL .*was to see read of 4 at 0x8, and saw read of 1 at 0x8$/);
  assert.is(account.close({ how: "off" }, 1).tests.failed, 1);
  assert.equal(accountOf(good).noteAccesses(log), []);
});

test("a part that ended badly counts as a failed test", () => {
  const report = accountOf([...good, { kind: "ended", part: "dma", status: 139 }]).close({ how: "off" }, 1);
  assert.equal(report.tests, { passed: 1, failed: 1 });
});

test("a crash is a failure, wherever it stands", () => {
  assert.match(failuresOf(good, "Oops: Kernel access of bad area, sig: 7 [#1]").join(), /^the kernel crashed: Oops/);
});

test("a report of which one copy is torn is counted once, and nothing is wrong", () => {
  const account = begun(usual);
  for (const [i, event] of good.entries()) {
    const [line = ""] = twice(event);
    const torn = `${line.slice(0, MARK.length + 5)}SBE: Timer stuck`;
    for (const copy of i % 2 === 0 ? [torn, line] : [line, torn]) account.take(copy);
  }
  assert.equal(account.close({ how: "off" }, 41.6), accountOf(good).close({ how: "off" }, 41.6));
});

test("a report of which both copies are torn is a failure, and so is one of which nothing came", () => {
  const lost = ["reports were torn in both copies: the account is not complete"];
  assert.equal(failuresOf(good, `${MARK}{"id":"7.1","kind":"te[ 3.1]`, `${MARK}{"i`), lost);
  const account = accountOf(good);
  reports++;
  tell(account, { kind: "leak", kib: 0 });
  assert.equal(account.close({ how: "off" }, 1).failures, lost);
});

test("a machine that hangs, fails or falls silent has failed", () => {
  const cut = good.slice(0, -2);
  assert.equal(accountOf(cut).close({ how: "stopped" }, 99.7).failures, [
    "the machine was stopped after 100 seconds",
    "the machine did not come to its end",
  ]);
  assert.match(accountOf(good).close({ how: "failed", status: "SIGABRT" }, 1).failures.join(), /QEMU failed: SIGABRT/);
  assert.equal(failuresOf(cut), ["the machine did not come to its end"]);
});

test("a part that was to be run and was not is a failure", () => {
  const without = good.filter((event) => event.kind !== "ended" || event.part !== "flight");
  assert.equal(failuresOf(without), ["not run: flight"]);
});

test("a kernel that was harmed may crash and hang; that its row is answered is all that is asked of it", () => {
  const account = begun(harmful);
  reports = 0;
  tell(account, ...good.slice(0, 2));
  account.take("Oops: Kernel access of bad area, sig: 7 [#1]");
  tell(account, { kind: "conformance", rows: 1, differences: 0 });
  assert.is(account.isOver, false);
  tell(account, { kind: "ended", part: "harm", status: 0 });
  assert.is(account.isOver, true);
  assert.equal(account.close({ how: "stopped" }, 20).failures, []);
});

test("a kernel that was harmed before it answered has failed, and so has one that answers otherwise", () => {
  assert.equal(new Account(harmful).close({ how: "stopped" }, 20).failures, [
    `${harmful.name}: the machine was stopped after 20 seconds`,
    `${harmful.name}: the machine did not come to its end`,
  ]);
  const account = begun(harmful);
  tell(account, { kind: "conformance", rows: 1, differences: 1 });
  tell(account, { kind: "ended", part: "harm", status: 0 });
  assert.match(account.close({ how: "stopped" }, 20).failures.join(), /: 1 rows of the conformance suite/);
});

test("a kernel that may crash at its row and says that it does has answered", () => {
  const account = begun(crashing);
  account.take("Oops: before our program has begun");
  assert.is(account.isOver, false);
  tell(account, ...good.slice(0, 2));
  assert.is(account.isUndecided, true);
  account.take("[ 17.9] Kernel panic - not syncing: corrupted stack end detected inside scheduler");
  assert.is(account.isUndecided, false);
  assert.is(account.isOver, true);
  const { failures, tests, conformance } = account.close({ how: "stopped" }, 20);
  assert.equal(failures, []);
  assert.equal(tests, { passed: 1, failed: 0 });
  assert.equal(conformance, { rows: 1, differences: 0 });
});

test("a kernel that crashes after another answer than its row's has failed", () => {
  const account = begun(crashing);
  tell(account, ...good.slice(0, 2), { kind: "conformance", rows: 1, differences: 1 });
  account.take("Oops: Kernel access of bad area, sig: 7 [#1]");
  assert.match(account.close({ how: "stopped" }, 20).failures.join(), /1 rows of the conformance suite/);
});

test("a kernel that may crash and stands still is undecided, and has failed if it stays so", () => {
  const account = begun(crashing);
  tell(account, ...good.slice(0, 2), { kind: "ended", part: "harm", status: 137 });
  assert.is(account.isUndecided, true);
  const { failures } = account.close({ how: "off" }, 180);
  assert.match(failures.join(), /harm took too long.*its row was not answered/);
  assert.is(accountOf(good.slice(0, 2)).isUndecided, false);
});

test("several boots of a guest are one report: counts are added, tables and failures kept", () => {
  const first = accountOf(good).close({ how: "off" }, 40);
  const more = begun(harmful);
  tell(more, { kind: "conformance", rows: 1, differences: 0 });
  tell(more, { kind: "test", name: "it holds", ok: false });
  tell(more, { kind: "ended", part: "harm", status: 0 });
  const both = merged([first, more.close({ how: "stopped" }, 20)]);
  assert.equal(both, {
    ...first,
    seconds: 60,
    tests: { passed: 1, failed: 1 },
    conformance: { rows: 271, differences: 0 },
    failures: [`${harmful.name}: it holds: failed`],
  });
  assert.equal(merged([first]), first);
  assert.is(merged([more.close({ how: "off" }, 20), first]).kernel, first.kernel);
});

test("what firmware says is kept in the log, and not shown", () => {
  const account = begun({ ...usual, parts: [] });
  assert.is(account.take("Booting from memory..."), undefined);
  tell(account, { kind: "up" });
  assert.is(account.take("hello"), "hello");
  assert.is(account.log.length, 4, "both copies of a report are what was said");
  for (let i = 0; i < 100; i++) account.take(`line ${i}`);
  assert.is(account.tail.length, TAIL);
  assert.is(account.tail.at(-1), "line 99");
});

test("the text for people has the numbers, the table in columns, and the failures", () => {
  const text = textOf([accountOf([...good, { kind: "leak", kib: 4 }]).close({ how: "off" }, 10)]);
  assert.match(text, "pseries-4k: Linux 6.12.107, pages of 64 KiB, 10 s");
  assert.match(text, "dynamic window: 81 transfers in flight, 3 lost, 900 pages interrupted");
  assert.match(text, "    way             A\n    old             stopped\n    new and longer  reached\n");
  assert.match(text, "FAILED: 4 KiB of locked memory");
});

const equipment: Equipment = {
  kernel: {
    package: "linux-image-6.12.107+deb13-powerpc64le",
    version: "6.12.107-1",
    suite: "trixie",
    isCached: true,
    passedOver: [{ name: "linux-image-6.12.117+deb13-powerpc64le 6.12.117-1 (trixie)", reason: "404 Not Found" }],
  },
  node: { from: "npm's build", isCached: false, passedOver: [{ name: "nodejs (trixie)", reason: "torn" }] },
  engines: ">=20.19",
};
const release = "6.12.107+deb13-powerpc64le";

/** What a guest with that in it says, which runs such a kernel and such a Node. */
function equipped(kernel: string, node: string, own = equipment) {
  const account = begun(usual, own);
  const machine: Event = {
    kind: "machine",
    kernel,
    build: "#1 SMP Debian 6.12.107-1 (2026-08-29)",
    node,
    cpuPage: 4096,
  };
  tell(account, ...good.map((event) => (event.kind === "machine" ? machine : event)));
  return account.close({ how: "off" }, 10);
}

test("what was booted, where it is from, and what could not be had are in the report, for people and as JSON", () => {
  const report = equipped(release, "v20.20.2");
  assert.equal(report.failures, []);
  assert.equal(JSON.parse(JSON.stringify(report)).equipment, equipment);
  assert.equal(
    [report.kernel, report.build, report.node],
    [release, "#1 SMP Debian 6.12.107-1 (2026-08-29)", "v20.20.2"],
  );
  const text = textOf([report]);
  const kernel =
    "linux-image-6.12.107+deb13-powerpc64le 6.12.107-1 of trixie, from the cache: #1 SMP Debian 6.12.107-1";
  assert.ok(text.includes(kernel), text);
  assert.ok(text.includes("  Node v20.20.2: npm's build\n"), text);
  assert.match(
    text,
    /not to be had: linux-image-6\.12\.117.* \(trixie\): 404 Not Found\n {2}not to be had: nodejs \(trixie\): torn\n/,
  );
  assert.equal(merged([report, report]).equipment, equipment);
});

test("a Node that is older than this package asks for is named as the exception that it is", () => {
  assert.match(textOf([equipped(release, "v20.11.0")]), "npm's build; an exception: this package asks for >=20.19\n");
  for (const node of ["v20.19.0", "v22.0.0"]) assert.not.match(textOf([equipped(release, node)]), "exception");
});

test("a guest that runs another kernel than the one that was to be booted has failed", () => {
  assert.match(
    equipped("6.12.95+deb12-powerpc64le", "v22.0.0").failures.join(),
    /^linux-image-6\.12\.107\S+ was to be booted, and the guest says that 6\.12\.95\S+ runs$/,
  );
  // A guest that did not come so far has failed for another reason.
  assert.not.match(new Account(usual, equipment).close({ how: "stopped" }, 10).failures.join(), "was to be booted");
});

test("a guest for which nothing can be had has failed with all that was tried", () => {
  const report = notBooted(guest, "a kernel 6.12: nothing can be had. Tried:\n  trixie: has none");
  assert.equal([report.name, report.failures.length, report.seconds], [guest.name, 1, 0]);
  assert.match(textOf([report]), "FAILED: a kernel 6.12: nothing can be had. Tried:\n    trixie: has none\n");
});

test.run();
