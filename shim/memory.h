// Memory of this process, by its address.

#ifndef DMA_WINDOW_SHIM_MEMORY_H_
#define DMA_WINDOW_SHIM_MEMORY_H_

#include <limits.h>
#include <linux/mempolicy.h>
#include <napi.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "answers.h"
#include "arguments.h"
#include "presence.h"

namespace {

// The bits that src/syscalls.ts calls Protection and MapFlag.
enum : uint32_t { kRead = 1, kWrite = 2, kAllProtection = 3 };
enum : uint32_t { kFixed = 1, kFixedNoReplace = 2, kPopulate = 4, kNoReserve = 8, kHugetlb = 16, kAllMapFlags = 31 };

Napi::Value Mmap(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  uint64_t address = arguments.U64(0, "address");
  uint64_t length = arguments.U64(1, "length");
  uint64_t protection = arguments.Integer(2, "protection", kAllProtection);
  uint64_t flags = arguments.Integer(3, "flags", kAllMapFlags);
  uint64_t huge_page_shift = arguments.Integer(4, "hugePageShift", MAP_HUGE_MASK);
  if (arguments.refused()) return Nothing();

  int prot = PROT_NONE;
  if (protection & kRead) prot |= PROT_READ;
  if (protection & kWrite) prot |= PROT_WRITE;

  // Unsigned until the call: the shift's six bits are the topmost.
  unsigned how = MAP_PRIVATE | MAP_ANONYMOUS;
  if (flags & kFixed) how |= MAP_FIXED;
  if (flags & kFixedNoReplace) how |= MAP_FIXED_NOREPLACE;
  if (flags & kPopulate) how |= MAP_POPULATE;
  if (flags & kNoReserve) how |= MAP_NORESERVE;
  if (flags & kHugetlb) how |= MAP_HUGETLB | static_cast<unsigned>(huge_page_shift) << MAP_HUGE_SHIFT;

  void* mapped = mmap(reinterpret_cast<void*>(address), length, prot, static_cast<int>(how), -1, 0);
  if (mapped == MAP_FAILED) return Napi::BigInt::New(info.Env(), -static_cast<int64_t>(errno));
  return Napi::BigInt::New(info.Env(), reinterpret_cast<uint64_t>(mapped));
}

Napi::Value Munmap(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  uint64_t address = arguments.U64(0, "address");
  uint64_t length = arguments.U64(1, "length");
  if (arguments.refused()) return Nothing();
  return Answer(info, munmap(reinterpret_cast<void*>(address), length));
}

Napi::Value Populate(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  uint64_t address = arguments.U64(0, "address");
  uint64_t length = arguments.U64(1, "length");
  if (arguments.refused()) return Nothing();
  return Napi::Number::New(info.Env(), MakePresent(address, length));
}

// No kernel is built for more NUMA nodes (CONFIG_NODES_SHIFT is at most 10).
constexpr unsigned kNodes = 1024;

// The C library has no function for mbind, and libnuma is not needed for one call. MPOL_BIND and not MPOL_PREFERRED: a page of
// another node in the wanted one's place would go unnoticed.
Napi::Value BindNode(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  uint64_t address = arguments.U64(0, "address");
  uint64_t length = arguments.U64(1, "length");
  uint64_t node = arguments.Integer(2, "node", kNodes - 1);
  if (arguments.refused()) return Nothing();

  constexpr unsigned kBits = sizeof(unsigned long) * CHAR_BIT;
  unsigned long nodes[kNodes / kBits] = {};
  nodes[node / kBits] = 1UL << (node % kBits);
  // The kernel reads one bit less than it is told of (mm/mempolicy.c: get_nodes).
  long result = syscall(SYS_mbind, address, length, MPOL_BIND, nodes, kNodes + 1UL, 0U);
  return Answer(info, static_cast<int>(result));
}

// memmove: the caller's array may be a view of the very memory.
Napi::Value Read(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  uint64_t address = arguments.U64(0, "address");
  Memory into = arguments.Bytes(1);
  if (into.length > 0) arguments.CheckRange(address, into.length, UINT64_MAX);
  if (arguments.refused() || into.length == 0) return Nothing();
  memmove(into.data, reinterpret_cast<const void*>(address), into.length);
  return Nothing();
}

Napi::Value Write(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  uint64_t address = arguments.U64(0, "address");
  Memory from = arguments.Bytes(1);
  if (from.length > 0) arguments.CheckRange(address, from.length, UINT64_MAX);
  if (arguments.refused() || from.length == 0) return Nothing();
  memmove(reinterpret_cast<void*>(address), from.data, from.length);
  return Nothing();
}

// Where the bytes of an ArrayBuffer lie. Nothing is read there.
Napi::Value AddressOf(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  bool is_buffer = false;
  void* data = nullptr;
  size_t length = 0;
  napi_is_arraybuffer(info.Env(), info[0], &is_buffer);
  if (!is_buffer || napi_get_arraybuffer_info(info.Env(), info[0], &data, &length) != napi_ok || length == 0) {
    arguments.RefuseType("buffer must be an ArrayBuffer that has bytes");
    return Nothing();
  }
  return Napi::BigInt::New(info.Env(), static_cast<uint64_t>(reinterpret_cast<uintptr_t>(data)));
}

Napi::Value PageSize(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(sysconf(_SC_PAGESIZE)));
}

}  // namespace

#endif  // DMA_WINDOW_SHIM_MEMORY_H_
