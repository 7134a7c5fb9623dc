// The streams that are open in a thread: sockets, pipes, terminals. One may have the bare address of memory that it will read
// into, and no request says so.

#ifndef DMA_WINDOW_SHIM_STREAMS_H_
#define DMA_WINDOW_SHIM_STREAMS_H_

#include <node_api.h>

#include <algorithm>
#include <vector>

// Of libuv, as it is through all of version 1: uv.h is not among Node-API's headers. Weak, because engines whose loop is another
// have not all of them, and the shim has to load there too.
extern "C" {
typedef struct uv_handle_s uv_handle_t;
__attribute__((weak)) void uv_walk(struct uv_loop_s* loop, void (*visit)(uv_handle_t*, void*), void* argument);
__attribute__((weak)) int uv_handle_get_type(const uv_handle_t* handle);
__attribute__((weak)) int uv_is_closing(const uv_handle_t* handle);
__attribute__((weak)) int uv_has_ref(const uv_handle_t* handle);
__attribute__((weak)) void uv_ref(uv_handle_t* handle);
__attribute__((weak)) void uv_unref(uv_handle_t* handle);
}

namespace {

class Streams {
 public:
  explicit Streams(napi_env env) {
    bool has_all = uv_walk && uv_handle_get_type && uv_is_closing && uv_has_ref && uv_ref && uv_unref;
    if (!has_all || napi_get_uv_event_loop(env, &loop_) != napi_ok) loop_ = nullptr;
  }

  // Whether it can be said what is open: only where the loop is libuv's.
  bool are_known() const { return loop_ != nullptr; }

  // Whether any is open. Until Release each that is open keeps the program running, whatever that has told it, and none does
  // that is being closed: the engine lists those that do.
  bool Show() {
    uv_walk(loop_, &Streams::ShowOne, this);
    std::sort(turned_.begin(), turned_.end());
    return is_any_open_;
  }

  // Handles are told by their addresses, which are not followed: a program may have closed one meanwhile.
  void Release() {
    if (!turned_.empty()) uv_walk(loop_, &Streams::ReleaseOne, this);
  }

 private:
  // Of uv_handle_type. UDP is not among them: what a datagram is read into is the engine's own.
  enum : int { kNamedPipe = 7, kTcp = 12, kTty = 14 };

  static void ShowOne(uv_handle_t* handle, void* streams) {
    auto& self = *static_cast<Streams*>(streams);
    int type = uv_handle_get_type(handle);
    if (type != kNamedPipe && type != kTcp && type != kTty) return;
    bool is_open = !uv_is_closing(handle);
    self.is_any_open_ |= is_open;
    if (is_open == (uv_has_ref(handle) != 0)) return;
    Turn(handle);
    self.turned_.push_back(handle);
  }

  static void ReleaseOne(uv_handle_t* handle, void* streams) {
    const auto& turned = static_cast<Streams*>(streams)->turned_;
    if (std::binary_search(turned.begin(), turned.end(), handle)) Turn(handle);
  }

  static void Turn(uv_handle_t* handle) {
    if (uv_has_ref(handle)) uv_unref(handle);
    else uv_ref(handle);
  }

  struct uv_loop_s* loop_ = nullptr;
  bool is_any_open_ = false;
  std::vector<uv_handle_t*> turned_;
};

}  // namespace

#endif  // DMA_WINDOW_SHIM_STREAMS_H_
