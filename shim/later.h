// Calls that take seconds, on a thread of the engine's pool: opening a device, and resets.

#ifndef DMA_WINDOW_SHIM_LATER_H_
#define DMA_WINDOW_SHIM_LATER_H_

#include <napi.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "answers.h"
#include "arguments.h"
#include "files.h"
#include "vfio_calls.h"

namespace {

// One call on its way. The kernel is given a copy of the struct: JavaScript runs meanwhile, and may move its own, or let it shrink.
class Later {
 public:
  Later(napi_env env, int fd, const Call& call, uint64_t argument)
      : env_(env), fd_(fd), call_(call), argument_(argument) {}

  // The promise of its answer, null where there is none to be had; it belongs to itself then.
  napi_value Begin(napi_env env, napi_value array, const Memory& memory) {
    napi_value promise = nullptr;
    napi_value name = nullptr;
    if (memory.data != nullptr) copy_.assign(memory.data, memory.data + memory.length);
    if (call_.in_memory() && napi_create_reference(env, array, 1, &array_) != napi_ok) return nullptr;
    if (napi_create_string_utf8(env, "dma-window ioctl", NAPI_AUTO_LENGTH, &name) != napi_ok ||
        napi_create_promise(env, &deferred_, &promise) != napi_ok ||
        napi_create_async_work(env, nullptr, name, Make, Answer, this, &work_) != napi_ok ||
        napi_queue_async_work(env, work_) != napi_ok) {
      Drop(env);
      return nullptr;
    }
    return promise;
  }

 private:
  // In a thread of the pool.
  static void Make(napi_env, void* later) {
    auto& self = *static_cast<Later*>(later);
    int result = self.call_.in_memory() ? ioctl(self.fd_, self.call_.request, self.copy_.data())
                                        : ioctl(self.fd_, self.call_.request, self.argument_);
    self.answer_ = result == -1 ? -errno : result;
  }

  // In the thread of the environment, which may be at its end: then nobody hears of it.
  static void Answer(napi_env env, napi_status, void* later) {
    std::unique_ptr<Later> self(static_cast<Later*>(later));
    napi_value number = nullptr;
    self->CopyBack(env);
    // Its own also where nobody hears of it: then it is closed with it.
    if (self->call_.gives_device()) Files::Get().Add(self->env_, self->answer_, true);
    if (napi_create_int32(env, self->answer_, &number) == napi_ok) napi_resolve_deferred(env, self->deferred_, number);
    self->Drop(env);
  }

  // What the kernel has written, if the caller's array is still as long as it was.
  void CopyBack(napi_env env) {
    napi_value array = nullptr;
    void* data = nullptr;
    size_t length = 0;
    if (array_ == nullptr || napi_get_reference_value(env, array_, &array) != napi_ok || array == nullptr) return;
    if (napi_get_typedarray_info(env, array, nullptr, &length, &data, nullptr, nullptr) != napi_ok) return;
    if (length == copy_.size() && data != nullptr) memcpy(data, copy_.data(), length);
  }

  void Drop(napi_env env) {
    if (array_ != nullptr) napi_delete_reference(env, array_);
    if (work_ != nullptr) napi_delete_async_work(env, work_);
  }

  napi_env env_;
  int fd_;
  const Call& call_;
  uint64_t argument_;
  int answer_ = -ECANCELED;
  std::vector<unsigned char> copy_;
  napi_ref array_ = nullptr;
  napi_async_work work_ = nullptr;
  napi_deferred deferred_ = nullptr;
};

Napi::Value IoctlLater(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  int fd = arguments.Fd(0);
  const Call& call = arguments.VfioCall(1);
  Memory memory = {nullptr, 0};
  uint64_t argument = 0;
  if (call.in_memory()) {
    memory = arguments.Bytes(2);
    arguments.CheckMemory(call, memory, 0);
  } else {
    if (!info[2].IsUndefined()) arguments.RefuseType("VFIO_%s takes no struct", call.name);
    argument = arguments.Argument(3, call);
  }
  if (arguments.refused()) return Nothing();
  auto later = std::make_unique<Later>(info.Env(), fd, call, argument);
  napi_value promise = later->Begin(info.Env(), info[2], memory);
  if (promise == nullptr) {
    napi_throw_error(info.Env(), "ERR_SHIM_FAILED", "the engine has no thread for a call");
    return Nothing();
  }
  later.release();
  return Napi::Value(info.Env(), promise);
}

}  // namespace

#endif  // DMA_WINDOW_SHIM_LATER_H_
