// How long a thread receives what programs ask. It sleeps in the very call that receives, which nothing ends but a program that asks, or a signal:
// to sleep in ppoll before each of those calls, until there is something to receive, takes a microsecond more.
//
// So a timer of the thread's own gives it a signal now and then, for as long as it receives, and its turn is over. A signal that comes
// between the look at `is_over` and the call ends no call; the next one does.

#ifndef DMA_WINDOW_SHIM_EXEC_TURN_H_
#define DMA_WINDOW_SHIM_EXEC_TURN_H_

#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>

namespace {

class Turn {
 public:
  // From here on the thread that calls this hears the signal, every so many milliseconds. False where there is no timer to be had.
  bool Begin(int milliseconds) {
    if (milliseconds != milliseconds_ && !Every(milliseconds)) return false;
    Mask(SIG_UNBLOCK);
    return true;
  }

  // And no more: no call of Node's is to end early.
  void End() { Mask(SIG_BLOCK); }

  static bool is_over() { return over_.load(std::memory_order_relaxed); }
  static void Renew() { over_.store(false, std::memory_order_relaxed); }

 private:
  // Of those that mean nothing; the C library and Node use none of the last ones.
  static constexpr int kSignal = 60;

  static void Mask(int how) {
    uint64_t signals = uint64_t{1} << (kSignal - 1);
    syscall(SYS_rt_sigprocmask, how, &signals, nullptr, sizeof signals);
  }

  bool Every(int milliseconds) {
    if (!has_timer_) {
      Mask(SIG_BLOCK);
      struct sigaction heard = {};
      heard.sa_handler = [](int) { over_.store(true, std::memory_order_relaxed); };
      if (sigaction(kSignal, &heard, nullptr) != 0) return false;  // without SA_RESTART: the call ends
      struct sigevent event = {};
      event.sigev_notify = SIGEV_THREAD_ID;
      event.sigev_signo = kSignal;
      int thread = static_cast<int>(syscall(SYS_gettid));
      memcpy(&event._sigev_un, &thread, sizeof thread);
      // Not the C library's, which is in another file of it before glibc 2.34.
      if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer_) != 0) return false;
      has_timer_ = true;
    }
    struct timespec each = {milliseconds / 1000, (milliseconds % 1000) * 1000000L};
    struct itimerspec times = {each, each};
    if (syscall(SYS_timer_settime, timer_, 0, &times, nullptr) != 0) return false;
    milliseconds_ = milliseconds;
    return true;
  }

  static inline std::atomic<bool> over_{false};
  int timer_ = -1;  // the kernel's timer_t
  int milliseconds_ = 0;
  bool has_timer_ = false;
};

}  // namespace

#endif  // DMA_WINDOW_SHIM_EXEC_TURN_H_
