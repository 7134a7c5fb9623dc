// Reading the arguments of a call from JavaScript, and refusing what would otherwise become a memory-safety bug without a
// word: a wrong kind, a wrong value, a struct that does not end within the caller's memory.

#ifndef DMA_WINDOW_SHIM_ARGUMENTS_H_
#define DMA_WINDOW_SHIM_ARGUMENTS_H_

#include <limits.h>
#include <napi.h>

#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "vfio_calls.h"

namespace {

// The caller's memory. The pointer is good until JavaScript runs again, so it never outlives the call that took it.
struct Memory {
  unsigned char* data;
  uint64_t length;
};

// Reads and checks the arguments of one call. The first fault throws and makes `refused` true; what is read after that
// is a harmless zero. The caller looks at `refused` before it uses anything. No JavaScript runs in between: nothing
// here converts a value, so no valueOf can move the memory under a pointer.
class Arguments {
 public:
  explicit Arguments(const Napi::CallbackInfo& info) : info_(info), env_(info.Env()) {}

  bool refused() const { return refused_; }

  // A whole number in [0, last]; every `last` that is passed is exact as a double.
  uint64_t Integer(size_t index, const char* name, uint64_t last) {
    if (refused_) return 0;
    double number = 0;
    if (napi_get_value_double(env_, info_[index], &number) != napi_ok) return RefuseType("%s must be a number", name);
    // Said this way round NaN fails too, and what is cast is in range.
    bool in_range = number >= 0 && number <= static_cast<double>(last);
    if (!in_range || number != static_cast<double>(static_cast<uint64_t>(number))) {
      return RefuseRange("%s must be an integer from 0 to %lu; got %.17g", name, last, number);
    }
    return static_cast<uint64_t>(number);
  }

  // A bigint in [0, 2^64 - 1].
  uint64_t U64(size_t index, const char* name) {
    if (refused_) return 0;
    uint64_t value = 0;
    bool lossless = false;
    if (napi_get_value_bigint_uint64(env_, info_[index], &value, &lossless) != napi_ok) {
      return RefuseType("%s must be a bigint", name);
    }
    if (!lossless) return RefuseRange("%s must be a bigint from 0 to 2^64 - 1", name);
    return value;
  }

  int Fd(size_t index) { return static_cast<int>(Integer(index, "fd", INT_MAX)); }

  // Where in a file: off_t.
  uint64_t FileOffset(size_t index) {
    uint64_t offset = U64(index, "offset");
    if (offset > INT64_MAX) return RefuseRange("offset must be a bigint from 0 to 2^63 - 1; got %lu", offset);
    return offset;
  }

  // Where in the caller's memory: wasm memory ends at 2^32.
  uint64_t Offset(size_t index, const char* name) {
    uint64_t offset = Integer(index, name, UINT32_MAX);
    if (offset % 8 != 0) return RefuseRange("%s must be a multiple of 8; got %lu", name, offset);
    return offset;
  }

  const Call& VfioCall(size_t index) {
    uint64_t number = Integer(index, "call", UINT32_MAX);
    const Call* found = FindCall(number);
    if (found == nullptr) RefuseRange("call must be one of VfioCall; VFIO_BASE + %lu is not", number);
    return found == nullptr ? kCalls[0] : *found;
  }

  // Of a call without a struct.
  uint64_t Argument(size_t index, const Call& call) {
    return Integer(index, "argument", call.argument == ::Argument::kNone ? 0 : UINT32_MAX);
  }

  // A Uint8Array, also one over a SharedArrayBuffer: napi_get_typedarray_info reads both, where
  // napi_get_arraybuffer_info fails on the latter in Node 20.
  Memory Bytes(size_t index) {
    Memory none = {nullptr, 0};
    if (refused_) return none;
    bool is_typed_array = false;
    napi_typedarray_type type = napi_int8_array;
    size_t length = 0;
    void* data = nullptr;
    napi_is_typedarray(env_, info_[index], &is_typed_array);
    if (!is_typed_array ||
        napi_get_typedarray_info(env_, info_[index], &type, &length, &data, nullptr, nullptr) != napi_ok ||
        type != napi_uint8_array) {
      RefuseType("memory must be a Uint8Array");
      return none;
    }
    if (length == 0 && IsDetached(info_[index])) {
      RefuseType("memory must not be detached: a view of a WebAssembly.Memory is to be taken again after it grew");
      return none;
    }
    return {static_cast<unsigned char*>(data), length};
  }

  // Memory that can be: not at 0, at least one byte, and no wrap at 2^64.
  void CheckRange(uint64_t address, uint64_t length, uint64_t longest) {
    if (refused_) return;
    if (address == 0) {
      RefuseRange("address must not be 0");
    } else if (length == 0 || length > longest) {
      RefuseRange("length must be from 1 to 2^32; got %lu", length);
    } else if (address > UINT64_MAX - (length - 1)) {
      RefuseRange("address + length must not pass 2^64");
    }
  }

  // What the call reads and writes lies inside the memory.
  void CheckMemory(const Call& call, const Memory& memory, uint64_t offset) {
    if (call.argument == ::Argument::kName) CheckName(call, memory, offset);
    else CheckStruct(call, memory, offset);
  }

  // The struct at `offset` lies inside the memory, as far as its own argsz and its count let the kernel go. No sum overflows:
  // an offset is below 2^32, and so is argsz; a struct that is counted has less than 2^35 bytes.
  void CheckStruct(const Call& call, const Memory& memory, uint64_t offset) {
    if (refused_) return;
    uint64_t bytes = call.bytes;
    if (offset + bytes <= memory.length) {
      uint64_t argsz = call.has_argsz ? U32In(memory, offset) : 0;
      uint64_t counted = call.bytes + U32In(memory, offset + call.counted.at) * call.counted.each;
      bytes = Larger(bytes, Larger(argsz, counted));
    }
    if (offset + bytes > memory.length) {
      RefuseRange("VFIO_%s reads and writes %lu bytes, which at offset %lu must end within the memory's %lu", call.name,
                  bytes, offset, memory.length);
    }
  }

  // A name ends within the memory: the kernel reads up to its 0.
  void CheckName(const Call& call, const Memory& memory, uint64_t offset) {
    if (refused_) return;
    if (offset >= memory.length || memchr(memory.data + offset, 0, memory.length - offset) == nullptr) {
      RefuseRange("VFIO_%s reads a name that must end with a 0 within the memory's %lu bytes; at offset %lu none does",
                  call.name, memory.length, offset);
    }
  }

  BatchEntry CheckedEntry(const Memory& memory, uint64_t at) {
    BatchEntry entry = {};
    if (refused_) return entry;
    memcpy(&entry, memory.data + at, sizeof entry);
    if (entry.call >= kCallCount || !kCalls[entry.call].in_batch) {
      RefuseRange("call must be one on a container with a struct; got VFIO_BASE + %u in the entry at %lu", entry.call,
                  at);
    } else if (entry.argument % 8 != 0) {
      RefuseRange("argument must be a multiple of 8; got %u in the entry at %lu", entry.argument, at);
    } else {
      CheckStruct(kCalls[entry.call], memory, entry.argument);
    }
    return entry;
  }

  [[gnu::format(printf, 2, 3)]] uint64_t RefuseType(const char* format, ...) {
    va_list values;
    va_start(values, format);
    Refuse(napi_throw_type_error, "ERR_INVALID_ARG_TYPE", format, values);
    va_end(values);
    return 0;
  }

  [[gnu::format(printf, 2, 3)]] uint64_t RefuseRange(const char* format, ...) {
    va_list values;
    va_start(values, format);
    Refuse(napi_throw_range_error, "ERR_OUT_OF_RANGE", format, values);
    va_end(values);
    return 0;
  }

 private:
  // Throwing can itself fail, when JavaScript may no longer run (a worker that is being ended). Then returning is all
  // that is left to do, and the caller does it.
  void Refuse(decltype(&napi_throw_type_error) raise, const char* code, const char* format, va_list values) {
    if (refused_) return;
    refused_ = true;
    char message[256];
    vsnprintf(message, sizeof message, format, values);
    raise(env_, code, message);
  }

  static uint64_t U32In(const Memory& memory, uint64_t at) {
    uint32_t value;
    memcpy(&value, memory.data + at, sizeof value);
    return value;
  }

  bool IsDetached(napi_value array) {
    napi_value buffer;
    bool detached = false;
    return napi_get_typedarray_info(env_, array, nullptr, nullptr, nullptr, &buffer, nullptr) == napi_ok &&
           napi_is_detached_arraybuffer(env_, buffer, &detached) == napi_ok && detached;
  }

  const Napi::CallbackInfo& info_;
  napi_env env_;
  bool refused_ = false;
};

}  // namespace

#endif  // DMA_WINDOW_SHIM_ARGUMENTS_H_
