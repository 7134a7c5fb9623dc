// System calls on a device's descriptor, which is 3, that the shim does not make because no program should: a pointer that leads
// nowhere, a number that no call has, other ways to mmap. Prints what the kernel answers: a number, or -errno.
//
//     raw ioctl DISTANCE ARGUMENT                    a call by its distance from VFIO_BASE; the argument 0 is a NULL pointer
//     raw pread OFFSET BYTES                         into NULL
//     raw mmap OFFSET BYTES r|rw|rwx shared|private  and munmap

#include <fcntl.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr int kDevice = 3;

unsigned long Number(const char* text) { return strtoul(text, nullptr, 0); }

long Mmap(const char* const* words) {
  unsigned long length = Number(words[1]);
  int protection = 0;
  if (strchr(words[2], 'r') != nullptr) protection |= PROT_READ;
  if (strchr(words[2], 'w') != nullptr) protection |= PROT_WRITE;
  if (strchr(words[2], 'x') != nullptr) protection |= PROT_EXEC;
  int how = strcmp(words[3], "private") == 0 ? MAP_PRIVATE : MAP_SHARED;
  void* address = mmap(nullptr, length, protection, how, kDevice, static_cast<off_t>(Number(words[0])));
  return address == MAP_FAILED ? -1 : munmap(address, length);
}

}  // namespace

int main(int count, const char* const* words) {
  long answer = 0;
  if (count == 4 && strcmp(words[1], "ioctl") == 0) {
    answer = ioctl(kDevice, _IO(VFIO_TYPE, VFIO_BASE + Number(words[2])), Number(words[3]));
  } else if (count == 4 && strcmp(words[1], "pread") == 0) {
    // The compiler need not know that nothing is there.
    void* volatile nowhere = nullptr;
    answer = pread(kDevice, nowhere, Number(words[3]), static_cast<off_t>(Number(words[2])));
  } else if (count == 6 && strcmp(words[1], "mmap") == 0) {
    answer = Mmap(words + 2);
  } else {
    return 2;
  }
  printf("%ld\n", answer == -1 ? -static_cast<long>(errno) : answer);
  return 0;
}
