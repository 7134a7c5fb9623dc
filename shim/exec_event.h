// One event, as it lies in JavaScript's memory; src/exec/event.ts draws it too.

#ifndef DMA_WINDOW_SHIM_EXEC_EVENT_H_
#define DMA_WINDOW_SHIM_EXEC_EVENT_H_

#include <cstddef>
#include <cstdint>

namespace {

struct ExecEvent {
  enum Kind : uint32_t { kNothing, kIoctl, kOpen, kMemory, kExec, kEnded, kNobody, kTransfer };
  enum Change : uint32_t { kUnmap, kReplace, kMove, kProtect, kDrop, kBreak, kDetach };
  enum Transfer : uint32_t { kRead, kWrite, kReadVector, kWriteVector, kMap };
  uint64_t id;
  uint32_t thread;
  uint32_t kind;
  uint64_t arguments[6];
  uint64_t instruction;
  uint64_t device;   // of the file that an ioctl is made on, or a path leads to
  uint64_t inode;
  uint32_t bytes;    // how many are in `data`
  uint32_t detail;   // of memory: which Change; of an open: its flags; of an end: the pidfd; of a transfer: which one
  uint32_t has_directory;  // of an open: its first argument is a directory's descriptor
  uint32_t released;       // of an ioctl and an open: how many files the program was given and has not any more
  uint8_t data[4096];  // of an ioctl: what its argument points to, as far as it was read; of an open: its path; of a transfer: its vector
};
constexpr size_t kEventHead = offsetof(ExecEvent, data);

}  // namespace

#endif  // DMA_WINDOW_SHIM_EXEC_EVENT_H_
