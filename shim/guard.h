// The guard of the accesses: memory of a device that is switched off, in D3, reset or gone answers a mapped access with SIGBUS
// (drivers/vfio/pci/vfio_pci_core.c: vfio_pci_mmap_fault and its successors), which would end the process.
//
// The handler knows its own signals by the instruction that raised them, so it needs no state and no lock. Every other SIGBUS
// goes where it would have gone without it: to the handler that was there before, or to the default, which ends the process.

#ifndef DMA_WINDOW_SHIM_GUARD_H_
#define DMA_WINDOW_SHIM_GUARD_H_

#include <signal.h>

#include <atomic>
#include <cstdint>
#include <mutex>

#include "access.h"
#include "pinned.h"

#if KNOWS_REGISTERS
namespace {

// As much as a kernel's sigaction says of what was there before. It never changes once it can be seen from the handler.
struct Before {
  struct sigaction action;
  // SA_RESETHAND: it is called once.
  std::atomic<bool> is_spent;
};

class Guard {
 public:
  // In place from now on, unless somebody else's handler has taken its place since: that one decides then what becomes of the
  // signal, ours is called where it passes it on, and to put it back could make a circle of the two.
  static void Keep() {
    static std::mutex& mutex = *new std::mutex;
    std::lock_guard<std::mutex> hold(mutex);
    struct sigaction now = {};
    if (sigaction(SIGBUS, nullptr, &now) != 0 || IsOurs(now)) return;
    bool has_none = (now.sa_flags & SA_SIGINFO) == 0 && (now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN);
    if (before_.load() != nullptr && !has_none) return;
    if (!Pin(dma_window_accesses)) return;
    // Never freed: a handler may be looking at the former one.
    before_.store(new Before{now, {false}});
    struct sigaction ours = now;
    ours.sa_sigaction = Handle;
    // The mask, and whether it may be interrupted by itself, as whoever was before wants it.
    ours.sa_flags = (now.sa_flags & ~SA_RESETHAND) | SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGBUS, &ours, nullptr);
  }

 private:
  static bool IsOurs(const struct sigaction& action) {
    return (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == Handle;
  }

  static void Handle(int signal, siginfo_t* info, void* context) {
    auto& thread = *static_cast<ucontext_t*>(context);
    uint64_t place = PlaceOf(thread);
    bool is_access = place >= reinterpret_cast<uint64_t>(dma_window_accesses) &&
                     place < reinterpret_cast<uint64_t>(dma_window_accesses_end);
    // One that was sent (kill) may come in the middle of an access too.
    if (is_access && IsOfThisInstruction(*info)) GoOnAt(thread, reinterpret_cast<uint64_t>(dma_window_failed));
    else PassOn(signal, info, context);
  }

  // Of the kernel, and not BUS_MCEERR_AO: a page that has gone bad somewhere else.
  static bool IsOfThisInstruction(const siginfo_t& info) { return info.si_code > 0 && info.si_code != BUS_MCEERR_AO; }

  static void PassOn(int signal, siginfo_t* info, void* context) {
    Before& before = *before_.load();
    const struct sigaction& action = before.action;
    bool is_spent = (action.sa_flags & SA_RESETHAND) != 0 && before.is_spent.exchange(true);
    if (!is_spent && (action.sa_flags & SA_SIGINFO) != 0) return action.sa_sigaction(signal, info, context);
    bool is_handler = action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN;
    if (!is_spent && is_handler) return action.sa_handler(signal);
    if (!is_spent && action.sa_handler == SIG_IGN && !IsOfThisInstruction(*info)) return;
    // The default. What the kernel raised comes again with the instruction; what was sent has to be sent again.
    struct sigaction fallback = {};
    fallback.sa_handler = SIG_DFL;
    sigaction(SIGBUS, &fallback, nullptr);
    if (!IsOfThisInstruction(*info)) raise(SIGBUS);
  }

  static inline std::atomic<Before*> before_{nullptr};
};

}  // namespace
#endif

#endif  // DMA_WINDOW_SHIM_GUARD_H_
