// The shim: checks its arguments, makes the system call, returns the result or -errno. It decides nothing.
//
// arguments.h checks the kind and range of every argument, and that the struct that the kernel is about to read and write
// lies inside the caller's memory. What cannot be checked, and is therefore trusted, is written down in shim/README.md.
//
// Every number that differs between architectures (requests, sizes, flags) is a constant of the headers that it was
// compiled with; vfio_layout.h holds VFIO's. The one mutable state is which views are alive (views.h): any number of
// environments (worker threads) may use the shim at once.

// A thread can be ended while it loads the shim, or in the middle of a call: no exception can be thrown then, which must not end
// the process.
#define NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS

#include <fcntl.h>
#include <limits.h>
#include <linux/mempolicy.h>
#include <napi.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "arguments.h"
#include "presence.h"
#include "streams.h"
#include "vfio_layout.h"
#include "views.h"

namespace {

// The bits that src/syscalls.ts calls Protection and MapFlag.
enum : uint32_t { kRead = 1, kWrite = 2, kAllProtection = 3 };
enum : uint32_t { kFixed = 1, kFixedNoReplace = 2, kPopulate = 4, kNoReserve = 8, kHugetlb = 16, kAllMapFlags = 31 };

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
  if (call.in_memory()) arguments.RefuseType("VFIO_%s takes a struct: use ioctlStruct", call.name);
  uint64_t value = arguments.Integer(2, "argument", call.argument == Argument::kNone ? 0 : UINT32_MAX);
  if (arguments.refused()) return Nothing();
  return Answer(info, ioctl(fd, call.request, value));
}

Napi::Value IoctlStruct(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  int fd = arguments.Fd(0);
  const Call& call = arguments.VfioCall(1);
  if (!call.in_memory()) arguments.RefuseType("VFIO_%s takes no struct: use ioctl", call.name);
  Memory memory = arguments.Bytes(2);
  uint64_t offset = arguments.Offset(3, "offset");
  if (call.argument == Argument::kName) arguments.CheckName(call, memory, offset);
  else arguments.CheckStruct(call, memory, offset);
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

// The longest view: what a typed array of Node 20 (V8 11.3) can hold. Later versions hold more; ours stays the same.
constexpr uint64_t kLongestView = uint64_t{1} << 32;

Napi::Value View(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  uint64_t address = arguments.U64(0, "address");
  uint64_t length = arguments.U64(1, "length");
  // A view of no bytes could not be told from one that has ended.
  arguments.CheckRange(address, length, kLongestView);
  bool is_marked = !info[2].IsUndefined();
  Memory marked = is_marked ? arguments.Bytes(2) : Memory{nullptr, 0};
  if (is_marked && marked.length != sizeof(uint64_t)) arguments.RefuseRange("mark must have 8 bytes");
  if (arguments.refused()) return Nothing();

  // The memory is the caller's. The finalizer does not touch it, and notes that nobody sees it any more.
  uint64_t mark = LiveViews::Get().Add();
  if (is_marked) memcpy(marked.data, &mark, sizeof mark);
  napi_value buffer;
  napi_status status = napi_create_external_arraybuffer(info.Env(), reinterpret_cast<void*>(address), length,
                                                        ViewIsGone, reinterpret_cast<void*>(mark), &buffer);
  if (status == napi_ok) return Napi::Value(info.Env(), buffer);
  LiveViews::Get().Remove(mark);
  bool pending = false;
  napi_is_exception_pending(info.Env(), &pending);
  if (pending) return Nothing();
  if (status == napi_no_external_buffers_allowed) {
    napi_throw_error(info.Env(), "ERR_NO_EXTERNAL_BUFFERS", "this engine makes no ArrayBuffer over memory of others");
  } else {
    napi_throw_error(info.Env(), "ERR_SHIM_FAILED", "Node made no ArrayBuffer over the memory");
  }
  return Nothing();
}

Napi::Value IsSeen(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  uint64_t mark = arguments.U64(0, "mark");
  if (arguments.refused()) return Nothing();
  return Napi::Boolean::New(info.Env(), LiveViews::Get().Has(mark));
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

// A value that IsCollected takes, and nothing else does.
Napi::Value Weak(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  bool is_buffer = false;
  napi_is_arraybuffer(info.Env(), info[0], &is_buffer);
  napi_ref weak = nullptr;
  napi_value handle = nullptr;
  if (!is_buffer || napi_create_reference(info.Env(), info[0], 0, &weak) != napi_ok) {
    arguments.RefuseType("buffer must be an ArrayBuffer");
  } else if (napi_create_external(info.Env(), weak, DropWeak, nullptr, &handle) != napi_ok) {
    DropWeak(info.Env(), weak, nullptr);
    arguments.RefuseType("buffer must be one that can be watched");
  }
  if (arguments.refused()) return Nothing();
  return Napi::Value(info.Env(), handle);
}

Napi::Value IsCollected(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  void* weak = nullptr;
  napi_value object = nullptr;
  if (napi_get_value_external(info.Env(), info[0], &weak) != napi_ok ||
      napi_get_reference_value(info.Env(), static_cast<napi_ref>(weak), &object) != napi_ok) {
    arguments.RefuseType("weak must be what weak gave");
    return Nothing();
  }
  return Napi::Boolean::New(info.Env(), object == nullptr);
}

// Has the engine collect garbage now, by what it is told of memory that its objects hold outside.
Napi::Value Collect(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  int64_t bytes = static_cast<int64_t>(arguments.Integer(0, "bytes", kMuchMemory));
  if (arguments.refused()) return Nothing();
  int64_t now = 0;
  napi_adjust_external_memory(info.Env(), bytes, &now);
  napi_adjust_external_memory(info.Env(), -bytes, &now);
  return Nothing();
}

Napi::Value IsBusy(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  uint64_t most = arguments.Integer(0, "most", UINT32_MAX);
  if (arguments.refused()) return Nothing();
  return Napi::Boolean::New(info.Env(), RequestsInFlight(info.Env()) > most);
}

// What `list` gives, called while the engine lists every open stream; undefined where none is open, and null where nobody can
// say.
Napi::Value OpenStreams(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  if (!info[0].IsFunction()) arguments.RefuseType("list must be a function");
  if (arguments.refused()) return Nothing();
  Streams streams(info.Env());
  if (!streams.are_known()) return info.Env().Null();
  napi_value listed = info.Env().Undefined();
  if (streams.Show()) {
    napi_call_function(info.Env(), info.Env().Undefined(), info[0], 0, nullptr, &listed);  // what it throws goes on
  }
  streams.Release();
  return Napi::Value(info.Env(), listed);
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
  // What came with a later Linux than 4.19 is there if the header knows it: nothing here needs it.
#ifdef VFIO_DMA_UNMAP_FLAG_ALL  // Linux 5.12
  CONSTANT(VFIO_DMA_UNMAP_FLAG_ALL);
#endif
  CONSTANT(VFIO_IOMMU_INFO_PGSIZES);
#ifdef VFIO_IOMMU_INFO_CAPS  // Linux 5.4
  CONSTANT(VFIO_IOMMU_INFO_CAPS);
#endif
#ifdef VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE  // Linux 5.4
  CONSTANT(VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
#endif
#ifdef VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL  // Linux 5.10
  CONSTANT(VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL);
#endif
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
  exports.Set("bindNode", Napi::Function::New<BindNode>(env, "bindNode"));
  exports.Set("view", Napi::Function::New<View>(env, "view"));
  exports.Set("detach", Napi::Function::New<Detach>(env, "detach"));
  exports.Set("isSeen", Napi::Function::New<IsSeen>(env, "isSeen"));
  exports.Set("isBusy", Napi::Function::New<IsBusy>(env, "isBusy"));
  exports.Set("openStreams", Napi::Function::New<OpenStreams>(env, "openStreams"));
  exports.Set("weak", Napi::Function::New<Weak>(env, "weak"));
  exports.Set("isCollected", Napi::Function::New<IsCollected>(env, "isCollected"));
  exports.Set("collect", Napi::Function::New<Collect>(env, "collect"));
  exports.Set("populate", Napi::Function::New<Populate>(env, "populate"));
  exports.Set("read", Napi::Function::New<Read>(env, "read"));
  exports.Set("write", Napi::Function::New<Write>(env, "write"));
  exports.Set("addressOf", Napi::Function::New<AddressOf>(env, "addressOf"));
  exports.Set("pageSize", Napi::Function::New<PageSize>(env, "pageSize"));
  exports.Set("layout", Napi::Function::New<Layout>(env, "layout"));
  return exports;
}

}  // namespace

NODE_API_MODULE(vfio_shim, Init)
