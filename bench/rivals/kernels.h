// The core's work in C: the same algorithms on the same tables, in the core's own memory.
//
// A kernel gets the core's memory and its arguments, u64 each; what is an offset of the core's memory is one here too.

#ifndef DMA_WINDOW_BENCH_KERNELS_H_
#define DMA_WINDOW_BENCH_KERNELS_H_

#include <stdint.h>

typedef uint64_t (*kernel)(unsigned char *memory, const uint64_t *arguments);

struct named_kernel {
  const char *name;
  kernel run;
};

// Ends with a name that is NULL.
extern const struct named_kernel kernels[];

#endif
