// Calls on descriptors.

#ifndef DMA_WINDOW_SHIM_CALLS_H_
#define DMA_WINDOW_SHIM_CALLS_H_

#include <fcntl.h>
#include <limits.h>
#include <napi.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "answers.h"
#include "arguments.h"
#include "files.h"
#include "vfio_calls.h"

namespace {

// The answer of a call that gives a descriptor.
Napi::Value Opened(const Napi::CallbackInfo& info, int fd, bool is_device = false) {
  Napi::Value answer = Answer(info, fd);
  Files::Get().Add(info.Env(), fd, is_device);
  return answer;
}

Napi::Value Open(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  char path[PATH_MAX];
  size_t length = 0;
  if (napi_get_value_string_utf8(info.Env(), info[0], nullptr, 0, &length) != napi_ok) {
    arguments.RefuseType("path must be a string");
  } else if (length >= sizeof path) {
    arguments.RefuseRange("path must be shorter than %zu bytes; got %zu", sizeof path, length);
  } else if (napi_get_value_string_utf8(info.Env(), info[0], path, sizeof path, &length) != napi_ok ||
             memchr(path, 0, length) != nullptr) {
    arguments.RefuseRange("path must be without NUL bytes");
  }
  if (arguments.refused()) return Nothing();
  return Opened(info, open(path, O_RDWR | O_CLOEXEC));
}

Napi::Value Close(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  int fd = arguments.Fd(0);
  if (arguments.refused()) return Nothing();
  Files::Get().Remove(fd);
  return Answer(info, close(fd));
}

Napi::Value Ioctl(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  int fd = arguments.Fd(0);
  const Call& call = arguments.VfioCall(1);
  if (call.in_memory()) arguments.RefuseType("VFIO_%s takes a struct: use ioctlStruct", call.name);
  uint64_t value = arguments.Argument(2, call);
  if (arguments.refused()) return Nothing();
  return Answer(info, ioctl(fd, call.request, value));
}

Napi::Value IoctlStruct(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  int fd = arguments.Fd(0);
  const Call& call = arguments.VfioCall(1);
  if (!call.in_memory()) arguments.RefuseType("VFIO_%s takes no struct: use ioctl", call.name);
  Memory memory = arguments.Bytes(2);
  uint64_t offset = arguments.Offset(3, "offset");
  arguments.CheckMemory(call, memory, offset);
  if (arguments.refused()) return Nothing();
  int answer = ioctl(fd, call.request, memory.data + offset);
  return call.gives_device() ? Opened(info, answer, true) : Answer(info, answer);
}

Napi::Value IoctlBatch(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  int fd = arguments.Fd(0);
  Memory memory = arguments.Bytes(1);
  uint64_t table = arguments.Offset(2, "table");
  uint64_t count = arguments.Integer(3, "count", UINT32_MAX);
  if (table + count * sizeof(BatchEntry) > memory.length) {
    arguments.RefuseRange("table must hold its %lu entries within the memory's %lu bytes; got %lu", count,
                          memory.length, table);
  }
  // All of it before the first ioctl: a batch with a fault in it changes nothing.
  for (uint64_t index = 0; index < count && !arguments.refused(); index++) {
    arguments.CheckedEntry(memory, table + index * sizeof(BatchEntry));
  }
  if (arguments.refused()) return Nothing();

  uint64_t succeeded = 0;
  for (; succeeded < count; succeeded++) {
    uint64_t at = table + succeeded * sizeof(BatchEntry);
    // Checked again: the kernel writes into structs, and one of them may have lain over this entry or over its struct.
    BatchEntry entry = arguments.CheckedEntry(memory, at);
    if (arguments.refused()) return Nothing();
    int result = ioctl(fd, kCalls[entry.call].request, memory.data + entry.argument);
    int32_t answer = result == -1 ? -errno : result;
    memcpy(memory.data + at + offsetof(BatchEntry, result), &answer, sizeof answer);
    if (answer != 0) break;
  }
  return Napi::Number::New(info.Env(), static_cast<double>(succeeded));
}

// As many bytes as the kernel gives or takes: fewer than the array has, or none, is an answer.
Napi::Value Pread(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  int fd = arguments.Fd(0);
  Memory into = arguments.Bytes(1);
  uint64_t offset = arguments.FileOffset(2);
  if (arguments.refused()) return Nothing();
  ssize_t bytes = pread(fd, into.data, into.length, static_cast<off_t>(offset));
  return Napi::Number::New(info.Env(), static_cast<double>(bytes == -1 ? -errno : bytes));
}

Napi::Value Pwrite(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  int fd = arguments.Fd(0);
  Memory from = arguments.Bytes(1);
  uint64_t offset = arguments.FileOffset(2);
  if (arguments.refused()) return Nothing();
  ssize_t bytes = pwrite(fd, from.data, from.length, static_cast<off_t>(offset));
  return Napi::Number::New(info.Env(), static_cast<double>(bytes == -1 ? -errno : bytes));
}

}  // namespace

#endif  // DMA_WINDOW_SHIM_CALLS_H_
