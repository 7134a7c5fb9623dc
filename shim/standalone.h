// What the shim uses of the C++ library where it is linked without one: the prebuilt shims are (compile.mjs), so that one file suits
// every machine, whatever its C++ library, and glibc and musl alike. Of libstdc++ they have the trees of std::map, which need nothing.
//
// The shim throws no exception. Where the library would throw one (no memory, a container that is too long) the process ends, as it
// does in a build with -fno-exceptions that has the library.

#ifndef DMA_WINDOW_SHIM_STANDALONE_H_
#define DMA_WINDOW_SHIM_STANDALONE_H_

#include <sched.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

void* operator new(size_t size) {
  void* memory = malloc(size == 0 ? 1 : size);
  if (memory == nullptr) abort();
  return memory;
}
void* operator new[](size_t size) { return operator new(size); }
void operator delete(void* memory) noexcept { free(memory); }
void operator delete[](void* memory) noexcept { free(memory); }
void operator delete(void* memory, size_t) noexcept { free(memory); }
void operator delete[](void* memory, size_t) noexcept { free(memory); }

namespace std {

[[noreturn]] void __throw_bad_alloc() { abort(); }
[[noreturn]] void __throw_bad_array_new_length() { abort(); }
[[noreturn]] void __throw_length_error(const char*) { abort(); }
[[noreturn]] void __throw_logic_error(const char*) { abort(); }
[[noreturn]] void __throw_out_of_range(const char*) { abort(); }
[[noreturn]] void __throw_out_of_range_fmt(const char*, ...) { abort(); }
[[noreturn]] void __throw_system_error(int) { abort(); }

}  // namespace std

extern "C" {

[[noreturn]] void __cxa_pure_virtual() { abort(); }

// A static of a function, which the first thread that comes makes. Of the guard's 64 bits the compiler looks at the first byte: made.
// The second is ours: somebody is making it. Of the Itanium C++ ABI, 3.3.3.
static std::atomic<uint8_t>* GuardBytes(uint64_t* guard) { return reinterpret_cast<std::atomic<uint8_t>*>(guard); }

// Whether the caller is to make it, and say so.
int __cxa_guard_acquire(uint64_t* guard) {
  auto* bytes = GuardBytes(guard);
  while (bytes[0].load(std::memory_order_acquire) == 0) {
    if (bytes[1].exchange(1, std::memory_order_acquire) == 0) {
      // Made and let go of between the two looks.
      if (bytes[0].load(std::memory_order_acquire) == 0) return 1;
      bytes[1].store(0, std::memory_order_release);
      return 0;
    }
    sched_yield();
  }
  return 0;
}

void __cxa_guard_release(uint64_t* guard) {
  auto* bytes = GuardBytes(guard);
  bytes[0].store(1, std::memory_order_release);
  bytes[1].store(0, std::memory_order_release);
}

}  // extern "C"

#endif  // DMA_WINDOW_SHIM_STANDALONE_H_
