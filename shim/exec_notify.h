// What a supervisor hears of its program, and answers. Most of it is none of its business (exec_judge.h), and answered here. All else goes
// to JavaScript, as one event of fixed layout.
//
// A program is read while it waits; whether it still does is asked after the last read (SECCOMP_IOCTL_NOTIF_ID_VALID), since its number may
// have become another's. What is answered here needs no such question: the answer goes to that very call, or to nobody (ENOENT).

#ifndef DMA_WINDOW_SHIM_EXEC_NOTIFY_H_
#define DMA_WINDOW_SHIM_EXEC_NOTIFY_H_

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "exec_event.h"
#include "exec_filter.h"
#include "exec_judge.h"
#include "exec_turn.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif
#ifndef SECCOMP_ADDFD_FLAG_SEND
#define SECCOMP_ADDFD_FLAG_SEND (1UL << 1)
#endif

namespace {

#ifndef DMA_WINDOW_NO_EXEC

class Supervisor {
 public:
  static Supervisor& Get() {
    static Supervisor& supervisor = *new Supervisor;
    return supervisor;
  }

  void Listen(int listener) {
    listener_ = listener;
    // Whoever asks waits for the answer: both on one processor, since Linux 6.6. Before, they take turns on two.
    ioctl(listener_, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
  }
  void WatchProcess(int pidfd) { processes_.push_back(pidfd); }

  Judge judge;

  // Answers what is nobody's business until there is an event, the time is over, or the program has gone.
  void Next(ExecEvent* event, int milliseconds) {
    if (holds_) {
      *event = held_;
      holds_ = false;
      return;
    }
    // A timer of 0 is none: who does not want to wait asks first whether there is something.
    bool has_turns = milliseconds > 0 && turn_.Begin(milliseconds);
    Receive(event, milliseconds, has_turns);
    if (has_turns) turn_.End();
    if (event->kind == ExecEvent::kNothing || event->kind == ExecEvent::kEnded || event->kind == ExecEvent::kNobody) return;
    // Who had ended by then ended before it was asked: a parent that has waited for its child, say.
    int ended = Poll(0) ? Ended() : -1;
    if (ended < 0) return;
    held_ = *event;
    holds_ = true;
    event->kind = ExecEvent::kEnded;
    event->detail = static_cast<uint32_t>(ended);
  }

  int Send(uint64_t id, int64_t value, bool goes_on) {
    struct seccomp_notif_resp response = {};
    response.id = id;
    if (goes_on) response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    else if (value < 0) response.error = static_cast<int32_t>(value);
    else response.val = value;
    return ioctl(listener_, SECCOMP_IOCTL_NOTIF_SEND, &response) == 0 ? 0 : -errno;
  }

  // A descriptor of the program that leads where `fd` does, which is its call's answer.
  int Give(uint64_t id, int fd, uint32_t flags) {
    struct seccomp_notif_addfd added = {};
    added.id = id;
    added.srcfd = static_cast<uint32_t>(fd);
    added.newfd_flags = flags & O_CLOEXEC;
    added.flags = SECCOMP_ADDFD_FLAG_SEND;
    int number = ioctl(listener_, SECCOMP_IOCTL_NOTIF_ADDFD, &added);
    if (number != -1 || errno != EINVAL) return number == -1 ? -errno : number;
    added.flags = 0;  // before Linux 5.14
    number = ioctl(listener_, SECCOMP_IOCTL_NOTIF_ADDFD, &added);
    if (number == -1) return -errno;
    int sent = Send(id, number, false);
    return sent < 0 ? sent : number;
  }

  bool IsWaiting(uint64_t id) const { return ioctl(listener_, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0; }

 private:
  void Receive(ExecEvent* event, int milliseconds, bool has_turns) {
    for (;;) {
      event->kind = ExecEvent::kNothing;
      if (has_turns && Turn::is_over()) {
        Turn::Renew();
        Wait(event, 0);
        return;
      }
      if (!has_turns && !Wait(event, milliseconds)) return;
      struct seccomp_notif asked = {};
      if (ioctl(listener_, SECCOMP_IOCTL_NOTIF_RECV, &asked) != 0) {
        int error = errno;
        if (error == EINTR && has_turns) continue;
        // The one that asked has been killed; or nobody is left, of which RECV knows since Linux 6.11.
        if (error == ENOENT || error == EINTR) Wait(event, milliseconds);
        else event->kind = ExecEvent::kNobody;
        return;
      }
      event->id = asked.id;
      event->thread = asked.pid;
      memcpy(event->arguments, asked.data.args, sizeof event->arguments);
      event->instruction = asked.data.instruction_pointer;
      event->bytes = 0;
      event->detail = 0;
      int answer = judge.Of(event, asked.data.nr);
      if (answer == Judge::kAsk) {
        event->released = event->kind != ExecEvent::kMemory && event->kind != ExecEvent::kExec ? judge.Released() : 0;
        return;
      }
      bool goes_on = answer == Judge::kContinue;
      Send(asked.id, goes_on ? 0 : answer, goes_on);
    }
  }

  // False when there is nothing to receive: then `event` says why.
  bool Wait(ExecEvent* event, int milliseconds) {
    if (!Poll(milliseconds)) return false;
    // What a process asked before it ended comes first.
    if ((waiting_[0].revents & POLLIN) != 0) return true;
    int ended = Ended();
    if (ended >= 0) {
      event->kind = ExecEvent::kEnded;
      event->detail = static_cast<uint32_t>(ended);
    } else if ((waiting_[0].revents & (POLLHUP | POLLERR)) != 0) {
      event->kind = ExecEvent::kNobody;
    }
    return false;
  }

  bool Poll(int milliseconds) {
    waiting_.clear();
    waiting_.push_back({listener_, POLLIN, 0});
    for (int process : processes_) waiting_.push_back({process, POLLIN, 0});
    struct timespec time = {milliseconds / 1000, (milliseconds % 1000) * 1000000L};
    return syscall(SYS_ppoll, waiting_.data(), waiting_.size(), &time, nullptr, 0) > 0;
  }

  // A process of which the last Poll found that it had ended, which is not watched any more; or -1.
  int Ended() {
    for (size_t index = 1; index < waiting_.size(); index++) {
      if (waiting_[index].revents == 0) continue;
      processes_.erase(processes_.begin() + static_cast<std::ptrdiff_t>(index - 1));
      return waiting_[index].fd;
    }
    return -1;
  }

  int listener_ = -1;
  Turn turn_;
  // An event that comes after the end of a process.
  ExecEvent held_;
  bool holds_ = false;
  std::vector<int> processes_;
  std::vector<struct pollfd> waiting_;
};

#endif  // DMA_WINDOW_NO_EXEC

}  // namespace

#endif  // DMA_WINDOW_SHIM_EXEC_NOTIFY_H_
