// Drives edu by pread and pwrite alone: registers, its engine's transfers, its interrupts. edu TYPE GROUP ADDRESS
#include "edu.h"

#include <sys/uio.h>

static void say_region(unsigned index) {
  struct vfio_region_info info = region(index);
  printf("region %u: size 0x%llx flags 0x%x offset 0x%llx\n", index, info.size, info.flags, info.offset);
}

int main(int argc, char **argv) {
  (void)argc;
  int type = type_of(argv[1]);
  is_swapped = type == VFIO_SPAPR_TCE_v2_IOMMU;
  int container = open_device(type, argv[2], argv[3]);
  struct vfio_device_info info = {.argsz = sizeof info};
  expect(ioctl(device_fd, VFIO_DEVICE_GET_INFO, &info) == 0, "GET_INFO");
  printf("regions %u, interrupts %u\n", info.num_regions, info.num_irqs);
  say_region(0);
  say_region(CONFIG);
  printf("edu %llx, command %llx\n", (unsigned long long)get(CONFIG, 0, 4), (unsigned long long)get(CONFIG, COMMAND, 2));
  errno = 0;
  printf("mmap %d", mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, device_fd, 0) == MAP_FAILED ? errno : 0);
  printf(", private %d", mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, device_fd, 0) == MAP_FAILED ? errno : 0);
  printf(", of the group %d\n", mmap(NULL, PAGE, PROT_READ, MAP_SHARED, group_fd, 0) == MAP_FAILED ? errno : 0);

  edu_set(0x04, 0x12345678);
  printf("identity %llx, alive %llx\n", (unsigned long long)edu_get(0), (unsigned long long)edu_get(0x04));
  uint32_t words[2] = {0, 0};
  struct iovec vector[2] = {{&words[0], 4}, {&words[1], 4}};
  ssize_t moved = preadv(device_fd, vector, 2, 0);
  printf("preadv %zd, %d\n", moved, words[0] == get(0, 0, 4) && words[1] == get(0, 4, 4));
  uint64_t word = 0;
  ssize_t none = pread(device_fd, &word, 4, (off_t)region(0).size);
  printf("behind the end %zd %d", none, none < 0 ? errno : 0);
  void *nothing = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  none = pread(device_fd, nothing, 4, 0);
  printf(", into nothing %zd %d\n", none, none < 0 ? errno : 0);

  edu_set(0x08, 10);
  while ((edu_get(0x20) & 1) != 0) continue;
  printf("10! = %llu\n", (unsigned long long)edu_get(0x08));

  // Memory to device and back to other memory.
  char *memory = pages(2);
  for (unsigned at = 0; at < PAGE; at++) memory[at] = (char)(at * 7);
  give(container, type, memory, 0x10000, 2 * PAGE);
  edu_move(0x10000, BUFFER, 2000, 0);
  edu_move(BUFFER, 0x11000, 2000, TO_MEMORY);
  printf("without bus mastering %d", memcmp(memory, memory + PAGE, 2000) == 0);
  be_bus_master();
  edu_move(0x10000, BUFFER, 2000, 0);
  edu_move(BUFFER, 0x11000, 2000, TO_MEMORY);
  printf(", with it %d\n", memcmp(memory, memory + PAGE, 2000) == 0);

  // A message, as soon as the transfer has ended.
  int heard_by = eventfd(0, EFD_CLOEXEC), not_mine = open("/dev/null", O_RDONLY), closed = 77;
  unsigned trigger = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
  printf("SET_IRQS %d", set_irqs(VFIO_PCI_MSI_IRQ_INDEX, trigger, 0, 1, &not_mine));
  printf(" %d", set_irqs(VFIO_PCI_MSI_IRQ_INDEX, trigger, 0, 1, &closed));
  printf(" %d\n", set_irqs(VFIO_PCI_MSI_IRQ_INDEX, trigger, 0, 1, &heard_by));
  edu_start(0x10000, BUFFER, 100, INTERRUPTS);
  printf("MSI %llu", heard(heard_by, 5000));
  printf(", status %llx", (unsigned long long)edu_get(0x24));
  edu_set(0x64, 0x100);
  edu_set(0x60, 1);
  printf(", at once %llu", heard(heard_by, 0));
  edu_set(0x64, 1);
  set_irqs(VFIO_PCI_MSI_IRQ_INDEX, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1, NULL);
  printf(", by itself %llu", heard(heard_by, 0));
  set_irqs(VFIO_PCI_MSI_IRQ_INDEX, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0, NULL);
  edu_set(0x60, 1);
  printf(", switched off %llu\n", heard(heard_by, 0));
  edu_set(0x64, 1);

  // The line masks itself, and is looked at when it is unmasked.
  set_irqs(VFIO_PCI_INTX_IRQ_INDEX, trigger, 0, 1, &heard_by);
  edu_set(0x60, 2);
  printf("INTx %llu", heard(heard_by, 0));
  edu_set(0x60, 4);
  printf(", masked %llu", heard(heard_by, 0));
  set_irqs(VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, 0, 1, NULL);
  printf(", unmasked %llu\n", heard(heard_by, 0));

  int reset = ioctl(device_fd, VFIO_DEVICE_RESET);
  printf("RESET %d", reset == 0 ? 0 : errno);
  struct vfio_pci_hot_reset_info hot = {.argsz = sizeof hot};
  int answer = ioctl(device_fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &hot);
  printf(", hot reset info %d", answer == 0 ? 0 : errno);
  char room[64] = {0};
  struct vfio_pci_hot_reset *hot_reset = (struct vfio_pci_hot_reset *)room;
  *hot_reset = (struct vfio_pci_hot_reset){.argsz = sizeof *hot_reset + 4, .count = 1};
  hot_reset->group_fds[0] = group_fd;
  answer = ioctl(device_fd, VFIO_DEVICE_PCI_HOT_RESET, hot_reset);
  printf(" %d %d", answer == 0 ? 0 : errno, hot_reset->group_fds[0] == group_fd);
  struct vfio_device_feature feature = {.argsz = sizeof feature, .flags = VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN};
  answer = ioctl(device_fd, VFIO_DEVICE_FEATURE, &feature);
  printf(", feature %d\n", answer == 0 ? 0 : errno);

  // Bus mastering goes with the last descriptor where the kernel can reset the device.
  take(container, type, memory, 0x10000, 2 * PAGE);
  edu_set(0x04, 1);
  close(device_fd);
  device_fd = ioctl(group_fd, VFIO_GROUP_GET_DEVICE_FD, argv[3]);
  expect(device_fd >= 0, "GET_DEVICE_FD once more");
  printf("again: command %llx\n", (unsigned long long)get(CONFIG, COMMAND, 2));
  return 0;
}
