import { suite } from "uvu";
import * as assert from "uvu/assert";
import { HELP, HELP_OF } from "../../src/cli/help.ts";
import { type CommandLine, parseCommandLine } from "../../src/cli/options.ts";
import { UsageError } from "../../src/cli/usage.ts";
import { thrownBy } from "../support/failure.ts";

const parseAny = (line: string) => parseCommandLine(line.split(" ").filter((word) => word !== ""));

/** Of every command but replay, and those of devices. */
function parse(line: string): CommandLine {
  const parsed = parseAny(line);
  if (!("machine" in parsed)) throw new Error(parsed.command);
  return parsed;
}

const good = suite("a command line");

good("without options means the software kernel, bare metal, rebased IOVAs and the same storm every time", () => {
  assert.equal(parse("run"), {
    command: "run",
    machine: { kernel: "model", platform: "powernv", groups: [] },
    iovaMode: "rebased",
    steps: 4000,
    seed: 1,
    json: false,
  });
});

good("with every option means what each of them says", () => {
  const line =
    "run --kernel linux --group 26 --group 0 --iova pa --grow-to 64G " +
    "--highest-ram 0x63fffffff --steps 10000000 --seed 4294967295 --json";
  assert.equal(parse(line), {
    command: "run",
    machine: { kernel: "linux", platform: "powernv", groups: [26, 0], highestRam: 0x6_3fff_ffffn },
    iovaMode: "pa",
    growTo: 64n << 30n,
    steps: 10_000_000,
    seed: 4_294_967_295,
    json: true,
  });
});

good("may put the command behind its options, and a value behind an equals sign", () => {
  const { command, steps, iovaMode } = parse("--steps=5 --iova=va run");
  assert.equal({ command, steps, iovaMode }, { command: "run", steps: 5, iovaMode: "va" });
});

good("takes the last of an option that is there twice", () => {
  assert.is(parse("run --steps 5 --steps 6").steps, 6);
});

good("takes every value that the help names", () => {
  for (const mode of ["rebased", "va", "pa"]) assert.is(parse(`run --iova ${mode}`).iovaMode, mode);
  for (const platform of ["powernv", "pseries", "type1", "noiommu"])
    assert.is(parse(`run --platform ${platform}`).machine.platform, platform);
  assert.is(parse("run --kernel model").machine.kernel, "model");
  assert.is(parse("run --kernel linux --group 3").machine.kernel, "linux");
});

good("without an IOMMU means physical addresses, unless it states others", () => {
  for (const line of ["run --platform noiommu", "plan --kernel linux --group 3 --no-iommu"]) {
    assert.is(parse(line).iovaMode, "pa", line);
    assert.is(parse(`${line} --iova va`).iovaMode, "va", "which the plan refuses");
  }
  assert.is(parse("run --platform type1").iovaMode, "rebased");
});

good("asks for groups without an IOMMU in so many words; a software kernel has none but those", () => {
  const { machine } = parse("run --kernel linux --group 3 --no-iommu");
  assert.equal(machine, { kernel: "linux", platform: "powernv", groups: [3], noIommu: true });
  assert.is("noIommu" in parse("run --kernel linux --group 3").machine, false);
  assert.is(parse("run --platform noiommu --no-iommu").machine.noIommu, true);
});

good("may name the file that a run writes its trace to", () => {
  assert.is(parse("run --trace a.jsonl").traceFile, "a.jsonl");
});

good("for a replay names its file; the platform is the trace's own unless it is stated", () => {
  const replay = { command: "replay", file: "a.jsonl", kernel: "model", groups: [], json: false };
  assert.equal(parseAny("replay a.jsonl"), replay);
  const stated = parseAny("replay a.jsonl --kernel linux --group 3 --group 4 --json");
  assert.equal(stated, { ...replay, kernel: "linux", groups: [3, 4], json: true });
  for (const platform of ["powernv", "pseries", "type1", "noiommu"] as const) {
    assert.equal(parseAny(`--platform ${platform} replay a.jsonl`), { ...replay, platform });
  }
  assert.equal(
    parseAny("replay a.jsonl --kernel linux"),
    { ...replay, kernel: "linux" },
    "its groups are in the trace",
  );
});

good("asks for help with --help, -h, or no command; also where there is a command", () => {
  for (const line of ["", "--help", "-h", "run --help", "plan -h", "--help --version", "--json"]) {
    assert.is(parse(line).command, "help", line);
  }
});

good("asks for the version with --version", () => {
  assert.is(parse("--version").command, "version");
});

good("that asks for help needs no group for the real kernel", () => {
  assert.is(parse("run --kernel linux --help").command, "help");
});

good.run();

const bad = suite("a command line that cannot be");

const refused: readonly (readonly [string, RegExp])[] = [
  [
    "fly",
    /^there is no command "fly": the commands are run, plan, show, replay, exec, explain, doctor, devices, bind, unbind and docs$/,
  ],
  [
    "RUN",
    /^there is no command "RUN"; did you mean run\? The commands are run, plan, show, replay, exec, explain, doctor, devices, bind, unbind and docs$/,
  ],
  ["reply", /^there is no command "reply"; did you mean replay\?/],
  ["run --plattform type1", /^there is no option --plattform; did you mean --platform\?$/],
  ["run --growTo 64G", /^there is no option --growTo; did you mean --grow-to\?$/],
  ["run --noiommu=1", /^there is no option --noiommu; did you mean --no-iommu\?$/],
  ["run --zzz", /^there is no option --zzz$/],
  ["run -x", /^there is no option -x$/],
  ["run plan", /^one command at a time; got run plan$/],
  ["run run", /^one command at a time/],
  ["plan 64G", /^one command at a time; got plan 64G$/],
  ["replay", /^replay takes the FILE of a trace: dma-window replay FILE$/],
  ["replay a b", /^replay takes one FILE; got a b$/],
  ["replay a --platform x86", /^--platform takes powernv, pseries, type1, noiommu; got "x86"$/],
  ["replay a --trace b", /^--trace goes with run/],
  ["plan --trace b", /^--trace goes with run/],
  ["run --no-iommu", /^--no-iommu goes with --kernel linux; the software kernel has none with --platform noiommu$/],
  ["plan --platform type1 --no-iommu", /^--no-iommu goes with --kernel linux/],
  ["run --kernel linux --no-iommu", /^--kernel linux needs --group N/],
  ["run --kernel linux --group 3 --platform noiommu", /^--platform says what the software kernel.*state --no-iommu$/],
  ["run --kernel linux --group 3 --platform noiommu --no-iommu", /^--platform says what the software kernel/],
  ["plan --kernel linux --group 3 --platform pseries", /^--platform says what the software kernel.*leave it out$/],
  ["replay a --kernel linux --platform type1", /^--platform says what the software kernel.*leave it out$/],
  ["replay a --no-iommu", /^a replay takes no --no-iommu/],
  ["run --no-iommu=yes", /--no-iommu/],
  ["run --kernel bsd", /^--kernel takes model, linux; got "bsd"$/],
  ["run --kernel=", /^--kernel takes model, linux; got ""$/],
  ["run --platform x86", /^--platform takes powernv, pseries, type1, noiommu; got "x86"$/],
  ["run --iova physical", /^--iova takes rebased, va, pa; got "physical"$/],
  ["run --kernel linux", /^--kernel linux needs --group N: the IOMMU group of a device that is bound to vfio-pci$/],
  ["plan --kernel linux", /^--kernel linux needs --group N/],
  ["run --group x", /^--group takes a whole number from 0 to 2147483647; got "x"$/],
  ["run --group=-1", /^--group takes a whole number from 0 to 2147483647; got "-1"$/],
  ["run --group 2147483648", /^--group takes a whole number/],
  ["run --group 1 --group ./2", /^--group takes a whole number.*got "\.\/2"$/],
  ["run --grow-to all", /^--grow-to takes a size such as 64G/],
  ["run --grow-to=", /^--grow-to takes a size.*got ""$/],
  ["run --grow-to=-64G", /^--grow-to takes a size.*got "-64G"$/],
  ["run --grow-to 16384P", /^--grow-to takes at most 2\^64 - 1 bytes; got 16384P$/],
  ["run --highest-ram here", /^--highest-ram takes a size/],
  ["run --highest-ram 0x10000000000000000", /^--highest-ram takes at most 2\^64 - 1 bytes/],
  ["plan --group 5", /^--group goes with --kernel linux/],
  ["run --group 5", /^--group goes with --kernel linux/],
  ["plan --steps 5", /^--steps goes with run/],
  ["plan --seed 5", /^--seed goes with run/],
  ["replay a.jsonl --steps 5", /^--steps goes with run/],
  ["replay a.jsonl --seed 5", /^--seed goes with run/],
  ["replay a.jsonl --iova va", /^--iova goes with run and plan/],
  ["replay a.jsonl --grow-to 1G", /^--grow-to goes with run and plan/],
  ["replay a.jsonl --highest-ram 1G", /^--highest-ram goes with run and plan/],
  ["run --steps 0", /^--steps takes a whole number from 1 to 10000000; got "0"$/],
  ["run --steps 10000001", /^--steps takes a whole number from 1 to 10000000/],
  ["run --steps 1e3", /^--steps takes a whole number/],
  ["run --seed 4294967296", /^--seed takes a whole number from 1 to 4294967295; got "4294967296"$/],
  ["run --seed=-1", /^--seed takes a whole number/],
  ["run --seed 1.5", /^--seed takes a whole number/],
  ["run --speed 9", /--speed/],
  ["run -k model", /-k/],
  ["run --json=yes", /--json/],
  ["run --steps", /--steps/],
  ["run --grow-to -1", /--grow-to/],
  ["show x --follow --json", /^--follow draws: leave --json out/],
  ["show --follow -", /^--follow takes a FILE that is written/],
  ["run --grow-to 0", /^--grow-to takes at least 1 byte/],
  ["plan --machine laptop --memory 0", /^--memory must be whole pages of 4 KiB, and not 0; got "0"$/],
  ["plan --memory 3K", /^--memory must be whole pages of 64 KiB, and not 0; got "3K"$/],
  ["plan --memory 1M --page-size 1G", /^--memory must be whole pages of 1 GiB/],
  ["plan --memory 1G --page-size 3K", /^--page-size must be a power of two from 4K to 1T; got "3K"$/],
  [
    "plan --machine laptop --page-size 1T",
    /^--page-size 1T does not go with the machine's lists: .*whole pages of 1 TiB/,
  ],
  ["plan --machine laptop --range 5-3", /^--range \(its last\) must .*; got "5-3"$/],
  ["show --machine laptop --range 0-4095 --range 0-8191", /^--range \(its start\) must lie behind .*; got "0-8191"$/],
  ["plan --machine lpar --range 0-4095", /^--range says nothing about the machine "lpar": leave it out/],
  ["plan --memory 1G --entries 1", /^--entries says nothing about a machine of platform powernv: leave it out/],
  ["plan --grow-to 1G --page-size 3K", /^--page-size says in which pages --memory comes: state that too/],
  ["plan --grow-to 1G --page-size 2M", /^--page-size says in which pages --memory comes: state that too/],
  ["plan --platform noiommu --memory 1G", /^state --highest-ram, or --ram, or --grow-to: .* IOVA mode pa/],
  ["show --memory 1G --iova pa --platform type1", /^state --highest-ram, or --ram, or --grow-to: /],
  ["plan --memory 1G --iova pa --ram 0", /^state --highest-ram, or --ram, or --grow-to: /],
  ["plan --memory 1G --platform type1 --range 0-4095 --iommu-bits 48", /^--iommu-bits .* leave one of them out$/],
  ["plan --memory 1G --cpu-page-size 3K", /^--cpu-page-size must be a power of two/],
  ["plan --memory 1G --iommu-pages 4K,3K", /^--iommu-pages must be a power of two .*; got "4K,3K"$/],
  ["plan --machine laptop --iova virtual", /^--iova must be "rebased", "va", "pa"; got "virtual"$/],
  ["plan --ram 32G", /^state --memory/],
  ["plan --machine nope", /^--machine takes a FILE, or one of power10, lpar, laptop, vm; there is no file "nope"$/],
];

for (const [line, message] of refused) {
  bad(`is refused in words: dma-window ${line}`, () => {
    const error = thrownBy(() => parseAny(line));
    assert.instance(error, UsageError);
    assert.match(error.message, message);
  });
}

bad("is refused for seed 0: the generator would give seed 1's storm under another name", () => {
  assert.match(thrownBy(() => parse("run --seed 0")).message, /^--seed takes a whole number from 1 to 4294967295/);
});

bad.run();

const help = suite("the help");

help("names every command on one screen, with its exit codes", () => {
  for (const command of Object.keys(HELP_OF)) assert.match(HELP, `dma-window ${command} `);
  assert.match(HELP, /Exit codes: 0 [^;]*; 1 [^;]*; 2 /);
  assert.ok(HELP.trimEnd().split("\n").length <= 24);
});

help("of a command is its own, wherever the option stands", () => {
  for (const command of Object.keys(HELP_OF)) {
    assert.match(HELP_OF[command] ?? "", new RegExp(`^dma-window ${command}\\b`));
    assert.is(parse(`${command} --help`).topic, command);
    assert.is(parse(`-h ${command}`).topic, command);
  }
  assert.is(parse("explain MAP_DMA EINVAL --vaddr 0x1000 --help").topic, "explain");
  assert.is(parse("--help").topic, undefined);
});

help("of a command names each option that it takes, and no other", () => {
  const every = new Set(Object.values(HELP_OF).flatMap((text) => text.match(/--[a-z-]+/g) ?? []));
  const values: Readonly<Record<string, string>> = {
    "--kernel": "model",
    "--platform": "type1",
    "--machine": "vm",
    "--iova": "rebased",
    "--range": "0-0xfffff",
    "--linux": "6.12",
  };
  const flags = /^--(?:force|json|storm|follow|no-iommu)$/;
  const line = {
    ...{ run: "run", plan: "plan", show: "show file.json", replay: "replay file.jsonl", doctor: "doctor" },
    ...{ devices: "devices", bind: "bind 0000:01:00.0", unbind: "unbind 0000:01:00.0" },
  };
  for (const [command, words] of Object.entries(line)) {
    for (const option of every) {
      const value = flags.test(option) ? [] : [values[option] ?? "33"];
      const refused = (before: string) => {
        try {
          parseCommandLine([...before.split(" "), option, ...value]);
          return false;
        } catch (error) {
          // Two that do not go together say so of each other; what is of another command is said of the option.
          return error instanceof UsageError && /there is no option|goes with|takes no /.test(error.message);
        }
      };
      const isTaken = !refused(words) || (command === "show" && (!refused("show --storm") || !refused("show")));
      const isTold = new RegExp(`${option}(?![a-z-])`).test(HELP_OF[command] ?? "");
      if (isTold && !isTaken)
        assert.ok(/^--(?:group|no-iommu|platform)$/.test(option), `${command} ${option} is refused`);
      if (!isTold && isTaken) assert.unreachable(`${command} takes ${option}, and its help does not say so`);
    }
  }
});

help("states the defaults that a command line without options gets", () => {
  const { steps, seed } = parse("run");
  assert.match(HELP_OF.run ?? "", `--steps N                of the storm (default ${steps})`);
  assert.match(HELP_OF.run ?? "", `--seed N                 of the storm (default ${seed})`);
});

help("fits a terminal of 80 columns", () => {
  for (const line of [HELP, ...Object.values(HELP_OF)].join("\n").split("\n")) assert.ok(line.length <= 80, line);
});

help.run();
