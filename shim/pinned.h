// A worker thread that alone has loaded an addon takes it along when it ends: Node closes it then. What stays behind in the process (a
// signal handler, what is done at the process's exit) has to keep the code that it calls.

#ifndef DMA_WINDOW_SHIM_PINNED_H_
#define DMA_WINDOW_SHIM_PINNED_H_

#include <dlfcn.h>

namespace {

// Whether the shim's code stays until the process ends. `inside` is an address in it.
inline bool Pin(const void* inside) {
  Dl_info self = {};
  return dladdr(inside, &self) != 0 && dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE) != nullptr;
}

}  // namespace

#endif  // DMA_WINDOW_SHIM_PINNED_H_
