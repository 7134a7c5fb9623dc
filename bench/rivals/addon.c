// The rivals in C as a Node addon: it runs a kernel of kernels.c as often as it is told, in memory that JavaScript hands it.
//
//     run(name, memory: Uint8Array, arguments: BigUint64Array, repeats: number, answer: BigUint64Array of 2)
//     loopIoctls(fd, request, memory: Uint8Array, table, count, repeats, answer)
//     answerIoctls(request)
//     vfioMapRequest()
//     nothing(...)
//     second(number, number)
//     blockReads(fd, blocks)
//
// answer[0] is nanoseconds, answer[1] the sum of all results. The clock is read here, so no crossing counts.

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <node_api.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "kernels.h"
#include "filter.h"

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static napi_value refuse(napi_env env, const char *message) {
  napi_throw_error(env, NULL, message);
  return NULL;
}

static int bytes_of(napi_env env, napi_value value, napi_typedarray_type wanted, size_t least, void **data) {
  napi_typedarray_type type;
  size_t length;
  return napi_get_typedarray_info(env, value, &type, &length, data, NULL, NULL) == napi_ok && type == wanted &&
         length >= least;
}

static napi_value run(napi_env env, napi_callback_info info) {
  napi_value given[5];
  size_t total = 5, length;
  char name[64];
  void *memory, *arguments, *answer;
  uint32_t repeats;
  if (napi_get_cb_info(env, info, &total, given, NULL, NULL) != napi_ok || total != 5 ||
      napi_get_value_string_utf8(env, given[0], name, sizeof name, &length) != napi_ok ||
      !bytes_of(env, given[1], napi_uint8_array, 1, &memory) ||
      !bytes_of(env, given[2], napi_biguint64_array, 8, &arguments) ||
      napi_get_value_uint32(env, given[3], &repeats) != napi_ok ||
      !bytes_of(env, given[4], napi_biguint64_array, 2, &answer))
    return refuse(env, "run(name, memory, arguments of 8, repeats, answer of 2)");
  const struct named_kernel *found = kernels;
  while (found->name != NULL && strcmp(found->name, name) != 0) found++;
  if (found->name == NULL) return refuse(env, "there is no kernel of that name");
  // Volatile, and memory may have changed: so the compiler can neither move the work out of the loop nor drop it.
  kernel volatile chosen = found->run;
  uint64_t sum = 0, begun = now();
  for (uint32_t i = 0; i < repeats; i++) {
    sum += chosen(memory, arguments);
    __asm__ volatile("" ::: "memory");
  }
  ((uint64_t *)answer)[0] = now() - begun;
  ((uint64_t *)answer)[1] = sum;
  return NULL;
}

// The entry of a batch as src/syscalls.ts draws it.
struct entry {
  uint32_t call;
  uint32_t argument;
  int32_t result;
  uint32_t unused;
};

static napi_value loop_ioctls(napi_env env, napi_callback_info info) {
  napi_value given[7];
  size_t total = 7;
  int32_t fd;
  uint32_t request, table, count, repeats;
  void *memory, *answer;
  if (napi_get_cb_info(env, info, &total, given, NULL, NULL) != napi_ok || total != 7 ||
      napi_get_value_int32(env, given[0], &fd) != napi_ok || napi_get_value_uint32(env, given[1], &request) != napi_ok ||
      !bytes_of(env, given[2], napi_uint8_array, 1, &memory) ||
      napi_get_value_uint32(env, given[3], &table) != napi_ok ||
      napi_get_value_uint32(env, given[4], &count) != napi_ok ||
      napi_get_value_uint32(env, given[5], &repeats) != napi_ok ||
      !bytes_of(env, given[6], napi_biguint64_array, 2, &answer))
    return refuse(env, "loopIoctls(fd, request, memory, table, count, repeats, answer of 2)");
  struct entry *entries = (struct entry *)((unsigned char *)memory + table);
  uint64_t succeeded = 0, begun = now();
  for (uint32_t i = 0; i < repeats; i++) {
    for (uint32_t k = 0; k < count; k++) {
      int result = ioctl(fd, request, (unsigned char *)memory + entries[k].argument);
      entries[k].result = result == -1 ? -errno : result;
      succeeded += result == 0;
    }
  }
  ((uint64_t *)answer)[0] = now() - begun;
  ((uint64_t *)answer)[1] = succeeded;
  return NULL;
}

static napi_value answer_ioctls(napi_env env, napi_callback_info info) {
  napi_value given[1], result;
  size_t total = 1;
  uint32_t request;
  if (napi_get_cb_info(env, info, &total, given, NULL, NULL) != napi_ok || total != 1 ||
      napi_get_value_uint32(env, given[0], &request) != napi_ok)
    return refuse(env, "answerIoctls(request)");
  napi_create_int32(env, answer_with_zero(request), &result);
  return result;
}

static napi_value vfio_map_request(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value result;
  napi_create_uint32(env, VFIO_IOMMU_MAP_DMA, &result);
  return result;
}

// What crossing into C costs at least: it looks at no argument and makes no answer.
static napi_value nothing(napi_env env, napi_callback_info info) {
  (void)env;
  (void)info;
  return NULL;
}

// What a call with two numbers and an answer costs at least.
static napi_value second(napi_env env, napi_callback_info info) {
  napi_value given[2], result;
  size_t total = 2;
  double first, number;
  if (napi_get_cb_info(env, info, &total, given, NULL, NULL) != napi_ok ||
      napi_get_value_double(env, given[0], &first) != napi_ok || napi_get_value_double(env, given[1], &number) != napi_ok)
    return refuse(env, "second(number, number)");
  napi_create_uint32(env, (uint32_t)number, &result);
  return result;
}

static napi_value block_reads(napi_env env, napi_callback_info info) {
  napi_value given[2], result;
  size_t total = 2;
  int32_t fd;
  bool blocks;
  if (napi_get_cb_info(env, info, &total, given, NULL, NULL) != napi_ok || total != 2 ||
      napi_get_value_int32(env, given[0], &fd) != napi_ok || napi_get_value_bool(env, given[1], &blocks) != napi_ok)
    return refuse(env, "blockReads(fd, blocks)");
  int flags = fcntl(fd, F_GETFL);
  int done = flags < 0 ? flags : fcntl(fd, F_SETFL, blocks ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
  napi_create_int32(env, done < 0 ? -errno : 0, &result);
  return result;
}

NAPI_MODULE_INIT() {
  const struct {
    const char *name;
    napi_callback call;
  } functions[] = {
      {"run", run},
      {"loopIoctls", loop_ioctls},
      {"answerIoctls", answer_ioctls},
      {"vfioMapRequest", vfio_map_request},
      {"nothing", nothing},
      {"second", second},
      {"blockReads", block_reads},
  };
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    napi_value value;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].call, NULL, &value);
    napi_set_named_property(env, exports, functions[i].name, value);
  }
  return exports;
}
