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

#include <napi.h>

#ifdef DMA_WINDOW_STANDALONE
#include "standalone.h"
#endif

#include "calls.h"
#include "events.h"
#include "files.h"
#include "later.h"
#include "layout.h"
#include "memory.h"
#include "registers.h"
#include "views.h"

// exec is a checkout's: the package has no room for it, nor for its sources.
#if !defined(DMA_WINDOW_STANDALONE) && __has_include("exec_calls.h")
#define DMA_WINDOW_EXEC
#include "exec_calls.h"
#endif

namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  Files::Begin(env);
  exports.Set("open", Napi::Function::New<Open>(env, "open"));
  exports.Set("close", Napi::Function::New<Close>(env, "close"));
  exports.Set("ioctl", Napi::Function::New<Ioctl>(env, "ioctl"));
  exports.Set("ioctlStruct", Napi::Function::New<IoctlStruct>(env, "ioctlStruct"));
  exports.Set("ioctlBatch", Napi::Function::New<IoctlBatch>(env, "ioctlBatch"));
  exports.Set("ioctlLater", Napi::Function::New<IoctlLater>(env, "ioctlLater"));
  exports.Set("pread", Napi::Function::New<Pread>(env, "pread"));
  exports.Set("pwrite", Napi::Function::New<Pwrite>(env, "pwrite"));
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
  ExportRegisters(env, exports);
  ExportEvents(env, exports);
#ifdef DMA_WINDOW_EXEC
  ExportExec(env, exports);
#endif
  Files::StopAtEnd(env);
  return exports;
}

}  // namespace

NODE_API_MODULE(vfio_shim, Init)
