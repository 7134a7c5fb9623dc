/** What a terminal shows, to the letter, and never wider than it is. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { frameOf, type Growth } from "../../src/picture/growth.ts";
import { growthText } from "../../src/picture/growth-text.ts";
import type { Picture } from "../../src/picture/picture.ts";
import { stretchesOf } from "../../src/picture/scale.ts";
import { pictureText } from "../../src/picture/text.ts";
import { Random } from "../support/random.ts";
import { GiB, liveRuns, MiB, PAGE, picture, randomRanges, TiB } from "./support.ts";

const texts = suite("a picture as text");

const some: Picture = {
  title: "a window of 64 TiB",
  windows: [
    picture({
      last: 64n * TiB - 1n,
      live: liveRuns([
        { start: 0n, last: 300n * MiB - 1n },
        { start: 512n * MiB, last: 640n * MiB - 1n },
      ]),
      regions: [{ name: "list 0", start: 0n, last: GiB - 1n, pageSize: 1n << 21n }],
      kept: [{ start: 0xfee00000n, last: 0xfeefffffn }],
      pageShift: 21,
      deviceBits: 40,
    }),
  ],
  notes: ["A note."],
};

texts("in 80 columns", () => {
  assert.is(
    pictureText(some),
    `a window of 64 TiB

window: 64 TiB at 0x0, pages of 2 MiB
0x0         ████▓───▓█░─────···············································×
            ┄┄┄ 64 TiB free ┄┄┄

in all        428 MiB live, 596 MiB reserved, 64 TiB free, 1 MiB kept, the live
              part in 2 runs
largest hole  64 TiB at 0xfef00000-0x3fffffffffff
headroom      64 TiB behind all that is taken
a device      reaches the 428 MiB that are live; what it sends elsewhere the
              IOMMU refuses. With 40 address bits it has no way to 63 TiB of it,
              which need 46

region  pages  IOVAs           live
list 0  2 MiB  0x0-0x3fffffff  428 MiB of 1 GiB

█ live (▓ ▒ ░ in part)   ─ reserved   · free   × kept

A note.`,
  );
});

texts("in 60 columns, in ASCII", () => {
  assert.is(
    pictureText(some, { columns: 60, unicode: false }),
    `a window of 64 TiB

window: 64 TiB at 0x0, pages of 2 MiB
0x0         ###+--++----...................................x
            ~~~ 64 TiB free ~~~

in all        428 MiB live, 596 MiB reserved, 64 TiB free, 1
              MiB kept, the live part in 2 runs
largest hole  64 TiB at 0xfef00000-0x3fffffffffff
headroom      64 TiB behind all that is taken
a device      reaches the 428 MiB that are live; what it
              sends elsewhere the IOMMU refuses. With 40
              address bits it has no way to 63 TiB of it,
              which need 46

region  pages  IOVAs           live
list 0  2 MiB  0x0-0x3fffffff  428 MiB of 1 GiB

# live (+ = : in part)   - reserved   . free   x kept

A note.`,
  );
});

/** Without the sequences that colour it. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what they begin with
const plain = (text: string) => text.replace(/\u001b\[\d+m/g, "");

for (const columns of [40, 60, 80, 137]) {
  for (let seed = 1; seed <= 20; seed++) {
    texts(`is no wider than ${columns} columns, seed ${seed}`, () => {
      const random = new Random(seed);
      const last = random.pick([GiB, TiB, 1n << 60n]) - 1n;
      const live = liveRuns(randomRanges(random, { start: 0n, last: 512n * PAGE - 1n }, 40));
      const regions = randomRanges(random, { start: 0n, last: GiB - 1n }, 5).map((range, i) => ({
        ...range,
        name: `list ${i}`,
      }));
      const window = picture({ last, live, regions, deviceBits: random.once(2) ? 32 : undefined });
      const options = { columns, unicode: random.once(2) };
      const drawn: Picture = {
        title: "t ".repeat(random.below(90)),
        windows: [window],
        notes: ["n".repeat(random.below(300))],
      };
      const text = pictureText(drawn, options);
      for (const line of text.split("\n")) assert.ok([...line].length <= columns, `seed ${seed}: ${line}`);
      assert.is(plain(pictureText(drawn, { ...options, colour: true })), text);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII is what is asked for
      if (!options.unicode) assert.match(text, /^[\u0000-\u007f]*$/);
      const axis = stretchesOf(window.ranges, 1);
      const frames = Array.from({ length: 3 }, (_, i) =>
        frameOf(`line ${i}`, axis, [window], i === 1 ? "no window: much" : undefined),
      );
      const column = { name: "static window", axis, frames, account: ["never touched"] };
      const growth: Growth = { title: "growth", columns: seed % 2 === 0 ? [column, column] : [column], notes: [] };
      for (const line of growthText(growth, options).split("\n"))
        assert.ok([...line].length <= columns, `seed ${seed}: ${line}`);
    });
  }
}

texts("show anything live, however small the window makes it", () => {
  const one = picture({
    last: (1n << 60n) - 1n,
    live: liveRuns([{ start: 1n << 59n, last: (1n << 59n) + PAGE - 1n }]),
  });
  assert.match(pictureText({ title: "", windows: [one], notes: [] }), "█");
});

texts("of a million maps in 64 TiB are drawn in less than the time of reading them", () => {
  const live = Array.from({ length: 1_000_000 }, (_, i) => {
    const start = BigInt(i) << 26n;
    return { start, last: start + PAGE - 1n, value: 3 };
  });
  const window = picture({ last: 64n * TiB - 1n, live });
  assert.is(window.liveRuns, 1_000_000);
  const text = pictureText({ title: "many", windows: [window], notes: [] });
  assert.ok(text.split("\n").length < 30);
});

texts.run();
