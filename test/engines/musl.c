/* What glibc's C++ library takes of glibc and musl has not, so that Bun's build for musl runs where there is no C++ library for musl. */
#include <stddef.h>
#include <sys/syscall.h>

extern long syscall(long, ...);
extern size_t strftime_l(char *, size_t, const char *, const void *, void *);

char __libc_single_threaded = 0;
struct {
  unsigned values[4];
} __cpu_model;

int __cpu_indicator_init(void) { return 0; }

unsigned arc4random(void) {
  unsigned value = 0;
  syscall(SYS_getrandom, &value, sizeof value, 0);
  return value;
}

size_t __strftime_l(char *to, size_t most, const char *format, const void *time, void *locale) {
  return strftime_l(to, most, format, time, locale);
}

/* What threads leave at their end stays. */
int __cxa_thread_atexit_impl(void (*end)(void *), void *object, void *library) {
  (void)end, (void)object, (void)library;
  return 0;
}

/* Not known: whoever asks looks on. */
int _dl_find_object(void *place, void *found) {
  (void)place, (void)found;
  return -1;
}
