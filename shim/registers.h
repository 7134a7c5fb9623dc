// Registers of devices that are mapped: in a table of each thread's own, by handles, so that an access is checked against what
// is mapped, and none can reach what another thread has, or what was unmapped.

#ifndef DMA_WINDOW_SHIM_REGISTERS_H_
#define DMA_WINDOW_SHIM_REGISTERS_H_

#include <napi.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <vector>

#include "access.h"
#include "answers.h"
#include "arguments.h"
#include "guard.h"

namespace {

struct Mapping {
  uint64_t handle;  // 0 where there is none
  unsigned char* address;
  uint64_t length;  // bytes that may be accessed; of the last page the rest is mapped too
  bool is_shown;    // somebody was told the address
};

// Of one environment, and used by its thread alone.
class Mappings {
 public:
  // Lives until the environment ends.
  static Mappings* Of(napi_env env) {
    auto* mappings = new Mappings;
    napi_add_env_cleanup_hook(env, [](void* ended) { delete static_cast<Mappings*>(ended); }, mappings);
    return mappings;
  }

  // A handle, or -errno.
  int64_t Map(int fd, uint64_t offset, uint64_t length) {
#if KNOWS_REGISTERS
    if (free_.empty() && mappings_.size() == kMost) return -ENOMEM;
    Guard::Keep();
    void* address = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, static_cast<off_t>(offset));
    if (address == MAP_FAILED) return -errno;
    uint64_t place = mappings_.size();
    if (free_.empty()) {
      mappings_.push_back({});
    } else {
      place = free_.back();
      free_.pop_back();
    }
    mappings_[place] = {++last_ * kMost + place, static_cast<unsigned char*>(address), length, false};
    return static_cast<int64_t>(mappings_[place].handle);
#else
    static_cast<void>(fd), static_cast<void>(offset), static_cast<void>(length);
    return -ENOSYS;
#endif
  }

  // Null for a handle that none of these has.
  Mapping* Find(uint64_t handle) {
    uint64_t place = handle % kMost;
    bool is_known = handle != 0 && place < mappings_.size() && mappings_[place].handle == handle;
    return is_known ? &mappings_[place] : nullptr;
  }

  // 0, or -errno: then it is mapped still. `is_seen`: something may reach the memory all the same, so that ordinary memory lies
  // there from then on, which is the caller's.
  int Unmap(Mapping& mapping, bool is_seen) {
    int answer = is_seen ? Replace(mapping) : munmap(mapping.address, mapping.length);
    if (answer != 0) return -errno;
    free_.push_back(mapping.handle % kMost);
    mapping.handle = 0;
    return 0;
  }

 private:
  // What was shown may have been moved to another thread.
  ~Mappings() {
    for (Mapping& mapping : mappings_) {
      if (mapping.handle != 0) Unmap(mapping, mapping.is_shown);
    }
  }

  // In one step: at no time is there nothing. Of the memory nothing is taken before it is touched.
  static int Replace(const Mapping& mapping) {
    constexpr int kHow = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
    return mmap(mapping.address, mapping.length, PROT_READ | PROT_WRITE, kHow, -1, 0) == MAP_FAILED ? -1 : 0;
  }

  // More than a process may have (vm.max_map_count); a handle stays exact as a double.
  static constexpr uint64_t kMost = 1 << 16;

  std::vector<Mapping> mappings_;
  std::vector<uint64_t> free_;
  uint64_t last_ = 0;
};

// Of the call's environment: what its functions were made with.
Mappings& MappingsOf(const Napi::CallbackInfo& info) { return *static_cast<Mappings*>(info.Data()); }

// The greatest integer that is exact as a double, and as which lengths cross.
constexpr uint64_t kExact = (uint64_t{1} << 53) - 1;

Mapping* MappingIn(const Napi::CallbackInfo& info, Arguments& arguments) {
  uint64_t handle = arguments.Integer(0, "registers", kExact);
  if (arguments.refused()) return nullptr;
  Mapping* mapping = MappingsOf(info).Find(handle);
  if (mapping == nullptr) arguments.RefuseRange("registers must be mapped in this thread; %lu are not", handle);
  return mapping;
}

Napi::Value MapRegisters(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  int fd = arguments.Fd(0);
  uint64_t offset = arguments.FileOffset(1);
  uint64_t length = arguments.Integer(2, "length", kExact);
  if (arguments.refused()) return Nothing();
  return Napi::Number::New(info.Env(), static_cast<double>(MappingsOf(info).Map(fd, offset, length)));
}

Napi::Value UnmapRegisters(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  Mapping* mapping = MappingIn(info, arguments);
  uint64_t is_seen = arguments.Integer(1, "isSeen", 1);
  if (arguments.refused()) return Nothing();
  return Napi::Number::New(info.Env(), MappingsOf(info).Unmap(*mapping, is_seen != 0));
}

Napi::Value AddressOfRegisters(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  Mapping* mapping = MappingIn(info, arguments);
  if (arguments.refused()) return Nothing();
  mapping->is_shown = true;
  return Napi::BigInt::New(info.Env(), static_cast<uint64_t>(reinterpret_cast<uintptr_t>(mapping->address)));
}

#if KNOWS_REGISTERS
// The register that a call names, of so many bytes; null when it was refused.
unsigned char* RegisterIn(const Napi::CallbackInfo& info, Arguments& arguments, uint64_t bytes) {
  Mapping* mapping = MappingIn(info, arguments);
  if (mapping == nullptr) return nullptr;
  if (mapping->length < bytes) {
    arguments.RefuseRange("registers must have %lu bytes; they have %lu", bytes, mapping->length);
    return nullptr;
  }
  uint64_t offset = arguments.Integer(1, "offset", mapping->length - bytes);
  if (!arguments.refused() && offset % bytes != 0) {
    arguments.RefuseRange("offset must be a multiple of %lu; got %lu", bytes, offset);
  }
  return arguments.refused() ? nullptr : mapping->address + offset;
}

template <Access (*load)(const volatile void*), uint64_t bytes>
Napi::Value ReadRegister(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const unsigned char* from = RegisterIn(info, arguments, bytes);
  if (from == nullptr) return Nothing();
  Access access = load(from);
  napi_value answer = nullptr;
  if constexpr (bytes == 8) {
    if (access.failed) napi_create_bigint_int64(info.Env(), -EIO, &answer);
    else napi_create_bigint_uint64(info.Env(), access.value, &answer);
  } else {
    if (access.failed) napi_create_int32(info.Env(), -EIO, &answer);
    else napi_create_uint32(info.Env(), static_cast<uint32_t>(access.value), &answer);
  }
  return Napi::Value(info.Env(), answer);
}

template <Access (*store)(volatile void*, uint64_t), uint64_t bytes>
Napi::Value WriteRegister(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  unsigned char* to = RegisterIn(info, arguments, bytes);
  uint64_t value = 0;
  if constexpr (bytes == 8) value = arguments.U64(2, "value");
  else value = arguments.Integer(2, "value", (uint64_t{1} << (8 * bytes)) - 1);
  if (arguments.refused()) return Nothing();
  napi_value answer = nullptr;
  napi_create_int32(info.Env(), store(to, value).failed ? -EIO : 0, &answer);
  return Napi::Value(info.Env(), answer);
}
#endif

void ExportRegisters(Napi::Env env, Napi::Object exports) {
  Mappings* mappings = Mappings::Of(env);
  exports.Set("mapRegisters", Napi::Function::New<MapRegisters>(env, "mapRegisters", mappings));
  exports.Set("unmapRegisters", Napi::Function::New<UnmapRegisters>(env, "unmapRegisters", mappings));
  exports.Set("addressOfRegisters", Napi::Function::New<AddressOfRegisters>(env, "addressOfRegisters", mappings));
#if KNOWS_REGISTERS
#define REGISTER(bits)                                                                                            \
  exports.Set("readRegister" #bits, Napi::Function::New<ReadRegister<dma_window_load##bits, bits / 8>>(           \
                                        env, "readRegister" #bits, mappings));                                    \
  exports.Set("writeRegister" #bits, Napi::Function::New<WriteRegister<dma_window_store##bits, bits / 8>>(        \
                                         env, "writeRegister" #bits, mappings))
#else
#define REGISTER(bits)                                                                                            \
  exports.Set("readRegister" #bits, Napi::Function::New<AddressOfRegisters>(env, "readRegister" #bits, mappings)); \
  exports.Set("writeRegister" #bits, Napi::Function::New<AddressOfRegisters>(env, "writeRegister" #bits, mappings))
#endif
  REGISTER(8);
  REGISTER(16);
  REGISTER(32);
  REGISTER(64);
#undef REGISTER
}

}  // namespace

#endif  // DMA_WINDOW_SHIM_REGISTERS_H_
