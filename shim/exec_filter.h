// Which system calls of a program its supervisor hears of (seccomp, with notification). The rest passes: the kernel remembers of each
// call that asks for no argument whether it does, so that costs next to nothing.
//
//     open, openat, openat2, creat       what they lead to is judged (exec_judge.h)
//     ioctl of VFIO's type               never passed on, whatever the descriptor: so the real VFIO is never used
//     pread64, pwrite64 and their vectors  a device's registers are read and written so, at places of its descriptor
//     munmap, mremap, mprotect, brk, ... what they take from the program's memory; madvise only where it drops; mmap where it replaces, and
//                                        that of a file, which may be a device
//     execve                             another program has the descriptors then, and another memory
//     io_uring, open_by_handle_at,       refused: they do what the calls above do, and pass the filter by; so do the calls of a foreign
//                                        ABI (i386, x32), whose numbers mean other calls

#ifndef DMA_WINDOW_SHIM_EXEC_FILTER_H_
#define DMA_WINDOW_SHIM_EXEC_FILTER_H_

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/vfio.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace {

#if defined(__x86_64__)
constexpr uint32_t kAuditArch = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kAuditArch = AUDIT_ARCH_AARCH64;
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
constexpr uint32_t kAuditArch = AUDIT_ARCH_PPC64LE;
#else
#define DMA_WINDOW_NO_EXEC
constexpr uint32_t kAuditArch = 0;
#endif

// Numbers that headers may be older than; the same on every architecture.
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#define SYS_io_uring_enter 426
#define SYS_io_uring_register 427
#endif

class Filter {
 public:
  Filter() {
    Load(offsetof(struct seccomp_data, arch));
    If(kAuditArch, 1, 0);
    Return(SECCOMP_RET_ERRNO | ENOSYS);
    Load(offsetof(struct seccomp_data, nr));
#if defined(__x86_64__)
    Add(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1);  // x32
    Return(SECCOMP_RET_ERRNO | ENOSYS);
#endif
    for (uint32_t call : {SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register}) Each(call, SECCOMP_RET_ERRNO | ENOSYS);
    Each(SYS_open_by_handle_at, SECCOMP_RET_ERRNO | EPERM);
    for (uint32_t call : {SYS_openat, SYS_openat2, SYS_munmap, SYS_mremap, SYS_mprotect, SYS_brk, SYS_shmdt, SYS_execve, SYS_execveat}) {
      Each(call, SECCOMP_RET_USER_NOTIF);
    }
#ifdef SYS_pkey_mprotect
    Each(SYS_pkey_mprotect, SECCOMP_RET_USER_NOTIF);
#endif
#ifdef SYS_open
    Each(SYS_open, SECCOMP_RET_USER_NOTIF);
    Each(SYS_creat, SECCOMP_RET_USER_NOTIF);
#endif
    for (uint32_t call : {SYS_pread64, SYS_pwrite64, SYS_preadv, SYS_pwritev, SYS_preadv2, SYS_pwritev2}) {
      Each(call, SECCOMP_RET_USER_NOTIF);
    }
    // The lower half of an argument: requests and flags have no other.
    If(SYS_ioctl, 0, 5);
    Argument(1);
    Add(BPF_ALU | BPF_AND | BPF_K, 0xff00, 0, 0);
    If(VFIO_TYPE << 8, 0, 1);
    Return(SECCOMP_RET_USER_NOTIF);
    Return(SECCOMP_RET_ALLOW);
    If(SYS_mmap, 0, 5);
    Argument(3);
    Add(BPF_JMP | BPF_JSET | BPF_K, MAP_FIXED, 1, 0);
    Add(BPF_JMP | BPF_JSET | BPF_K, MAP_ANONYMOUS, 1, 0);
    Return(SECCOMP_RET_USER_NOTIF);
    Return(SECCOMP_RET_ALLOW);
    If(SYS_madvise, 0, 6);
    Argument(2);
    If(MADV_DONTNEED, 2, 0);
    If(MADV_FREE, 1, 0);
    If(MADV_REMOVE, 0, 1);
    Return(SECCOMP_RET_USER_NOTIF);
    Return(SECCOMP_RET_ALLOW);
    Return(SECCOMP_RET_ALLOW);
  }

  struct sock_fprog program() { return {static_cast<unsigned short>(count_), steps_}; }

 private:
  void Add(uint32_t code, uint32_t value, uint32_t yes, uint32_t no) {
    steps_[count_++] = {static_cast<uint16_t>(code), static_cast<uint8_t>(yes), static_cast<uint8_t>(no), value};
  }
  void Load(uint32_t at) { Add(BPF_LD | BPF_W | BPF_ABS, at, 0, 0); }
  void Argument(uint32_t index) { Load(static_cast<uint32_t>(offsetof(struct seccomp_data, args)) + index * 8); }
  void Return(uint32_t action) { Add(BPF_RET | BPF_K, action, 0, 0); }
  // How many steps are passed over where it is so, and where not.
  void If(uint32_t value, uint32_t yes, uint32_t no) { Add(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no); }
  void Each(uint32_t call, uint32_t action) {
    If(call, 0, 1);
    Return(action);
  }

  struct sock_filter steps_[96];
  size_t count_ = 0;
};

}  // namespace

#endif  // DMA_WINDOW_SHIM_EXEC_FILTER_H_
