/** Maps that are refused without asking the kernel. */
import { HIGH, MiB } from "../support/program.ts";
import { bad, PAGE, TOP, table } from "./refusal-table.ts";

table("va of a map", [
  ...bad(
    "address",
    (va) =>
      ({ window }) =>
        window.map({ va, length: PAGE }),
  ),
  ["a number, though exact", "ERR_INVALID_ARG_TYPE", ({ window }) => window.map({ va: 4096 as never, length: PAGE })],
  ["unaligned", "ERR_UNALIGNED_VA", ({ window, va }) => window.map({ va: va + 1n, length: PAGE })],
  ["half a page", "ERR_UNALIGNED_VA", ({ window, va }) => window.map({ va: va + 2048n, length: PAGE })],
  ["wraps", "ERR_WRAPS", ({ window }) => window.map({ va: TOP - PAGE, length: 2n * PAGE })],
]);

table("length of a map", [
  ...bad(
    "size",
    (length) =>
      ({ window, va }) =>
        window.map({ va, length }),
  ),
  ["0", "ERR_ZERO_LENGTH", ({ window, va }) => window.map({ va, length: 0 })],
  ["0n, at an IOVA", "ERR_ZERO_LENGTH", ({ window, va }) => window.map({ va, length: 0n, iova: 0n })],
  ["one byte", "ERR_UNALIGNED_LENGTH", ({ window, va }) => window.map({ va, length: 1 })],
  ["a page and a half", "ERR_UNALIGNED_LENGTH", ({ window, va }) => window.map({ va, length: 6144, iova: 0n })],
  ["larger than any hole", "ERR_NO_HOLE", ({ window, va }) => window.map({ va, length: 32n * MiB })],
  ["2^64 - 4096", "ERR_WRAPS", ({ window, va }) => window.map({ va, length: TOP - PAGE, iova: 0n })],
]);

table("IOVA of a map", [
  ...bad(
    "address",
    (iova) =>
      ({ window, va }) =>
        window.map({ va, length: PAGE, iova }),
    "undefined",
  ),
  [
    "a number, though exact",
    "ERR_INVALID_ARG_TYPE",
    ({ window, va }) => window.map({ va, length: PAGE, iova: 0 as never }),
  ],
  ["all ones", "ERR_OUT_OF_RANGE", ({ window, va }) => window.map({ va, length: PAGE, iova: TOP - 1n })],
  ["unaligned", "ERR_UNALIGNED_IOVA", ({ window, va }) => window.map({ va, length: PAGE, iova: 1n })],
  [
    "the first byte behind the window",
    "ERR_OUTSIDE_WINDOW",
    ({ window, va }) => window.map({ va, length: PAGE, iova: 16n * MiB }),
  ],
  [
    "one page past the end",
    "ERR_OUTSIDE_WINDOW",
    ({ window, va }) => window.map({ va, length: 2n * PAGE, iova: 16n * MiB - PAGE }),
  ],
  ["far outside", "ERR_OUTSIDE_WINDOW", ({ window, va }) => window.map({ va, length: PAGE, iova: HIGH })],
  [
    "wraps back into the window",
    "ERR_WRAPS",
    ({ window, va }) => window.map({ va, length: 2n * PAGE, iova: TOP - PAGE }),
  ],
]);

table("permission of a map", [
  ["neither", "ERR_BAD_PERMISSION", ({ window, va }) => window.map({ va, length: PAGE, read: false, write: false })],
  ["read of 1", "ERR_INVALID_ARG_TYPE", ({ window, va }) => window.map({ va, length: PAGE, read: 1 as never })],
  ["write of null", "ERR_INVALID_ARG_TYPE", ({ window, va }) => window.map({ va, length: PAGE, write: null as never })],
]);

table(
  "a map over what is there: two pages at 0, mapped from the start of the memory",
  [
    ["the same again", "ERR_ALREADY_LIVE", ({ window, va }) => window.map({ va, length: 2n * PAGE, iova: 0n })],
    [
      "other memory at its second page",
      "ERR_ALREADY_LIVE",
      ({ window, va }) => window.map({ va: va + 4n * PAGE, length: PAGE, iova: PAGE }),
    ],
    [
      "other memory around it",
      "ERR_ALREADY_LIVE",
      ({ window, va }) => window.map({ va: va + 4n * PAGE, length: 4n * PAGE, iova: 0n }),
    ],
    ["its memory elsewhere", "ERR_VA_ALREADY_MAPPED", ({ window, va }) => window.map({ va, length: PAGE, iova: MiB })],
    [
      "its last page and one more elsewhere",
      "ERR_VA_ALREADY_MAPPED",
      ({ window, va }) => window.map({ va: va + PAGE, length: 2n * PAGE }),
    ],
  ],
  ({ window, va }) => {
    window.map({ va, length: 2n * PAGE });
  },
);

table(
  "a map of memory that is registered in part: two pages, of which the second is not mapped any more",
  [
    [
      "the second and a third",
      "ERR_PARTLY_REGISTERED",
      ({ window, va }) => window.map({ va: va + PAGE, length: 2n * PAGE }),
    ],
    [
      "a page before and the first",
      "ERR_VA_ALREADY_MAPPED",
      ({ window, va }) => window.map({ va: va - PAGE, length: 2n * PAGE }),
    ],
  ],
  ({ window, va }) => {
    window.map({ va, length: 2n * PAGE });
    window.unmap({ iova: PAGE, length: PAGE });
  },
);
