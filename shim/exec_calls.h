// What JavaScript has of a supervisor: exec_notify.h as functions.

#ifndef DMA_WINDOW_SHIM_EXEC_CALLS_H_
#define DMA_WINDOW_SHIM_EXEC_CALLS_H_

#include <fcntl.h>
#include <napi.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <vector>

#include "answers.h"
#include "arguments.h"
#include "exec_events.h"
#include "exec_memory.h"
#include "exec_notify.h"
#include "exec_start.h"

namespace {

#ifndef DMA_WINDOW_NO_EXEC

Napi::Value ExecListen(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  int listener = arguments.Fd(0);
  if (arguments.refused()) return Nothing();
  Supervisor::Get().Listen(listener);
  return info.Env().Undefined();
}

Napi::Value ExecWatchProcess(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  int pidfd = arguments.Fd(0);
  if (arguments.refused()) return Nothing();
  Supervisor::Get().WatchProcess(pidfd);
  return info.Env().Undefined();
}

// Which list, and three u64 for each of its entries.
Napi::Value ExecWatch(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  uint64_t which = arguments.Integer(0, "list", 4);
  Memory entries = arguments.Bytes(1);
  if (arguments.refused()) return Nothing();
  Judge& judge = Supervisor::Get().judge;
  std::vector<ExecRange>* lists[] = {&judge.memory, &judge.heaps, &judge.nodes, &judge.files, &judge.real};
  std::vector<uint64_t> numbers(entries.length / sizeof(uint64_t));
  if (!numbers.empty()) memcpy(numbers.data(), entries.data, numbers.size() * sizeof(uint64_t));
  judge.Watch(lists[which], numbers.data(), numbers.size());
  return info.Env().Undefined();
}

Napi::Value ExecJudgeAll(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  uint64_t all = arguments.Integer(0, "all", 1);
  if (arguments.refused()) return Nothing();
  Supervisor::Get().judge.judges_all = all == 1;
  return info.Env().Undefined();
}

Napi::Value ExecNext(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  Memory into = arguments.Bytes(0);
  int milliseconds = static_cast<int>(arguments.Integer(1, "milliseconds", 1000));
  if (into.length < sizeof(ExecEvent)) arguments.RefuseRange("an event has %zu bytes; got %lu", sizeof(ExecEvent), into.length);
  if (arguments.refused()) return Nothing();
  static ExecEvent event;
  Supervisor::Get().Next(&event, milliseconds);
  bool has_data = event.kind == ExecEvent::kIoctl || event.kind == ExecEvent::kOpen || event.kind == ExecEvent::kTransfer;
  memcpy(into.data, &event, kEventHead + (has_data ? event.bytes : 0));
  return Napi::Number::New(info.Env(), event.kind);
}

// What the call of the event answers: a number, or -errno. 0, or -ENOENT where the program does not wait any more.
Napi::Value ExecAnswer(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  uint64_t id = arguments.U64(0, "id");
  double value = 0;
  if (napi_get_value_double(info.Env(), info[1], &value) != napi_ok) arguments.RefuseType("an answer must be a number");
  if (arguments.refused()) return Nothing();
  return Napi::Number::New(info.Env(), Supervisor::Get().Send(id, static_cast<int64_t>(value), false));
}

Napi::Value ExecContinue(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  uint64_t id = arguments.U64(0, "id");
  if (arguments.refused()) return Nothing();
  return Napi::Number::New(info.Env(), Supervisor::Get().Send(id, 0, true));
}

Napi::Value ExecGive(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  uint64_t id = arguments.U64(0, "id");
  int fd = arguments.Fd(1);
  uint64_t flags = arguments.Integer(2, "flags", UINT32_MAX);
  if (arguments.refused()) return Nothing();
  return Napi::Number::New(info.Env(), Supervisor::Get().Give(id, fd, static_cast<uint32_t>(flags)));
}

Napi::Value ExecIsWaiting(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  uint64_t id = arguments.U64(0, "id");
  if (arguments.refused()) return Nothing();
  return Napi::Boolean::New(info.Env(), Supervisor::Get().IsWaiting(id));
}

// What a path leads to, seen from here: [device, inode, 1 where it is the real VFIO's], or -errno.
Napi::Value ExecLeadsTo(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  char path[4096];
  size_t length = 0;
  if (napi_get_value_string_utf8(info.Env(), info[0], path, sizeof path, &length) != napi_ok) {
    arguments.RefuseType("path must be a string");
  }
  if (arguments.refused()) return Nothing();
  struct stat status = {};
  int error = Judge::StatusOf(0, AT_FDCWD, path[0] == '/' ? path : "/", 0, &status);
  if (error != 0) return Napi::Number::New(info.Env(), -error);
  Napi::Array array = Napi::Array::New(info.Env(), 3);
  double numbers[] = {double(status.st_dev), double(status.st_ino), double(Supervisor::Get().judge.IsVfio(status))};
  for (uint32_t at = 0; at < 3; at++) array.Set(at, Napi::Number::New(info.Env(), numbers[at]));
  return array;
}

#endif  // DMA_WINDOW_NO_EXEC

void ExportExec(Napi::Env env, Napi::Object exports) {
#ifndef DMA_WINDOW_NO_EXEC
  exports.Set("execStart", Napi::Function::New<ExecStart>(env, "execStart"));
  exports.Set("execEnd", Napi::Function::New<ExecEnd>(env, "execEnd"));
  exports.Set("execListen", Napi::Function::New<ExecListen>(env, "execListen"));
  exports.Set("execWatchProcess", Napi::Function::New<ExecWatchProcess>(env, "execWatchProcess"));
  exports.Set("execWatch", Napi::Function::New<ExecWatch>(env, "execWatch"));
  exports.Set("execJudgeAll", Napi::Function::New<ExecJudgeAll>(env, "execJudgeAll"));
  exports.Set("execNext", Napi::Function::New<ExecNext>(env, "execNext"));
  exports.Set("execAnswer", Napi::Function::New<ExecAnswer>(env, "execAnswer"));
  exports.Set("execContinue", Napi::Function::New<ExecContinue>(env, "execContinue"));
  exports.Set("execGive", Napi::Function::New<ExecGive>(env, "execGive"));
  exports.Set("execIsWaiting", Napi::Function::New<ExecIsWaiting>(env, "execIsWaiting"));
  exports.Set("execLeadsTo", Napi::Function::New<ExecLeadsTo>(env, "execLeadsTo"));
  exports.Set("execRead", Napi::Function::New<ExecCopy<SYS_process_vm_readv>>(env, "execRead"));
  exports.Set("execWrite", Napi::Function::New<ExecCopy<SYS_process_vm_writev>>(env, "execWrite"));
  exports.Set("execTakeEventfd", Napi::Function::New<ExecTakeEventfd>(env, "execTakeEventfd"));
  exports.Set("execSignal", Napi::Function::New<ExecSignal>(env, "execSignal"));
  exports.Set("execFile", Napi::Function::New<ExecFile>(env, "execFile"));
  exports.Set("execIsHeld", Napi::Function::New<ExecIsHeld>(env, "execIsHeld"));
  exports.Set("execCompareMemory", Napi::Function::New<ExecCompareMemory>(env, "execCompareMemory"));
  exports.Set("execLockedLimit", Napi::Function::New<ExecLockedLimit>(env, "execLockedLimit"));
  exports.Set("execProcessFile", Napi::Function::New<ExecProcessFile>(env, "execProcessFile"));
  exports.Set("execOwnMounts", Napi::Function::New<ExecOwnMounts>(env, "execOwnMounts"));
  exports.Set("execMount", Napi::Function::New<ExecMount>(env, "execMount"));
#endif
}

}  // namespace

#endif  // DMA_WINDOW_SHIM_EXEC_CALLS_H_
