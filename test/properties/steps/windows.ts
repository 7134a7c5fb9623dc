/** Containers and windows come and go, and tables are attached to them. */
import { hex } from "../../../src/hex.ts";
import { type IovaMode, planWindow, type WindowPlan } from "../../../src/plan/index.ts";
import { attach, closeContainer, closeWindow, createWindow, detach, open } from "../acts/windows.ts";
import type { Choices } from "../choices.ts";
import type { Seat } from "../twins.ts";
import { AMPLE, type Outcome, type World } from "../world.ts";
import { faultsOf } from "./faults.ts";

const OPENING = ["open", "GROUP_GET_STATUS", "GROUP_SET_CONTAINER", "SET_IOMMU", "GET_API_VERSION", "CHECK_EXTENSION"];
const CREATING = ["TCE_CREATE", "TCE_REMOVE", "TCE_GET_INFO"];
const MAPPING = ["MAP_DMA", "REGISTER_MEMORY"];
const UNMAPPING = ["UNMAP_DMA", "UNREGISTER_MEMORY"];
const CLOSING = ["UNMAP_DMA", "UNREGISTER_MEMORY", "TCE_REMOVE"];

const KiB = 1n << 10n;
const MiB = 1n << 20n;
const GiB = 1n << 30n;

/** type1 has room for any number. */
const MOST_WINDOWS = 3;

export function openStep(world: World, choices: Choices): Outcome | undefined {
  const closed = world.seats.filter(({ container }) => container === undefined);
  const seat = choices.pick(closed.length === 0 || choices.once(8) ? world.seats : closed);
  world.arm(faultsOf(choices, OPENING));
  return open(world, seat);
}

export function createWindowStep(world: World, choices: Choices): Outcome | undefined {
  const seat = anySeat(world, choices);
  if (seat === undefined || seat.windows.length >= MOST_WINDOWS) return undefined;
  const plan = anyPlan(world, choices, seat);
  if (plan === undefined) return undefined;
  world.arm(faultsOf(choices, CREATING));
  return createWindow(world, seat, plan);
}

/** A plan that was made, and now and then one that somebody changed by hand. */
function anyPlan(world: World, choices: Choices, seat: Seat): WindowPlan | undefined {
  const { cpuPage, hugePage } = world;
  if (world.isBare) return anyBarePlan(world, choices, seat);
  const iovaMode: IovaMode = choices.weighted([
    [8, "rebased"],
    [1, "va"],
    [1, "pa"],
  ] as const);
  const growTo = choices.weighted([
    [6, 1024n * KiB],
    [6, 256n * KiB],
    [6, 16n * 1024n * KiB],
    [1, GiB],
    [1, 64n * GiB],
  ] as const);
  const pageSize = choices.weighted([
    [6, cpuPage],
    [1, 4n * KiB],
    [1, 64n * KiB],
    [2, hugePage],
  ] as const);
  const reach = iovaMode === "va" ? 3n * GiB : growTo;
  let plan: WindowPlan;
  try {
    const { container } = seat;
    if (container === undefined) return undefined;
    const info = { ...container.info(), pageSizes: pageSize };
    plan = planWindow({
      memory: { lists: [{ base: 0n, length: hugePage, pageSize: hugePage }] },
      info,
      growTo: reach,
      iovaMode,
    });
  } catch (error) {
    if ((error as { code?: string }).code === "ERR_PLAN_IMPOSSIBLE") return undefined;
    throw error;
  }
  const changes = choices.weighted([
    [12, {}],
    [1, { levels: choices.below(7) }],
    [1, { size: plan.size << 3n }],
    [1, { size: 3n * plan.size }],
    [1, { pageShift: choices.pick([12, 13, 16, 21, 24]) }],
    [1, { start: GiB }],
  ] as const);
  return { ...plan, ...changes };
}

/** Over physical memory, which the plan may say is smaller than it is: hugepages beyond its end are then refused. */
function anyBarePlan({ hugePage }: World, choices: Choices, { container }: Seat): WindowPlan | undefined {
  if (container === undefined) return undefined;
  const growTo = choices.weighted([
    [8, 512n * MiB],
    [8, 64n * MiB],
    [1, 16n * MiB],
    [1, 64n * GiB],
  ] as const);
  const memory = { lists: [{ base: 0n, length: hugePage, pageSize: hugePage }] };
  const plan = planWindow({ memory, info: container.info(), growTo, iovaMode: "pa" });
  const changes = choices.weighted([
    [12, {}],
    // Behind another window, if there can be memory.
    [12, { start: plan.size < 512n * MiB ? plan.size : 0n }],
    [1, { size: 3n * plan.size }],
    [1, { size: plan.size << 3n }],
    [1, { pageShift: choices.pick([12, 13, 16, 24]) }],
    [1, { iovaMode: choices.pick(["rebased", "va"] as const) }],
  ] as const);
  return { ...plan, ...changes };
}

export function attachStep(world: World, choices: Choices): Outcome | undefined {
  const seat = anySeat(world, choices);
  if (seat === undefined || seat.windows.length === 0) return undefined;
  world.arm(faultsOf(choices, MAPPING, UNMAPPING));
  const window = choices.pick(seat.windows);
  const full = world.tables.filter((one) => one.pieces.length > 0 && !one.attachments.has(seat));
  const table = choices.pick(full.length === 0 || choices.once(4) ? world.tables : full);
  return attach(world, seat, window, table);
}

export function detachStep(world: World, choices: Choices): Outcome | undefined {
  const attached = world.tables.flatMap((table) => [...table.attachments.keys()].map((seat) => ({ table, seat })));
  if (attached.length === 0) return undefined;
  world.arm(faultsOf(choices, UNMAPPING, MAPPING));
  const full = attached.filter(({ table }) => table.pieces.length > 1);
  const { table, seat } = choices.pick(full.length === 0 || choices.once(4) ? attached : full);
  return detach(world, seat, table);
}

export function closeWindowStep(world: World, choices: Choices): Outcome | undefined {
  const windows = world.seats.flatMap((seat) => seat.windows);
  if (windows.length === 0) return undefined;
  world.arm(faultsOf(choices, CLOSING, [...CLOSING, ...MAPPING]));
  return closeWindow(world, choices.pick(windows));
}

export function closeContainerStep(world: World, choices: Choices): Outcome | undefined {
  const seat = anySeat(world, choices);
  if (seat === undefined) return undefined;
  world.arm(faultsOf(choices, [...CLOSING, "close"]));
  return closeContainer(world, seat);
}

/** RLIMIT_MEMLOCK, as another program's administrator might turn it. */
export function limitStep(world: World, choices: Choices): Outcome | undefined {
  const used = world.model.lockedMemory().used;
  const limit = choices.weighted([
    [3, AMPLE],
    [1, used],
    [1, used + world.cpuPage * 4n],
    [1, 0n],
  ] as const);
  world.say(() => `RLIMIT_MEMLOCK becomes ${hex(limit)}`);
  world.model.limitLockedMemory({ limit });
  return undefined;
}

function anySeat(world: World, choices: Choices): Seat | undefined {
  const open = world.seats.filter(({ container }) => container !== undefined);
  return open.length === 0 ? undefined : choices.pick(open);
}
