import { constants } from "node:os";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ERRNO } from "../../src/errno.ts";
import { errnoName } from "../../src/errors.ts";

test("the errnos are this Linux's, all that Node knows, and two more", () => {
  assert.equal({ ...ERRNO }, { ...constants.errno, EBADFD: 77, EHWPOISON: 133 });
});

test("a number has the name that it always had", () => {
  assert.is(errnoName(-constants.errno.ENOSPC), "ENOSPC");
  assert.is(errnoName(77), "EBADFD");
  assert.is(errnoName(-95), "EOPNOTSUPP");
  assert.is(errnoName(-constants.errno.EAGAIN), "EAGAIN");
  assert.is(errnoName(-constants.errno.EDEADLK), "EDEADLK");
  assert.is(errnoName(-4095), "errno 4095");
});

test.run();
