// QEMU's teaching device: its registers, and a transfer of its engine. (QEMU: docs/specs/edu.rst)
#ifndef TEST_EXEC_EDU_H_
#define TEST_EXEC_EDU_H_

#include "device.h"

#define BUFFER 0x40000
#define TO_MEMORY 2
#define INTERRUPTS 4

// On POWER its registers are big-endian, as QEMU's are.
static int is_swapped;

static inline uint64_t edu_get(uint64_t at) {
  uint64_t value = get(0, at, at < 0x80 ? 4 : 8);
  if (!is_swapped) return value;
  return at < 0x80 ? __builtin_bswap32((uint32_t)value) : __builtin_bswap64(value);
}

static inline void edu_set(uint64_t at, uint64_t value) {
  if (is_swapped) value = at < 0x80 ? __builtin_bswap32((uint32_t)value) : __builtin_bswap64(value);
  set(0, at, at < 0x80 ? 4 : 8, value);
}

static inline void edu_start(uint64_t from, uint64_t to, uint64_t bytes, unsigned flags) {
  edu_set(0x80, from);
  edu_set(0x88, to);
  edu_set(0x90, bytes);
  edu_set(0x98, 1 | flags);
}

static inline void edu_finish(void) {
  for (int tries = 0; (edu_get(0x98) & 1) != 0; tries++) expect(tries < 10000, "the transfer ends");
}

static inline void edu_move(uint64_t from, uint64_t to, uint64_t bytes, unsigned flags) {
  edu_start(from, to, bytes, flags);
  edu_finish();
}

#endif
