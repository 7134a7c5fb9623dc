// Pages that are present, proven by a call that answers. MAP_POPULATE proves nothing: where a page cannot be had, mmap
// succeeds all the same, and the first touch is a SIGBUS (mm/mmap.c: vm_mmap_pgoff; mm/gup.c: __mm_populate).

#ifndef DMA_WINDOW_SHIM_PRESENCE_H_
#define DMA_WINDOW_SHIM_PRESENCE_H_

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace {

// MADV_POPULATE_WRITE, the same on every architecture that the shim is for; headers before Linux 5.14 do not have it.
constexpr int kPopulateWrite = 23;

// Whether a page can be written, without a change to it and without a signal: the kernel itself adds 0 to its first word,
// and answers EFAULT where it cannot (kernel/futex: futex_wake_op). Nobody waits there, so nobody is woken.
int Touch(uint64_t page) {
  auto* word = reinterpret_cast<uint32_t*>(page);
  long answer = syscall(SYS_futex, word, FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, 0, nullptr, word,
                        FUTEX_OP(FUTEX_OP_ADD, 0, FUTEX_OP_CMP_EQ, 0));
  return answer < 0 ? -errno : 0;
}

// 0, or why a page is not there: EFAULT where the first touch would be a SIGBUS, as beyond a hugetlb cgroup's limit.
int MakePresent(uint64_t address, uint64_t length) {
  // A length of 0 is answered without a look at the address, by kernels that know the advice: Linux 5.14 and later.
  if (madvise(nullptr, 0, kPopulateWrite) == 0) {
    return madvise(reinterpret_cast<void*>(address), length, kPopulateWrite) == 0 ? 0 : -errno;
  }
  uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  if (address % page != 0 || length > UINT64_MAX - address) return -EINVAL;
  for (uint64_t done = 0; done < length; done += page) {
    int answer = Touch(address + done);
    if (answer != 0) return answer;
    if (length - done <= page) break;  // the sum below cannot wrap
  }
  return 0;
}

}  // namespace

#endif  // DMA_WINDOW_SHIM_PRESENCE_H_
