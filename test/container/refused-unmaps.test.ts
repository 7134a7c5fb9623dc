/** Unmaps, and lists of requests, that are refused without asking the kernel. */
import { MiB } from "../support/program.ts";
import { bad, PAGE, TOP, table } from "./refusal-table.ts";

table(
  "an unmap, of 4 pages at 0 and 1 page at 8",
  [
    ...bad(
      "address",
      (iova) =>
        ({ window }) =>
          window.unmap({ iova, length: PAGE }),
    ),
    ...bad(
      "size",
      (length) =>
        ({ window }) =>
          window.unmap({ iova: 0n, length }),
    ),
    ...bad(
      "address",
      (va) =>
        ({ window }) =>
          window.unmap({ iova: 0n, length: PAGE, va }),
      "undefined",
    ),
    ["IOVA is a number", "ERR_INVALID_ARG_TYPE", ({ window }) => window.unmap({ iova: 0 as never, length: PAGE })],
    ["no bytes", "ERR_ZERO_LENGTH", ({ window }) => window.unmap({ iova: 0n, length: 0n })],
    ["half a page", "ERR_UNALIGNED_LENGTH", ({ window }) => window.unmap({ iova: 0n, length: 2048 })],
    ["from the middle of a page", "ERR_UNALIGNED_IOVA", ({ window }) => window.unmap({ iova: 2048n, length: PAGE })],
    [
      "of a va in the middle of a page",
      "ERR_UNALIGNED_VA",
      ({ window, va }) => window.unmap({ iova: 0n, length: PAGE, va: va + 1n }),
    ],
    ["what is not mapped", "ERR_NOT_LIVE", ({ window }) => window.unmap({ iova: 5n * PAGE, length: PAGE })],
    ["one page more than is mapped", "ERR_NOT_LIVE", ({ window }) => window.unmap({ iova: 0n, length: 5n * PAGE })],
    ["across a hole", "ERR_NOT_LIVE", ({ window }) => window.unmap({ iova: 0n, length: 9n * PAGE })],
    ["all of the window", "ERR_NOT_LIVE", ({ window }) => window.unmap({ iova: 0n, length: 16n * MiB })],
    ["past the end", "ERR_OUTSIDE_WINDOW", ({ window }) => window.unmap({ iova: 16n * MiB - PAGE, length: 2n * PAGE })],
    ["outside", "ERR_OUTSIDE_WINDOW", ({ window }) => window.unmap({ iova: 16n * MiB, length: PAGE })],
    ["wraps", "ERR_WRAPS", ({ window }) => window.unmap({ iova: TOP - PAGE, length: 2n * PAGE })],
    [
      "other memory than is expected",
      "ERR_VA_MISMATCH",
      ({ window, va }) => window.unmap({ iova: 0n, length: PAGE, va: va + PAGE }),
    ],
    [
      "twice in one batch",
      "ERR_NOT_LIVE",
      ({ window }) =>
        window.unmapMany([
          { iova: 0n, length: 2n * PAGE },
          { iova: PAGE, length: PAGE },
        ]),
    ],
  ],
  ({ window, va }) => {
    window.map({ va, length: 4n * PAGE });
    window.map({ va: va + 8n * PAGE, length: PAGE, iova: 8n * PAGE });
  },
);

table("lists of requests", [
  ...bad(
    "other",
    (requests) =>
      ({ window }) =>
        window.mapMany(requests),
    "an array",
  ),
  ...bad(
    "other",
    (requests) =>
      ({ window }) =>
        window.unmapMany(requests),
    "an array",
  ),
  ...bad(
    "other",
    (request) =>
      ({ window }) =>
        window.mapMany([request]),
    "an object",
    "an array",
  ),
  ...bad(
    "other",
    (request) =>
      ({ window }) =>
        window.unmapMany([request]),
    "an object",
    "an array",
  ),
  [
    "a hole in the list of maps",
    "ERR_INVALID_ARG_TYPE",
    ({ window, va }) => {
      const requests = [{ va, length: PAGE }];
      requests[2] = { va: va + PAGE, length: PAGE };
      return window.mapMany(requests);
    },
  ],
  [
    "the last of three is wrong: none is mapped",
    "ERR_ALREADY_LIVE",
    ({ window, va }) =>
      window.mapMany([
        { va, length: PAGE },
        { va: va + PAGE, length: PAGE, iova: 7n * PAGE },
        { va: va + 2n * PAGE, length: PAGE, iova: 7n * PAGE },
      ]),
  ],
  [
    "memory twice in one batch",
    "ERR_VA_ALREADY_MAPPED",
    ({ window, va }) =>
      window.mapMany([
        { va, length: 2n * PAGE },
        { va: va + PAGE, length: PAGE },
      ]),
  ],
  [
    "no room for the last",
    "ERR_NO_HOLE",
    ({ window, va }) =>
      window.mapMany([
        { va, length: 2n * PAGE },
        { va: va + 4n * PAGE, length: 16n * MiB - PAGE },
      ]),
  ],
]);
