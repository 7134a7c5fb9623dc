// What a function of the shim returns.

#ifndef DMA_WINDOW_SHIM_ANSWERS_H_
#define DMA_WINDOW_SHIM_ANSWERS_H_

#include <napi.h>

#include <cerrno>

namespace {

// What a function returns after it has thrown.
Napi::Value Nothing() { return Napi::Value(); }

Napi::Value Answer(const Napi::CallbackInfo& info, int result) {
  return Napi::Number::New(info.Env(), result == -1 ? -errno : result);
}

}  // namespace

#endif  // DMA_WINDOW_SHIM_ANSWERS_H_
