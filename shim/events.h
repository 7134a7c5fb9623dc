// Eventfds, and who hears of them. One thread for each environment that listens waits for all of its eventfds (epoll) and
// has JavaScript called by a threadsafe function: the same on every engine, where a poll of libuv's is there in Node alone, and
// has to be closed before its thread ends, which a thread that is terminated does not wait for.
//
//     the waiting thread           epoll_wait: eventfd 7 counts  ->  a call is queued; 7 is not looked at any more
//     the environment's thread     the call: reads 7, calls the listener, has 7 looked at again
//
// So what comes meanwhile is one call more, and nothing is read before there is somebody to hear it.

#ifndef DMA_WINDOW_SHIM_EVENTS_H_
#define DMA_WINDOW_SHIM_EVENTS_H_

#include <fcntl.h>
#include <napi.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>

#include "answers.h"
#include "arguments.h"
#include "calls.h"
#include "target.h"

namespace {

// What an eventfd counted; 0 where it is 0; -errno.
double TakeFrom(int fd) {
  uint64_t count = 0;
  ssize_t bytes = read(fd, &count, sizeof count);
  if (bytes == sizeof count) return static_cast<double>(count);
  if (bytes >= 0) return -EINVAL;  // something else's
  return errno == EAGAIN ? 0 : -errno;
}

// Of one environment. All but Wait is its thread's alone.
class Events {
 public:
  // Lives until the environment ends.
  static Events* Of(napi_env env) {
    auto* events = new Events(env);
    napi_add_env_cleanup_hook(env, [](void* ended) { static_cast<Events*>(ended)->Leave(); }, events);
    return events;
  }

  // The listener's number, from 1, or -errno.
  int64_t Listen(int fd, napi_value callback) {
    int own = OwnOf(fd);  // the caller's may be closed, and its number be another one's, while it is listened to
    if (own < 0) return own;
    uint64_t number = last_ + 1;
    Listener listener = {own, nullptr, false};
    int fault = Start();
    if (fault == 0 && napi_create_reference(env_, callback, 1, &listener.callback) != napi_ok) fault = -ENOMEM;
    if (fault == 0) fault = Watch(EPOLL_CTL_ADD, own, number);
    if (fault != 0) {
      if (listener.callback != nullptr) napi_delete_reference(env_, listener.callback);
      close(own);
      if (listeners_.empty()) Stop();
      return fault;
    }
    last_ = number;
    listeners_.emplace(number, listener);
    Hold(number, true);
    return static_cast<int64_t>(number);
  }

  // Whether the event loop is kept alive for a listener; of one that has ended, nothing.
  void Hold(uint64_t number, bool holds) {
    auto found = listeners_.find(number);
    if (found == listeners_.end() || found->second.holds == holds) return;
    found->second.holds = holds;
    holding_ += holds ? 1 : -1;
    if (holds && holding_ == 1) napi_ref_threadsafe_function(env_, call_);
    if (!holds && holding_ == 0) napi_unref_threadsafe_function(env_, call_);
  }

  void End(uint64_t number) {
    auto found = listeners_.find(number);
    if (found == listeners_.end()) return;
    Hold(number, false);
    napi_delete_reference(env_, found->second.callback);
    close(found->second.fd);  // with which epoll forgets it: nobody else has this descriptor
    listeners_.erase(found);
    if (listeners_.empty()) Stop();
  }

 private:
  struct Listener {
    int fd;
    napi_ref callback;
    bool holds;
  };

  explicit Events(napi_env env) : env_(env) {}

  // Each hook of the environment's end calls this once.
  void Leave() {
    if (--hooks_ == 0) delete this;
  }

  // Another descriptor of the same eventfd; -EINVAL for what is none, or may block, as VFIO answers.
  static int OwnOf(int fd) {
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0) return -errno;
    Target target(own);
    if ((target.is_eventfd() || !target.is_known()) && (fcntl(own, F_GETFL) & O_NONBLOCK) != 0) return own;
    close(own);
    return -EINVAL;
  }

  // 0, or -errno.
  int Start() {
    if (epoll_ >= 0) return 0;
    if (call_ == nullptr && !MakeCall()) return -ENOMEM;
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    stop_ = epoll_ < 0 ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int fault = stop_ < 0 ? -errno : Watch(EPOLL_CTL_ADD, stop_, 0);
    if (fault == 0) {
      // No signal of the process is handled there.
      sigset_t all;
      sigset_t before;
      sigfillset(&all);
      pthread_sigmask(SIG_SETMASK, &all, &before);
      fault = -pthread_create(&thread_, nullptr, Wait, this);
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      is_waiting_ = fault == 0;
    }
    if (fault != 0) Stop();
    return fault;
  }

  // The thread is at its end when this returns: it never waits for JavaScript.
  void Stop() {
    if (is_waiting_) {
      eventfd_write(stop_, 1);
      pthread_join(thread_, nullptr);
      is_waiting_ = false;
    }
    if (stop_ >= 0) close(stop_);
    if (epoll_ >= 0) close(epoll_);
    epoll_ = stop_ = -1;
  }

  bool MakeCall() {
    napi_value name = nullptr;
    if (napi_create_string_utf8(env_, "dma-window events", NAPI_AUTO_LENGTH, &name) != napi_ok ||
        napi_create_threadsafe_function(env_, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this, OnEvent, &call_) !=
            napi_ok) {
      return false;
    }
    napi_unref_threadsafe_function(env_, call_);
    // Hooks are called in the opposite order: this one before that of the threadsafe function, which must not be called any
    // more once it is gone.
    hooks_++;
    napi_add_env_cleanup_hook(env_, [](void* events) { static_cast<Events*>(events)->Finish(); }, this);
    return true;
  }

  void Finish() {
    Stop();
    for (const auto& [number, listener] : listeners_) close(listener.fd);
    listeners_.clear();
    napi_release_threadsafe_function(call_, napi_tsfn_release);
    Leave();
  }

  int Watch(int how, int fd, uint64_t number) {
    epoll_event wanted = {};
    wanted.events = EPOLLIN | EPOLLONESHOT;
    wanted.data.u64 = number;
    return epoll_ctl(epoll_, how, fd, &wanted) == 0 ? 0 : -errno;
  }

  static void* Wait(void* events) {
    const auto& self = *static_cast<const Events*>(events);
    for (;;) {
      epoll_event counting[64];
      int count = epoll_wait(self.epoll_, counting, 64, -1);
      if (count < 0 && errno != EINTR) return nullptr;
      for (int index = 0; index < count; index++) {
        uint64_t number = counting[index].data.u64;
        if (number == 0) return nullptr;
        napi_call_threadsafe_function(self.call_, reinterpret_cast<void*>(number), napi_tsfn_nonblocking);
      }
    }
  }

  // `env` is null where the environment is at its end, and `events` may be gone.
  static void OnEvent(napi_env env, napi_value, void* events, void* number) {
    if (env != nullptr) static_cast<Events*>(events)->Tell(reinterpret_cast<uint64_t>(number));
  }

  void Tell(uint64_t number) {
    auto found = listeners_.find(number);
    if (found == listeners_.end()) return;
    double count = TakeFrom(found->second.fd);
    if (count > 0) Call(found->second.callback, count);
    // The listener may have ended itself, and others.
    found = listeners_.find(number);
    if (found != listeners_.end()) Watch(EPOLL_CTL_MOD, found->second.fd, number);
  }

  // What it throws is an exception that nobody caught, as of every callback: the engine's own way for threadsafe functions is a
  // warning in Node, and nothing more.
  void Call(napi_ref callback, double count) {
    Napi::HandleScope scope(env_);
    napi_value function = nullptr;
    napi_value receiver = nullptr;
    napi_value argument = nullptr;
    napi_value error = nullptr;
    if (napi_get_reference_value(env_, callback, &function) != napi_ok || function == nullptr) return;
    if (napi_get_undefined(env_, &receiver) != napi_ok || napi_create_double(env_, count, &argument) != napi_ok) return;
    if (napi_call_function(env_, receiver, function, 1, &argument, nullptr) == napi_ok) return;
    bool is_pending = false;
    if (napi_is_exception_pending(env_, &is_pending) != napi_ok || !is_pending) return;
    if (napi_get_and_clear_last_exception(env_, &error) == napi_ok) napi_fatal_exception(env_, error);
  }

  napi_env env_;
  int hooks_ = 1;
  napi_threadsafe_function call_ = nullptr;
  std::map<uint64_t, Listener> listeners_;
  uint64_t last_ = 0;
  int holding_ = 0;
  int epoll_ = -1;
  int stop_ = -1;
  bool is_waiting_ = false;
  pthread_t thread_ = {};
};

Events& EventsOf(const Napi::CallbackInfo& info) { return *static_cast<Events*>(info.Data()); }

Napi::Value Eventfd(const Napi::CallbackInfo& info) { return Opened(info, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

Napi::Value TakeEvents(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  int fd = arguments.Fd(0);
  if (arguments.refused()) return Nothing();
  return Napi::Number::New(info.Env(), TakeFrom(fd));
}

Napi::Value Listen(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  int fd = arguments.Fd(0);
  if (!info[1].IsFunction()) arguments.RefuseType("listener must be a function");
  if (arguments.refused()) return Nothing();
  return Napi::Number::New(info.Env(), static_cast<double>(EventsOf(info).Listen(fd, info[1])));
}

// The number that Listen gave.
uint64_t ListenerIn(Arguments& arguments) { return arguments.Integer(0, "listening", (uint64_t{1} << 53) - 1); }

Napi::Value EndListening(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  uint64_t number = ListenerIn(arguments);
  if (!arguments.refused()) EventsOf(info).End(number);
  return Nothing();
}

Napi::Value HoldLoop(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  uint64_t number = ListenerIn(arguments);
  uint64_t holds = arguments.Integer(1, "holds", 1);
  if (!arguments.refused()) EventsOf(info).Hold(number, holds != 0);
  return Nothing();
}

void ExportEvents(Napi::Env env, Napi::Object exports) {
  Events* events = Events::Of(env);
  exports.Set("eventfd", Napi::Function::New<Eventfd>(env, "eventfd"));
  exports.Set("takeEvents", Napi::Function::New<TakeEvents>(env, "takeEvents"));
  exports.Set("listen", Napi::Function::New<Listen>(env, "listen", events));
  exports.Set("endListening", Napi::Function::New<EndListening>(env, "endListening", events));
  exports.Set("holdLoop", Napi::Function::New<HoldLoop>(env, "holdLoop", events));
}

}  // namespace

#endif  // DMA_WINDOW_SHIM_EVENTS_H_
