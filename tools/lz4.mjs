// Packs a build of the core or of the allocator in the block format of LZ4, behind its length in four bytes. The programs that make such
// blocks are in haste; a build has time to look for the fewest bytes. src/unpack.ts undoes it.
// https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md

const LEAST_MATCH = 4;
const FARTHEST = 0xffff;
/** The last bytes stand as they are: no match begins in the last twelve, and none reaches the last five. */
const NO_MATCH_BEGINS = 12;
const NO_MATCH_REACHES = 5;
/** The longest beginning of a match that is asked for. */
const BEGINNINGS = 64;

/**
 * @param {Uint8Array} bytes
 * @param {Uint8Array} before what is there already where they are unpacked: matches may lie in it
 * @returns {Uint8Array}
 */
export function pack(bytes, before = new Uint8Array()) {
  const all = Buffer.concat([before, bytes]);
  const matches = cheapest(all, before.length, longest(all, before.length));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat([length, written(all, before.length, matches)]);
}

/** For each place the longest match that begins there; any beginning of one is a match too. */
function longest(all, from) {
  const places = new Map();
  const found = [];
  for (let at = 0; at + LEAST_MATCH <= all.length; at++) {
    const key = all.readUInt32LE(at);
    const earlier = places.get(key) ?? [];
    places.set(key, earlier);
    const most = all.length - NO_MATCH_REACHES - at;
    for (const place of at >= from && at + NO_MATCH_BEGINS <= all.length ? earlier : []) {
      if (at - place > FARTHEST || found[at]?.length === most) continue;
      let length = LEAST_MATCH;
      while (length < most && all[place + length] === all[at + length]) length++;
      if (length > (found[at]?.length ?? 0)) found[at] = { length, distance: at - place };
    }
    earlier.push(at);
  }
  return found;
}

/** Which matches are taken: from the end to the beginning, by what all that follows costs. */
function cheapest(all, from, matches) {
  const costs = new Array(all.length + 1).fill(0);
  const taken = [];
  for (let at = all.length - 1; at >= from; at--) {
    costs[at] = costs[at + 1] + 1;
    const most = matches[at]?.length ?? 0;
    // Of a long one the whole is nearly always best, and asking for each of its beginnings takes the square of its length.
    for (let length = most; length >= LEAST_MATCH; length = Math.min(length - 1, BEGINNINGS)) {
      // A token and a distance.
      const cost = 3 + lengthBytes(length - LEAST_MATCH).length + costs[at + length];
      if (cost >= costs[at]) continue;
      costs[at] = cost;
      taken[at] = { length, distance: matches[at].distance };
    }
  }
  return taken;
}

/** What of a length does not go into its half of the token. */
function lengthBytes(length) {
  if (length < 15) return [];
  return [...new Array(Math.floor((length - 15) / 255)).fill(255), (length - 15) % 255];
}

function written(all, from, matches) {
  const out = [];
  let literals = from;
  const sequence = (end, match) => {
    const count = end - literals;
    const length = match === undefined ? 0 : match.length - LEAST_MATCH;
    out.push((Math.min(count, 15) << 4) | Math.min(length, 15), ...lengthBytes(count), ...all.subarray(literals, end));
    if (match !== undefined) out.push(match.distance & 0xff, match.distance >> 8, ...lengthBytes(length));
  };
  for (let at = from; at < all.length; ) {
    const match = matches[at];
    if (match === undefined) {
      at++;
      continue;
    }
    sequence(at, match);
    at += match.length;
    literals = at;
  }
  sequence(all.length);
  return Uint8Array.from(out);
}
