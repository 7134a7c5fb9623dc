// The shim: checks its arguments, makes the system call, returns the result or -errno. It decides nothing.
//
// What it checks is what would otherwise become a memory-safety bug without a word: the kind and range of every
// argument, and that the struct that the kernel is about to read and write lies inside the caller's memory. What it
// cannot check, and therefore trusts, is written down in shim/README.md.
//
// Every number that differs between architectures (requests, sizes, flags) is a constant of the headers that it was
// compiled with; vfio_layout.h holds VFIO's. There is no mutable state: any number of environments (worker threads) may
// use the shim at once.

#include <fcntl.h>
#include <limits.h>
#include <napi.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "vfio_layout.h"

namespace {

// The bits that src/syscalls.ts calls Protection and MapFlag.
enum : uint32_t { kRead = 1, kWrite = 2, kAllProtection = 3 };
enum : uint32_t { kFixed = 1, kFixedNoReplace = 2, kPopulate = 4, kNoReserve = 8, kHugetlb = 16, kAllMapFlags = 31 };

// ---- Reading arguments ----------------------------------------------------------------------------------------------

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

  // Where in the caller's memory: wasm memory ends at 2^32.
  uint64_t Offset(size_t index, const char* name) {
    uint64_t offset = Integer(index, name, UINT32_MAX);
    if (offset % 8 != 0) return RefuseRange("%s must be a multiple of 8; got %lu", name, offset);
    return offset;
  }

  const Call& VfioCall(size_t index) {
    uint64_t distance = Integer(index, "call", UINT32_MAX);
    if (!refused_ && (distance >= kCallCount || kCalls[distance].name == nullptr)) {
      distance = RefuseRange("call must be one of VfioCall; VFIO_BASE + %lu is not", distance);
    }
    return kCalls[distance];
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

  // The struct at `offset` lies inside the memory, as far as its own argsz lets the kernel go. No sum overflows: an
  // offset is below 2^32, and so are a struct's bytes.
  void CheckStruct(const Call& call, const Memory& memory, uint64_t offset) {
    if (refused_) return;
    uint64_t bytes = call.bytes;
    if (call.has_argsz && offset + sizeof(uint32_t) <= memory.length) {
      uint32_t argsz;
      memcpy(&argsz, memory.data + offset, sizeof argsz);
      if (argsz > bytes) bytes = argsz;
    }
    if (offset + bytes > memory.length) {
      RefuseRange("VFIO_%s reads and writes %lu bytes, which at offset %lu must end within the memory's %lu", call.name,
                  bytes, offset, memory.length);
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

// ---- The system calls -----------------------------------------------------------------------------------------------

// What a function returns after it has thrown.
Napi::Value Nothing() { return Napi::Value(); }

Napi::Value Answer(const Napi::CallbackInfo& info, int result) {
  return Napi::Number::New(info.Env(), result == -1 ? -errno : result);
}

Napi::Value Open(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  char path[PATH_MAX];
  size_t length = 0;
  if (napi_get_value_string_utf8(info.Env(), info[0], nullptr, 0, &length) != napi_ok) {
    arguments.RefuseType("path must be a string");
  } else if (length >= sizeof path) {
    arguments.RefuseRange("path must be shorter than %zu bytes; got %zu", sizeof path, length);
  } else if (napi_get_value_string_utf8(info.Env(), info[0], path, sizeof path, &length) != napi_ok ||
             memchr(path, 0, length) != nullptr) {
    arguments.RefuseRange("path must be without NUL bytes");
  }
  if (arguments.refused()) return Nothing();
  return Answer(info, open(path, O_RDWR | O_CLOEXEC));
}

Napi::Value Close(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  int fd = arguments.Fd(0);
  if (arguments.refused()) return Nothing();
  return Answer(info, close(fd));
}

Napi::Value Ioctl(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  int fd = arguments.Fd(0);
  const Call& call = arguments.VfioCall(1);
  if (call.argument == Argument::kStruct) arguments.RefuseType("VFIO_%s takes a struct: use ioctlStruct", call.name);
  uint64_t value = arguments.Integer(2, "argument", call.argument == Argument::kNone ? 0 : UINT32_MAX);
  if (arguments.refused()) return Nothing();
  return Answer(info, ioctl(fd, call.request, value));
}

Napi::Value IoctlStruct(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  int fd = arguments.Fd(0);
  const Call& call = arguments.VfioCall(1);
  if (call.argument != Argument::kStruct) arguments.RefuseType("VFIO_%s takes no struct: use ioctl", call.name);
  Memory memory = arguments.Bytes(2);
  uint64_t offset = arguments.Offset(3, "offset");
  arguments.CheckStruct(call, memory, offset);
  if (arguments.refused()) return Nothing();
  return Answer(info, ioctl(fd, call.request, memory.data + offset));
}

Napi::Value IoctlBatch(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  int fd = arguments.Fd(0);
  Memory memory = arguments.Bytes(1);
  uint64_t table = arguments.Offset(2, "table");
  uint64_t count = arguments.Integer(3, "count", UINT32_MAX);
  if (table + count * sizeof(BatchEntry) > memory.length) {
    arguments.RefuseRange("table must hold its %lu entries within the memory's %lu bytes; got %lu", count,
                          memory.length, table);
  }
  // All of it before the first ioctl: a batch with a fault in it changes nothing.
  for (uint64_t index = 0; index < count && !arguments.refused(); index++) {
    arguments.CheckedEntry(memory, table + index * sizeof(BatchEntry));
  }
  if (arguments.refused()) return Nothing();

  uint64_t succeeded = 0;
  for (; succeeded < count; succeeded++) {
    uint64_t at = table + succeeded * sizeof(BatchEntry);
    // Checked again: the kernel writes into structs, and one of them may have lain over this entry or over its struct.
    BatchEntry entry = arguments.CheckedEntry(memory, at);
    if (arguments.refused()) return Nothing();
    int result = ioctl(fd, kCalls[entry.call].request, memory.data + entry.argument);
    int32_t answer = result == -1 ? -errno : result;
    memcpy(memory.data + at + offsetof(BatchEntry, result), &answer, sizeof answer);
    if (answer != 0) break;
  }
  return Napi::Number::New(info.Env(), static_cast<double>(succeeded));
}

// ---- Memory ---------------------------------------------------------------------------------------------------------

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

// The longest view: what a typed array of Node 20 (V8 11.3) can hold. Later versions hold more; ours stays the same.
constexpr uint64_t kLongestView = uint64_t{1} << 32;

Napi::Value View(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  uint64_t address = arguments.U64(0, "address");
  uint64_t length = arguments.U64(1, "length");
  if (arguments.refused()) return Nothing();
  if (address == 0) {
    arguments.RefuseRange("address must not be 0");
  } else if (length == 0 || length > kLongestView) {
    // A view of no bytes could not be told from one that has ended.
    arguments.RefuseRange("length must be from 1 to 2^32; got %lu", length);
  } else if (address > UINT64_MAX - (length - 1)) {
    arguments.RefuseRange("address + length must not pass 2^64");
  }
  if (arguments.refused()) return Nothing();

  // Without a finalizer: the memory is the caller's, and collecting the view does not touch it.
  napi_value buffer;
  if (napi_create_external_arraybuffer(info.Env(), reinterpret_cast<void*>(address), length, nullptr, nullptr,
                                       &buffer) != napi_ok) {
    bool pending = false;
    napi_is_exception_pending(info.Env(), &pending);
    if (!pending) napi_throw_error(info.Env(), "ERR_SHIM_FAILED", "Node made no ArrayBuffer over the memory");
    return Nothing();
  }
  return Napi::Value(info.Env(), buffer);
}

Napi::Value Detach(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  bool is_buffer = false;
  napi_is_arraybuffer(info.Env(), info[0], &is_buffer);
  // Refused as well: the buffer of a WebAssembly.Memory, which only its own growth may detach.
  if (!is_buffer || napi_detach_arraybuffer(info.Env(), info[0]) != napi_ok) {
    arguments.RefuseType("buffer must be an ArrayBuffer that can be detached");
  }
  return Nothing();
}

Napi::Value PageSize(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(sysconf(_SC_PAGESIZE)));
}

// ---- What the headers said, for the tests ---------------------------------------------------------------------------

Napi::Object Pair(Napi::Env env, const char* first, double a, const char* second, double b) {
  Napi::Object object = Napi::Object::New(env);
  object.Set(first, a);
  object.Set(second, b);
  return object;
}

Napi::Value Layout(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();

  Napi::Object structs = Napi::Object::New(env);
  Napi::Object fields = Napi::Object::New(env);
  for (const Row& row : kRows) {
    double bytes = static_cast<double>(row.bytes);
    if (row.field != nullptr) {
      fields.Set(row.field, Pair(env, "offset", static_cast<double>(row.offset), "size", bytes));
      continue;
    }
    Napi::Object structure = Napi::Object::New(env);
    fields = Napi::Object::New(env);
    structure.Set("size", bytes);
    structure.Set("fields", fields);
    structs.Set(row.structure, structure);
  }

  Napi::Object calls = Napi::Object::New(env);
  for (uint32_t distance = 0; distance < kCallCount; distance++) {
    const Call& call = kCalls[distance];
    if (call.name == nullptr) continue;
    calls.Set(call.name, Pair(env, "request", static_cast<double>(call.request), "distance", distance));
  }

  Napi::Object constants = Napi::Object::New(env);
#define CONSTANT(name) constants.Set(#name, static_cast<double>(name))
  CONSTANT(VFIO_API_VERSION);
  CONSTANT(VFIO_BASE);
  CONSTANT(VFIO_TYPE1_IOMMU);
  CONSTANT(VFIO_SPAPR_TCE_IOMMU);
  CONSTANT(VFIO_TYPE1v2_IOMMU);
  CONSTANT(VFIO_SPAPR_TCE_v2_IOMMU);
  CONSTANT(VFIO_NOIOMMU_IOMMU);
  CONSTANT(VFIO_GROUP_FLAGS_VIABLE);
  CONSTANT(VFIO_GROUP_FLAGS_CONTAINER_SET);
  CONSTANT(VFIO_IOMMU_SPAPR_INFO_DDW);
  CONSTANT(VFIO_DMA_MAP_FLAG_READ);
  CONSTANT(VFIO_DMA_MAP_FLAG_WRITE);
  CONSTANT(VFIO_DMA_UNMAP_FLAG_ALL);
  CONSTANT(VFIO_IOMMU_INFO_PGSIZES);
  CONSTANT(VFIO_IOMMU_INFO_CAPS);
  CONSTANT(VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
  CONSTANT(VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL);
#undef CONSTANT

  Napi::Object layout = Napi::Object::New(env);
  layout.Set("structs", structs);
  layout.Set("calls", calls);
  layout.Set("constants", constants);
  return layout;
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("open", Napi::Function::New<Open>(env, "open"));
  exports.Set("close", Napi::Function::New<Close>(env, "close"));
  exports.Set("ioctl", Napi::Function::New<Ioctl>(env, "ioctl"));
  exports.Set("ioctlStruct", Napi::Function::New<IoctlStruct>(env, "ioctlStruct"));
  exports.Set("ioctlBatch", Napi::Function::New<IoctlBatch>(env, "ioctlBatch"));
  exports.Set("mmap", Napi::Function::New<Mmap>(env, "mmap"));
  exports.Set("munmap", Napi::Function::New<Munmap>(env, "munmap"));
  exports.Set("view", Napi::Function::New<View>(env, "view"));
  exports.Set("detach", Napi::Function::New<Detach>(env, "detach"));
  exports.Set("pageSize", Napi::Function::New<PageSize>(env, "pageSize"));
  exports.Set("layout", Napi::Function::New<Layout>(env, "layout"));
  return exports;
}

}  // namespace

NODE_API_MODULE(vfio_shim, Init)
