// See kernels.h. The layouts are those that assembly/radix.ts, memsegs.ts and bitmap.ts draw; a kernel that misread them would
// give other answers than the core, and the bench looks at all of them.
//
// What a function writes never overlaps what it reads: everything is restrict, and what the loops need of a table is read
// before they begin, as in the core.

#include "kernels.h"

#include <stddef.h>

#define NONE UINT64_MAX

enum { ROOT_SHIFT = 39, GIGA_SHIFT = 30, SLOT_SHIFT = 21, PAGE_SHIFT = 12, INDEX_MASK = 511 };
#define PAGE_MASK ((UINT64_C(1) << PAGE_SHIFT) - 1)
#define SLOT_MASK ((UINT64_C(1) << SLOT_SHIFT) - 1)
#define SPLIT UINT64_C(2)

// ---- Look-ups: radix.ts ---------------------------------------------------------------------------------------------

struct radix {
  uint32_t root;
  uint32_t extent;
  uint32_t affine;
};

static inline uint32_t u32_at(const unsigned char *restrict memory, uint64_t at) {
  return *(const uint32_t *)(memory + at);
}

static inline uint64_t u64_at(const unsigned char *restrict memory, uint64_t at) {
  return *(const uint64_t *)(memory + at);
}

// The entry for `key`, and in `mask` the bits of the key below it. The null page at 0 is a table in which all is absent.
static inline uint64_t entry_of(const unsigned char *restrict memory, uint64_t root, uint64_t extent, uint64_t key,
                                uint64_t *mask) {
  uint64_t index = key >> ROOT_SHIFT;
  uint64_t root_entry = index < extent ? root + (index << 3) : 0;
  uint32_t giga = u32_at(memory, root_entry);
  uint32_t slots = u32_at(memory, giga + (((key >> GIGA_SHIFT) & INDEX_MASK) << 3));
  uint64_t entry = u64_at(memory, slots + (((key >> SLOT_SHIFT) & INDEX_MASK) << 3));
  *mask = SLOT_MASK;
  if (__builtin_expect((entry & SPLIT) != 0, 0)) {
    uint32_t pages = (uint32_t)(entry & ~PAGE_MASK);
    entry = u64_at(memory, pages + (((key >> PAGE_SHIFT) & INDEX_MASK) << 3));
    *mask = PAGE_MASK;
  }
  return entry;
}

// radix, vas, iovas, count -> how many were there
static uint64_t translate(unsigned char *memory, const uint64_t *arguments) {
  const struct radix radix = *(const struct radix *)(memory + arguments[0]);
  const uint64_t *restrict vas = (const uint64_t *)(memory + arguments[1]);
  uint64_t *restrict iovas = (uint64_t *)(memory + arguments[2]);
  size_t count = arguments[3];
  uint64_t found = 0;
  for (size_t i = 0; i < count; i++) {
    uint64_t va = vas[i], mask;
    uint64_t entry = entry_of(memory, radix.root, radix.extent, va, &mask);
    uint64_t iova = entry == 0 ? NONE : (entry & ~PAGE_MASK) + (va & mask);
    iovas[i] = iova;
    found += iova != NONE;
  }
  return found;
}

// The same by the memsegs' numbers, with a column of what each states, which the core has not: three places to wait for.
// radix of numbers, column of vas, column of iovas, vas, iovas, count -> how many were there
static uint64_t memseg_translate(unsigned char *memory, const uint64_t *arguments) {
  const struct radix radix = *(const struct radix *)(memory + arguments[0]);
  const uint64_t *restrict starts = (const uint64_t *)(memory + arguments[1]);
  const uint64_t *restrict stated = (const uint64_t *)(memory + arguments[2]);
  const uint64_t *restrict vas = (const uint64_t *)(memory + arguments[3]);
  uint64_t *restrict iovas = (uint64_t *)(memory + arguments[4]);
  size_t count = arguments[5];
  uint64_t found = 0;
  for (size_t i = 0; i < count; i++) {
    uint64_t va = vas[i], mask, iova = NONE;
    uint64_t entry = entry_of(memory, radix.root, radix.extent, va, &mask);
    if (entry != 0) {
      uint64_t number = entry >> PAGE_SHIFT;
      if (stated[number] != NONE) iova = stated[number] + (va - starts[number]);
    }
    iovas[i] = iova;
    found += iova != NONE;
  }
  return found;
}

// ---- Requests against a window: window.ts, range.ts -----------------------------------------------------------------

// 1 for a request that is not in the window, from its offset, the window's last offset, and its length; exact for every u64.
typedef uint64_t outside(uint64_t offset, uint64_t span, uint64_t length);

// start, last, page shift, iovas, lengths, indexes, count -> how many lie in the window. Inlined, and `is_outside` with it.
static inline __attribute__((always_inline)) uint64_t check(outside *is_outside, unsigned char *memory,
                                                            const uint64_t *arguments) {
  uint64_t start = arguments[0], span = arguments[1] - arguments[0], shift = arguments[2];
  const uint64_t *restrict iovas = (const uint64_t *)(memory + arguments[3]);
  const uint64_t *restrict lengths = (const uint64_t *)(memory + arguments[4]);
  uint64_t *restrict indexes = (uint64_t *)(memory + arguments[5]);
  size_t count = arguments[6];
  uint64_t outsides = 0;
  for (size_t i = 0; i < count; i++) {
    uint64_t offset = iovas[i] - start;
    uint64_t out = is_outside(offset, span, lengths[i]);
    indexes[i] = (offset >> shift) | (0 - out);
    outsides += out;
  }
  return count - outsides;
}

static inline uint64_t outside_by_comparing(uint64_t offset, uint64_t span, uint64_t length) {
  return !((offset <= span) & (length - 1 <= span - offset) & (length != 0));
}

static uint64_t check_by_comparing(unsigned char *memory, const uint64_t *arguments) {
  return check(outside_by_comparing, memory, arguments);
}

// By sign bits, for windows below 2^63 bytes: any of offset, span - offset, length - 1, span - offset - (length - 1) that is
// negative says no. A length above 2^63 is negative itself, so the last difference cannot wrap unseen.
static inline uint64_t outside_by_signs(uint64_t offset, uint64_t span, uint64_t length) {
  uint64_t beyond = length - 1, room = span - offset;
  return (offset | room | beyond | (room - beyond)) >> 63;
}

static uint64_t check_by_signs(unsigned char *memory, const uint64_t *arguments) {
  return check(outside_by_signs, memory, arguments);
}

// The core's way: one signed comparison, which is right where neither offset nor beyond is negative, and also says no where
// room is; and one look at the signs of these two.
static inline uint64_t outside_by_one_comparison(uint64_t offset, uint64_t span, uint64_t length) {
  uint64_t beyond = length - 1, room = span - offset;
  return ((int64_t)beyond > (int64_t)room) | ((int64_t)(offset | beyond) < 0);
}

static uint64_t check_by_one_comparison(unsigned char *memory, const uint64_t *arguments) {
  return check(outside_by_one_comparison, memory, arguments);
}

// ---- Walks: memsegs.ts ----------------------------------------------------------------------------------------------

enum { LIST_BYTES = 32, LIST_FLAGS = 28, EXTERNAL = 1, HEAP = 2 };

static inline int is_served(const unsigned char *restrict lists, uint32_t list) {
  return (u32_at(lists, (uint64_t)list * LIST_BYTES + LIST_FLAGS) & (EXTERNAL | HEAP)) != EXTERNAL;
}

static inline int all_served(const unsigned char *restrict lists, size_t total) {
  for (size_t i = 0; i < total; i++)
    if (!is_served(lists, (uint32_t)i)) return 0;
  return 1;
}

// lists, column of vas, of lengths, of lists, count -> the highest last address of the memsegs that are served, as the core
// looks for it: the list is looked at only for a candidate
static uint64_t walk_max_by_branches(unsigned char *memory, const uint64_t *arguments) {
  const unsigned char *restrict lists = memory + arguments[0];
  const uint64_t *restrict vas = (const uint64_t *)(memory + arguments[1]);
  const uint64_t *restrict lengths = (const uint64_t *)(memory + arguments[2]);
  const uint32_t *restrict list = (const uint32_t *)(memory + arguments[3]);
  size_t count = arguments[4];
  uint64_t highest = 0;
  for (size_t i = 0; i < count; i++) {
    if (lengths[i] == 0) continue;
    uint64_t last = vas[i] + (lengths[i] - 1);
    if (last > highest && is_served(lists, list[i])) highest = last;
  }
  return highest;
}

// Eight u64 at once. Less aligned than the compiler would like: columns are.
typedef uint64_t eight __attribute__((vector_size(64), aligned(8), may_alias));

static inline eight higher(eight a, eight b) {
  eight is_higher = (eight)(a > b);
  return (a & is_higher) | (b & ~is_higher);
}

// The same without a branch and without looking at lists, as long as all of them are served; otherwise as above. Arguments as
// above, and the number of lists. A free number has the length 0.
static uint64_t walk_max_by_vectors(unsigned char *memory, const uint64_t *arguments) {
  const unsigned char *restrict lists = memory + arguments[0];
  const uint64_t *restrict vas = (const uint64_t *)(memory + arguments[1]);
  const uint64_t *restrict lengths = (const uint64_t *)(memory + arguments[2]);
  size_t count = arguments[4], total_lists = arguments[5];
  if (!all_served(lists, total_lists)) return walk_max_by_branches(memory, arguments);
  eight most[4] = {{0}};
  size_t i = 0;
  for (; i + 32 <= count; i += 32) {
    for (int k = 0; k < 4; k++) {
      eight length = *(const eight *)(lengths + i + 8 * k);
      eight last = *(const eight *)(vas + i + 8 * k) + length - 1;
      most[k] = higher(last & (eight)(length != 0), most[k]);
    }
  }
  eight all = higher(higher(most[0], most[1]), higher(most[2], most[3]));
  uint64_t highest = 0;
  for (int lane = 0; lane < 8; lane++) highest = all[lane] > highest ? all[lane] : highest;
  for (; i < count; i++) {
    uint64_t last = lengths[i] == 0 ? 0 : vas[i] + (lengths[i] - 1);
    highest = last > highest ? last : highest;
  }
  return highest;
}

// The core's way: addresses below 2^62, with the bits of 1.0 added, are ordered as doubles are. A free number has the address 1
// and the length 0, so its last address is 0.
enum { LANES = 32 };

static uint64_t walk_max_by_doubles(unsigned char *memory, const uint64_t *arguments) {
  const unsigned char *restrict lists = memory + arguments[0];
  const uint64_t *restrict vas = (const uint64_t *)(memory + arguments[1]);
  const uint64_t *restrict lengths = (const uint64_t *)(memory + arguments[2]);
  const uint64_t one = 0x3ff0000000000000;
  size_t count = arguments[4], total_lists = arguments[5];
  if (!all_served(lists, total_lists)) return walk_max_by_branches(memory, arguments);
  double most[LANES];
  for (int lane = 0; lane < LANES; lane++) most[lane] = 1.0;
  size_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    for (int lane = 0; lane < LANES; lane++) {
      uint64_t bits = vas[i + lane] + lengths[i + lane] + (one - 1);
      double last;
      memcpy(&last, &bits, sizeof last);
      most[lane] = last > most[lane] ? last : most[lane];
    }
  }
  uint64_t highest = 0;
  for (int lane = 0; lane < LANES; lane++) {
    uint64_t bits;
    memcpy(&bits, &most[lane], sizeof bits);
    highest = bits - one > highest ? bits - one : highest;
  }
  for (; i < count; i++) {
    uint64_t last = vas[i] + lengths[i] - 1;
    highest = last > highest ? last : highest;
  }
  return highest;
}

// column of iovas, of lengths, count -> bytes of the memsegs whose IOVA is known, plus how many these are
static uint64_t walk_valid(unsigned char *memory, const uint64_t *arguments) {
  const uint64_t *restrict iovas = (const uint64_t *)(memory + arguments[0]);
  const uint64_t *restrict lengths = (const uint64_t *)(memory + arguments[1]);
  size_t count = arguments[2];
  uint64_t valid = 0, bytes = 0;
  for (size_t i = 0; i < count; i++) {
    uint64_t known = 0 - (uint64_t)(iovas[i] != NONE);
    valid -= known;
    bytes += lengths[i] & known;
  }
  return bytes + valid;
}

// column of lengths, count -> bytes
static uint64_t walk_all(unsigned char *memory, const uint64_t *arguments) {
  const uint64_t *restrict lengths = (const uint64_t *)(memory + arguments[0]);
  size_t count = arguments[1];
  uint64_t bytes = 0;
  for (size_t i = 0; i < count; i++) bytes += lengths[i];
  return bytes;
}

// ---- The first hole: bitmap.ts, occupancy.ts ------------------------------------------------------------------------

enum { CHUNK_SHIFT = 15, WORDS_AT_ONCE = 16 };
#define CHUNK_BITS (UINT64_C(1) << CHUNK_SHIFT)
#define CHUNK_MASK (CHUNK_BITS - 1)

struct bitmap {
  uint64_t bits;
  uint32_t directory;
};

static inline int all_equal(const uint64_t *restrict at, uint64_t value) {
  const eight *words = (const eight *)at;
  eight difference = (words[0] ^ value) | (words[1] ^ value);
  difference |= __builtin_shuffle(difference, (eight){4, 5, 6, 7, 0, 1, 2, 3});
  difference |= __builtin_shuffle(difference, (eight){2, 3, 0, 1, 6, 7, 4, 5});
  return (difference[0] | difference[1]) == 0;
}

// The first bit in [from, end) that is set (value 1) or clear (0); `end` when there is none.
static inline uint64_t next_bit(const unsigned char *restrict memory, const struct bitmap *restrict map, uint64_t from,
                                uint64_t end, int value) {
  uint64_t nothing = value ? 0 : CHUNK_BITS, boring = value ? 0 : UINT64_MAX;
  for (uint64_t bit = from; bit < end;) {
    uint64_t entry = u64_at(memory, map->directory + ((bit >> CHUNK_SHIFT) << 3));
    uint64_t next_chunk = (bit | CHUNK_MASK) + 1;
    if (entry >> 32 == nothing) {
      bit = next_chunk;
      continue;
    }
    const uint64_t *restrict chunk = (const uint64_t *)(memory + (uint32_t)entry);
    uint64_t stop = next_chunk < end ? next_chunk : end;
    while (bit < stop) {
      uint64_t word = (bit & CHUNK_MASK) >> 6;
      if ((bit & 63) == 0 && stop - bit >= 64 * WORDS_AT_ONCE && all_equal(chunk + word, boring)) {
        bit += 64 * WORDS_AT_ONCE;
        continue;
      }
      uint64_t wanted = (chunk[word] ^ boring) & (UINT64_MAX << (bit & 63));
      if (wanted != 0) {
        uint64_t found = (bit & ~UINT64_C(63)) + (uint64_t)__builtin_ctzll(wanted);
        return found < end ? found : end;
      }
      bit = (bit | 63) + 1;
    }
  }
  return end;
}

// live, reserved, length in bits -> the lowest bit from which that many are clear in both; all ones: none
static uint64_t first_fit(unsigned char *memory, const uint64_t *arguments) {
  const struct bitmap live = *(const struct bitmap *)(memory + arguments[0]);
  const struct bitmap reserved = *(const struct bitmap *)(memory + arguments[1]);
  uint64_t length = arguments[2], end = live.bits, at = 0;
  while (1) {
    while (1) {
      at = next_bit(memory, &live, at, end, 0);
      uint64_t both = next_bit(memory, &reserved, at, end, 0);
      if (both == at) break;
      at = both;
    }
    if (at >= end || end - at < length) return NONE;
    uint64_t taken = next_bit(memory, &live, at, at + length, 1);
    taken = next_bit(memory, &reserved, at, taken, 1);
    if (taken == at + length) return at;
    at = taken;
  }
}

const struct named_kernel kernels[] = {
    {"translate", translate},
    {"memseg_translate", memseg_translate},
    {"check_by_comparing", check_by_comparing},
    {"check_by_signs", check_by_signs},
    {"check_by_one_comparison", check_by_one_comparison},
    {"walk_max_by_branches", walk_max_by_branches},
    {"walk_max_by_vectors", walk_max_by_vectors},
    {"walk_max_by_doubles", walk_max_by_doubles},
    {"walk_valid", walk_valid},
    {"walk_all", walk_all},
    {"first_fit", first_fit},
    {NULL, NULL},
};
