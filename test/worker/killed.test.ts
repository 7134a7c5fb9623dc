/**
 * A worker is killed behind every access to memory that it makes, while others are in the middle of theirs, and whoever recovers
 * it is killed too. Afterwards every handle and every magazine is in one place.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Random } from "../support/random.ts";
import { Audit } from "./audit.ts";
import { instance, sharedMemory, sharedWasm, stepped } from "./modules.ts";

const test = suite("workers that are killed");
const seed = Number(process.env.DMA_WINDOW_SEED ?? Date.now() % 1e9);
const rounds = Number(process.env.DMA_WINDOW_KILLS ?? 300);

class Killed extends Error {}

const memory = sharedMemory();
/** Anywhere that nobody else uses. */
const seats = 1024;
let onStep = () => {};
const module = instance(stepped(sharedWasm()), memory, () => onStep());

/** Runs `work` until it has made `steps` accesses that count; true if it was killed there. `between` runs at the others. */
function until(steps: number, work: () => void, between = () => {}, counts = () => true): boolean {
  const outer = onStep;
  let left = steps;
  onStep = () => {
    if (counts() && left-- === 0) throw new Killed();
    onStep = outer; // what others do meanwhile is not counted
    const mine = left;
    between();
    left = mine;
    onStep = step;
  };
  const step = onStep;
  try {
    work();
    return false;
  } catch (error) {
    if (error instanceof Killed) return true;
    throw error;
  } finally {
    onStep = outer;
  }
}

interface Player {
  readonly self: number;
  readonly id: number;
  readonly held: number[];
}

class Game {
  readonly random: Random;
  readonly pool: number;
  readonly audit: Audit;
  readonly players: Player[] = [];
  /** Workers that are in the middle of something: others must not touch their records. */
  readonly busy = new Set<Player>();

  constructor(random: Random, count: number, workers: number) {
    this.random = random;
    this.pool = module.sharedOpen(count, workers, seats);
    assert.ok(this.pool > 0);
    this.audit = new Audit(memory, this.pool);
  }

  reserve(): number {
    return module.sharedReserve(this.pool);
  }

  join(): Player | undefined {
    const self = this.reserve();
    if (self === 0) return undefined;
    assert.is(module.sharedJoin(self, this.audit.seat(self), this.audit.state(self)), 1);
    const player = { self, id: this.audit.word(self + 4), held: [] };
    this.players.push(player);
    return player;
  }

  /** One operation of a worker; what it holds is only told when it is done. */
  act(player: Player): void {
    const { random } = this;
    const { held, self } = player;
    const way = random.below(20);
    if (way < 8) {
      const handle = module.sharedGet(self);
      if (handle > 0) held.push(handle);
    } else if (way < 16) {
      this.put(player, held);
    } else if (way < 18) {
      // One that another worker got: at the same time as that one, perhaps.
      this.put(player, random.pick(this.players).held);
    } else if (way < 19) {
      module.sharedFlush(self);
    } else {
      const handle = random.pick(random.pick(this.players).held.concat(0));
      module.sharedAdopt(self, handle);
    }
  }

  put(player: Player, from: number[]): void {
    if (from.length === 0) return;
    const handle = this.random.pick(from);
    // Where it is refused somebody has put it, who may have been killed then: it is gone in either case.
    module.sharedPut(player.self, handle);
    for (const { held } of this.players) if (held.includes(handle)) held.splice(held.indexOf(handle), 1);
  }

  /** What others do while one is suspended: whole operations, one of them perhaps suspended for another one's. */
  others(depth: number): void {
    if (!this.random.once(4)) return;
    const idle = this.players.filter((player) => !this.busy.has(player));
    if (idle.length === 0) return;
    const player = this.random.pick(idle);
    this.busy.add(player);
    try {
      if (depth === 0) this.act(player);
      else
        until(
          Number.POSITIVE_INFINITY,
          () => this.act(player),
          () => this.others(depth - 1),
        );
    } finally {
      this.busy.delete(player);
    }
  }

  /** What `player` held is refused from now on, but for what was handed on: its slots are those that have its number. */
  recover(player: Player, kills: boolean): void {
    this.players.splice(this.players.indexOf(player), 1);
    for (let i = 0; kills && i < 3; i++) {
      until(
        this.random.below(200 << this.random.below(6)),
        () => module.sharedRecover(player.self),
        () => this.others(0),
      );
    }
    module.sharedRecover(player.self);
    assert.is(this.audit.state(player.self) & 3, 0);
    assert.equal(this.audit.live().get(player.id), undefined);
  }

  check(how: string): void {
    assert.equal(this.audit.problems(), [], how);
  }

  /** Everybody leaves, everything is put: then all slots can be got, once. */
  end(how: string): void {
    const last = this.players[0] ?? (this.join() as Player);
    for (const slots of this.audit.live().values()) {
      for (const slot of slots) assert.is(module.sharedPut(last.self, this.audit.cell(slot).handle), 0, how);
    }
    for (const player of this.players) module.sharedLeave(player.self);
    this.check(how);
    this.players.splice(0);
    const { self } = this.join() as Player;
    const { count, first } = this.audit;
    const slots = Array.from({ length: count }, () => (module.sharedGet(self) & 0x3fffff) - first);
    assert.equal(
      slots.sort((a, b) => a - b),
      Array.from({ length: count }, (_, i) => i),
      how,
    );
    assert.is(module.sharedGet(self), -1);
    module.sharedRecover(self);
    this.check(how);
    assert.is(module.sharedClose(this.pool), 0, how);
  }
}

const SHAPES = [
  [3, 2],
  [8, 2],
  [40, 3],
  [300, 4],
  [1000, 2],
] as const;

test(`are recovered wherever they were (DMA_WINDOW_SEED=${seed})`, () => {
  let kills = 0;
  for (let round = 0; round < rounds; round++) {
    const random = new Random(seed + round);
    const how = `DMA_WINDOW_SEED=${seed + round} DMA_WINDOW_KILLS=1`;
    const [count, workers] = random.pick(SHAPES);
    const game = new Game(random, count, workers);
    for (let i = 0; i < workers; i++) game.join();
    for (let turn = 0; turn < 40; turn++) {
      const player = random.pick(game.players.length > 0 ? game.players : [game.join() as Player]);
      game.busy.add(player);
      // Many operations, so that there are exchanges of magazines too; some of a worker that only gets, or only puts.
      const work = random.pick<() => void>([
        () => {
          for (let i = 0; i < 30; i++) game.act(player);
        },
        () => {
          for (let i = 0; i < 150; i++) {
            const handle = module.sharedGet(player.self);
            if (handle < 0) return;
            player.held.push(handle);
          }
        },
        () => {
          while (player.held.length > 0) game.put(player, player.held);
        },
        () => {
          module.sharedLeave(player.self);
        },
      ]);
      // Half of them are killed while a magazine changes hands.
      const isExchanging = () => game.audit.isExchanging(player.id);
      const killed = random.once(2)
        ? until(random.below(random.pick([20, 300, 2000])), work, () => game.others(1))
        : until(random.below(20), work, () => game.others(1), isExchanging);
      if (killed) {
        kills++;
        // Others go on for a while with what it left.
        for (let i = random.below(3) * random.below(100); i > 0; i--) game.others(0);
      }
      game.busy.delete(player);
      if (killed) {
        game.recover(player, random.once(2));
      } else if ((game.audit.state(player.self) & 3) === 0) {
        game.players.splice(game.players.indexOf(player), 1);
      }
      game.check(how);
      // Somebody comes, and may be killed doing so.
      const self = game.reserve();
      if (self !== 0) {
        const [seat, ticket] = [game.audit.seat(self), game.audit.state(self)];
        if (
          until(
            random.below(60),
            () => module.sharedJoin(self, seat, ticket),
            () => game.others(1),
          )
        ) {
          if ((game.audit.state(self) & 3) === 1) kills--;
          kills++;
          module.sharedRecover(self);
          game.check(how);
        } else {
          game.players.push({ self, id: game.audit.word(self + 4), held: [] });
        }
      }
      game.check(how);
    }
    game.end(how);
  }
  assert.ok(kills > rounds * 5, `${kills} kills`);
});

test.run();
