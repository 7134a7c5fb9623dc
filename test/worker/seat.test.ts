/** Seats of loans: a ticket is good for one, once, whatever came before and comes after it. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Seat } from "../../src/alloc-shared.ts";
import { leave, reserve, revoke, stateOf, take, threadOf } from "../../src/worker/seat.ts";
import { sharedMemory } from "./modules.ts";

const test = suite("the seat of a loan");
const memory = sharedMemory();
const seat = 1024;

test("is taken by a ticket once, and by no other", () => {
  const former: number[] = [];
  for (let i = 0; i < 4; i++) {
    assert.is(stateOf(memory, seat), Seat.NOBODY);
    const ticket = reserve(memory, seat);
    assert.is(stateOf(memory, seat), Seat.RESERVED);
    assert.not(former.includes(ticket));
    const others = [...former, 0, ticket - 1, ticket + 1, ticket + 4];
    for (const other of others) assert.is(take(memory, seat, other, 1n), false);
    assert.is(take(memory, seat, ticket, 17n), true);
    assert.is(stateOf(memory, seat), Seat.JOINED);
    for (const other of [ticket, ...others]) assert.is(take(memory, seat, other, 18n), false);
    assert.is(threadOf(memory, seat), 17n);
    assert.is(revoke(memory, seat, ticket), false, "somebody came");
    leave(memory, seat);
    assert.is(take(memory, seat, ticket, 19n), false);
    former.push(ticket);
  }
});

test("is not taken by a ticket that was revoked", () => {
  const ticket = reserve(memory, seat);
  assert.is(revoke(memory, seat, ticket), true);
  assert.is(take(memory, seat, ticket, 1n), false);
  assert.is(revoke(memory, seat, ticket), false);
  assert.is(stateOf(memory, seat), Seat.NOBODY);
});

test.run();
