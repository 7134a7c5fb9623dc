// Drives an NVMe disk by pread and pwrite alone: Identify, a pair of queues, a block written and read back, each heard by MSI-X.
// nvme TYPE GROUP ADDRESS
#include "device.h"

enum { CAP = 0x00, CC = 0x14, CSTS = 0x1c, AQA = 0x24, ASQ = 0x28, ACQ = 0x30, DOORBELLS = 0x1000 };
enum { ENTRIES = 16, BASE = 0x100000, BLOCK = 512 };
enum { ADMIN_SQ, ADMIN_CQ, IO_SQ, IO_CQ, OUT, IN, PAGES };

struct submission {
  uint8_t opcode, flags;
  uint16_t id;
  uint32_t namespace, reserved[4];
  uint64_t prp1, prp2;
  uint32_t dwords[6];
};

struct completion {
  uint32_t result, reserved;
  uint16_t head, queue, id, status;
};

static char *memory;
static int events[2];
static unsigned made[2];

static uint64_t iova(unsigned page) { return BASE + page * PAGE; }

// Rings the doorbell, waits for the interrupt, and gives the status.
static unsigned command(unsigned queue, struct submission entry) {
  struct submission *ring = (struct submission *)(memory + (queue == 0 ? ADMIN_SQ : IO_SQ) * PAGE);
  volatile struct completion *answers = (struct completion *)(memory + (queue == 0 ? ADMIN_CQ : IO_CQ) * PAGE);
  unsigned at = made[queue] % ENTRIES, phase = (made[queue] / ENTRIES + 1) % 2;
  entry.id = (uint16_t)made[queue]++;
  ring[at] = entry;
  set(0, DOORBELLS + 8 * queue, 4, made[queue] % ENTRIES);
  expect(heard(events[queue], 5000) == 1, "an interrupt");
  expect((answers[at].status & 1) == phase && answers[at].id == entry.id, "the command's completion");
  set(0, DOORBELLS + 8 * queue + 4, 4, made[queue] % ENTRIES);
  return answers[at].status >> 1;
}

static void enable(int on) {
  set(0, CC, 4, on ? 0x460001 : 0);
  for (int tries = 0; (get(0, CSTS, 4) & 1) != (unsigned)on; tries++) expect(tries < 10000, "CSTS follows");
}

int main(int argc, char **argv) {
  (void)argc;
  int type = type_of(argv[1]);
  int container = open_device(type, argv[2], argv[3]);
  struct vfio_irq_info irqs = {.argsz = sizeof irqs, .index = VFIO_PCI_MSIX_IRQ_INDEX};
  expect(ioctl(device_fd, VFIO_DEVICE_GET_IRQ_INFO, &irqs) == 0, "GET_IRQ_INFO");
  printf("region flags 0x%x, size 0x%llx, %u vectors\n", region(0).flags, region(0).size, irqs.count);
  be_bus_master();
  memory = pages(PAGES);
  give(container, type, memory, BASE, PAGES * PAGE);
  for (int vector = 0; vector < 2; vector++) events[vector] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  expect(set_irqs(VFIO_PCI_MSIX_IRQ_INDEX, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 2, events) == 0, "SET_IRQS");

  enable(0);
  set(0, AQA, 4, (ENTRIES - 1) << 16 | (ENTRIES - 1));
  set(0, ASQ, 8, iova(ADMIN_SQ));
  set(0, ACQ, 8, iova(ADMIN_CQ));
  enable(1);
  unsigned status = command(0, (struct submission){.opcode = 6, .prp1 = iova(IN), .dwords = {1}});
  printf("identify %u: \"%.*s\", serial \"%.*s\"\n", status, 15, memory + IN * PAGE + 24, 6, memory + IN * PAGE + 4);
  status = command(0, (struct submission){.opcode = 6, .namespace = 1, .prp1 = iova(IN)});
  printf("namespace %u: %llu blocks\n", status, *(unsigned long long *)(memory + IN * PAGE));
  status = command(0, (struct submission){.opcode = 5, .prp1 = iova(IO_CQ), .dwords = {(ENTRIES - 1) << 16 | 1, 1 << 16 | 3}});
  printf("queues %u", status);
  status = command(0, (struct submission){.opcode = 1, .prp1 = iova(IO_SQ), .dwords = {(ENTRIES - 1) << 16 | 1, 1 << 16 | 1}});
  printf(" %u\n", status);

  // As many commands as make the rings turn.
  unsigned wrong = 0;
  for (unsigned block = 0; block < 24; block++) {
    for (unsigned at = 0; at < BLOCK; at++) memory[OUT * PAGE + at] = (char)(at + block * 3);
    wrong += command(1, (struct submission){.opcode = 1, .namespace = 1, .prp1 = iova(OUT), .dwords = {block}}) != 0;
    wrong += command(1, (struct submission){.opcode = 2, .namespace = 1, .prp1 = iova(IN), .dwords = {block}}) != 0;
    wrong += memcmp(memory + OUT * PAGE, memory + IN * PAGE, BLOCK) != 0;
  }
  printf("blocks, wrong %u\n", wrong);
  status = command(1, (struct submission){.opcode = 2, .namespace = 1, .prp1 = 0x7000000, .dwords = {0}});
  printf("a page that is not mapped: status 0x%x\n", status);

  int reset = ioctl(device_fd, VFIO_DEVICE_RESET);
  printf("RESET %d, CSTS %llx, bus master %d\n", reset, (unsigned long long)get(0, CSTS, 4), (get(CONFIG, COMMAND, 2) & BUS_MASTER) != 0);
  take(container, type, memory, BASE, PAGES * PAGE);
  return 0;
}
