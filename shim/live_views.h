// Which views are alive, and what may reach their memory besides JavaScript.

#ifndef DMA_WINDOW_SHIM_LIVE_VIEWS_H_
#define DMA_WINDOW_SHIM_LIVE_VIEWS_H_

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <set>

namespace {

// The marks of the views whose memory an ArrayBuffer may still show, in any thread: a buffer can be moved into another
// one, and that one to another thread, and each of them leads to the same memory.
class LiveViews {
 public:
  // Never destroyed: a thread may still end while the process does.
  static LiveViews& Get() {
    static LiveViews& live = *new LiveViews;
    return live;
  }

  // A view is there from now on. Gives its mark, which no other one of this process ever has.
  uint64_t Add() {
    std::lock_guard<std::mutex> hold(mutex_);
    marks_.insert(++last_);
    return last_;
  }

  void Remove(uint64_t mark) {
    std::lock_guard<std::mutex> hold(mutex_);
    marks_.erase(mark);
  }

  bool Has(uint64_t mark) {
    std::lock_guard<std::mutex> hold(mutex_);
    return marks_.count(mark) != 0;
  }

 private:
  std::mutex mutex_;
  std::set<uint64_t> marks_;
  uint64_t last_ = 0;
};

// The last buffer over a view's memory is gone. In Node this runs in the thread that made the view, and also when that
// thread ends, whoever still has the memory; elsewhere it may run in any thread. So it uses nothing of the environment, and
// nobody but the thread that made the view asks for its mark.
void ViewIsGone(napi_env, void*, void* mark) { LiveViews::Get().Remove(reinterpret_cast<uint64_t>(mark)); }

// A weak hand on an object: whether it has been collected, and with it whatever was held through it.
void DropWeak(napi_env env, void* weak, void*) { napi_delete_reference(env, static_cast<napi_ref>(weak)); }

// More than V8 takes without collecting garbage at once, and less than its counter holds.
constexpr int64_t kMuchMemory = int64_t{1} << 36;

// The beginning of uv_loop_t, which libuv keeps as it is through all of version 1 (uv.h is not among Node-API's headers).
struct LoopHead {
  void* data;
  unsigned int active_handles;
  void* handle_queue[2];
  union {
    void* unused;
    unsigned int count;
  } active_reqs;
};

// How many requests libuv has in flight for this thread: reads, writes, work for its pool. Each may hold a bare pointer
// into a view. Only for engines whose loop is libuv's, which the caller knows.
uint64_t RequestsInFlight(napi_env env) {
  struct uv_loop_s* loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok || loop == nullptr) return UINT32_MAX;
  return reinterpret_cast<const LoopHead*>(loop)->active_reqs.count;
}

}  // namespace

#endif  // DMA_WINDOW_SHIM_LIVE_VIEWS_H_
