// Memory as ArrayBuffers, and what is known of their end.

#ifndef DMA_WINDOW_SHIM_VIEWS_H_
#define DMA_WINDOW_SHIM_VIEWS_H_

#include <napi.h>

#include <cstdint>
#include <cstring>

#include "answers.h"
#include "arguments.h"
#include "live_views.h"
#include "streams.h"

namespace {

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

}  // namespace

#endif  // DMA_WINDOW_SHIM_VIEWS_H_
