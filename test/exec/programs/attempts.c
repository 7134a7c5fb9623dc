// Ways to the real /dev/vfio. attempts WAY: prints what the file there answers to GET_API_VERSION, or why it could not be opened.
#include "vfio.h"

#include <linux/openat2.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#define CONTAINER "/dev/vfio/vfio"

static const char *way;
static int is(const char *name) { return strcmp(way, name) == 0; }

static int open2(const char *path) {
  struct open_how how = {.flags = O_RDWR};
  return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
}

static int linked(const char *to) {
  char path[64];
  const char *name = is("symlink-utf8") ? "L\xc3\xb6sung" : is("symlink-latin1") ? "L\xf6sung" : "attempt";
  snprintf(path, sizeof path, "/tmp/dma-window-%s-%d", name, getpid());
  expect(symlink(to, path) == 0, "symlink");
  int fd = open(path, O_RDWR);
  unlink(path);
  return fd;
}

static int by_node(void) {
  char path[64];
  snprintf(path, sizeof path, "/tmp/dma-window-node-%d", getpid());
  if (mknod(path, S_IFCHR | 0600, makedev(10, 196)) != 0) return -1;
  int fd = open(path, O_RDWR);
  int error = errno;
  unlink(path);
  errno = error;
  return fd;
}

static int by_handle(void) {
  struct { struct file_handle head; char bytes[128]; } handle = {.head = {.handle_bytes = 128}};
  int mount;
  if (name_to_handle_at(AT_FDCWD, CONTAINER, &handle.head, &mount, 0) != 0) return -1;
  return open_by_handle_at(AT_FDCWD, &handle.head, O_RDWR);
}

static void *in_thread(void *result) {
  *(int *)result = open(CONTAINER, O_RDWR);
  return NULL;
}

static int attempt(void) {
  int fd = -1;
  if (is("open")) return open(CONTAINER, O_RDWR);
#ifdef SYS_open
  if (is("raw-open")) return (int)syscall(SYS_open, CONTAINER, O_RDWR);
  if (is("creat")) return (int)syscall(SYS_creat, CONTAINER, 0600);
#endif
  if (is("raw-openat")) return (int)syscall(SYS_openat, AT_FDCWD, CONTAINER, O_RDWR);
  if (is("openat2")) return open2(CONTAINER);
  if (is("dots")) return open("/dev/../dev/./vfio//vfio", O_RDWR);
  if (is("relative")) return chdir("/dev/vfio") == 0 ? open("vfio", O_RDWR) : -1;
  if (is("relative-up")) return chdir("/tmp") == 0 ? open("../dev/vfio/vfio", O_RDWR) : -1;
  if (is("openat")) return openat(open("/dev", O_RDONLY | O_DIRECTORY), "vfio/vfio", O_RDWR);
  if (is("symlink") || is("symlink-utf8") || is("symlink-latin1")) return linked(CONTAINER);
  if (is("symlink-relative")) return linked("../dev/vfio/vfio");
  if (is("self-root")) return open("/proc/self/root/dev/vfio/vfio", O_RDWR);
  if (is("thread-self-root")) return open("/proc/thread-self/root/dev/vfio/vfio", O_RDWR);
  if (is("self-cwd")) return chdir("/dev") == 0 ? open("/proc/self/cwd/vfio/vfio", O_RDWR) : -1;
  if (is("init-root")) return open("/proc/1/root/dev/vfio/vfio", O_RDWR);
  if (is("path-then-open")) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", open(CONTAINER, O_PATH));
    return open(path, O_RDWR);
  }
  if (is("dev-fd")) {
    char path[64];
    snprintf(path, sizeof path, "/dev/fd/%d", open(CONTAINER, O_PATH));
    return open(path, O_RDWR);
  }
  if (is("reopen")) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", open(CONTAINER, O_RDWR));
    return open(path, O_RDWR);
  }
  if (is("node")) return by_node();
  if (is("handle")) return by_handle();
  if (is("dup")) return dup(open(CONTAINER, O_RDWR));
  if (is("thread")) {
    pthread_t thread;
    pthread_create(&thread, NULL, in_thread, &fd);
    pthread_join(thread, NULL);
    return fd;
  }
  if (is("io_uring")) {
    long ring = syscall(425, 8, NULL);
    errno = ring < 0 ? errno : 0;
    return -1;
  }
  if (is("socket")) {
    int ends[2];
    socketpair(AF_UNIX, SOCK_DGRAM, 0, ends);
    char room[CMSG_SPACE(sizeof(int))] = {0};
    char byte = 'x';
    struct iovec one = {&byte, 1};
    struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    if (fork() == 0) {
      fd = open(CONTAINER, O_RDWR);
      memcpy(CMSG_DATA(head), &fd, sizeof fd);
      sendmsg(ends[1], &message, 0);
      _exit(0);
    }
    recvmsg(ends[0], &message, 0);
    wait(NULL);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return fd;
  }
  errno = ENOSYS;
  return fd;
}

int main(int argc, char **argv) {
  (void)argc;
  way = argv[1];
  if (is("fork") || is("vfork-exec")) {
    pid_t child = is("fork") ? fork() : vfork();
    if (child == 0) execl("/proc/self/exe", argv[0], "open", (char *)NULL);
    int status;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
  }
  int fd = attempt();
  if (fd < 0) {
    printf("%s\n", strerror(errno));
    return 0;
  }
  int version = ioctl(fd, VFIO_GET_API_VERSION);
  struct stat status;
  fstat(fd, &status);
  printf("API %d, %s\n", version, S_ISCHR(status.st_mode) ? "a device of the machine" : "the model");
  return 0;
}
