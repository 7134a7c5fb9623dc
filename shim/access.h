// Accesses to registers of a device: each is one instruction of its width, with the barriers of the architecture, and is
// guarded: where it raises SIGBUS (guard.h) it fails instead.
//
// In assembly, because nothing else promises one instruction, and because the handler of the signal has to know by the place of
// an instruction that it is one of these. They have no frames: the handler goes on at `failed`, which returns to their caller.
//
// The order. A write is after all that the program did to memory before, its reads too (a doorbell may say that an entry was
// read), and a read is before all that follows it. Linux's writel and readl promise as much, or less where said.
//
//   x86-64   Linux: mov alone. The processor keeps stores in order, and VFIO maps registers uncached (pgprot_noncached), never as
//            write-combining: there is nothing that an sfence would wait for.
//   arm64    Linux: dmb oshst before a store, dmb oshld after a load. Here dmb osh before a store: JavaScript has no barrier of
//            its own by which the reads before it would come first.
//   ppc64le  Linux: sync before each; after a load twi, isync, by which nothing behind it begins before its value is there.
//            Registers are little-endian, and so is the machine.

#ifndef DMA_WINDOW_SHIM_ACCESS_H_
#define DMA_WINDOW_SHIM_ACCESS_H_

#include <ucontext.h>

#include <cstdint>

// What both come back as in two registers.
struct Access {
  uint64_t value;  // of a load
  uint64_t failed;
};

extern "C" {
#define HIDDEN __attribute__((visibility("hidden")))
HIDDEN Access dma_window_load8(const volatile void* from);
HIDDEN Access dma_window_load16(const volatile void* from);
HIDDEN Access dma_window_load32(const volatile void* from);
HIDDEN Access dma_window_load64(const volatile void* from);
HIDDEN Access dma_window_store8(volatile void* to, uint64_t value);
HIDDEN Access dma_window_store16(volatile void* to, uint64_t value);
HIDDEN Access dma_window_store32(volatile void* to, uint64_t value);
HIDDEN Access dma_window_store64(volatile void* to, uint64_t value);
// Places in the code, and no functions.
HIDDEN extern const char dma_window_accesses[];
HIDDEN extern const char dma_window_accesses_end[];
HIDDEN extern const char dma_window_failed[];
#undef HIDDEN
}

#define PLACE(name) ".hidden " name "\n.globl " name "\n" name ":\n"
#define ACCESS(name, code) ".hidden " name "\n.globl " name "\n.type " name ", %function\n" name ":\n" code ".size " name ", .-" name "\n"

#if defined(__x86_64__)
#define KNOWS_REGISTERS 1
#define LOAD(name, code) ACCESS(name, "endbr64\n" code "xorl %edx, %edx\nret\n")
#define STORE(name, code) ACCESS(name, "endbr64\n" code "xorl %edx, %edx\nret\n")
#define LOAD8 "movzbl (%rdi), %eax\n"
#define LOAD16 "movzwl (%rdi), %eax\n"
#define LOAD32 "movl (%rdi), %eax\n"
#define LOAD64 "movq (%rdi), %rax\n"
#define STORE8 "movb %sil, (%rdi)\n"
#define STORE16 "movw %si, (%rdi)\n"
#define STORE32 "movl %esi, (%rdi)\n"
#define STORE64 "movq %rsi, (%rdi)\n"
#define FAILED "movl $1, %edx\nret\n"
#elif defined(__aarch64__)
#define KNOWS_REGISTERS 1
#define LOAD(name, code) ACCESS(name, code "dmb oshld\nmov x1, xzr\nret\n")
#define STORE(name, code) ACCESS(name, "dmb osh\n" code "mov x1, xzr\nret\n")
#define LOAD8 "ldrb w0, [x0]\n"
#define LOAD16 "ldrh w0, [x0]\n"
#define LOAD32 "ldr w0, [x0]\n"
#define LOAD64 "ldr x0, [x0]\n"
#define STORE8 "strb w1, [x0]\n"
#define STORE16 "strh w1, [x0]\n"
#define STORE32 "str w1, [x0]\n"
#define STORE64 "str x1, [x0]\n"
#define FAILED "mov x1, #1\nret\n"
#elif defined(__powerpc64__)
#define KNOWS_REGISTERS 1
#define LOAD(name, code) ACCESS(name, "sync\n" code "twi 0, 3, 0\nisync\nli 4, 0\nblr\n")
#define STORE(name, code) ACCESS(name, "sync\n" code "li 4, 0\nblr\n")
#define LOAD8 "lbz 3, 0(3)\n"
#define LOAD16 "lhz 3, 0(3)\n"
#define LOAD32 "lwz 3, 0(3)\n"
#define LOAD64 "ld 3, 0(3)\n"
#define STORE8 "stb 4, 0(3)\n"
#define STORE16 "sth 4, 0(3)\n"
#define STORE32 "stw 4, 0(3)\n"
#define STORE64 "std 4, 0(3)\n"
#define FAILED "li 4, 1\nblr\n"
#else
// What orders accesses to devices is not known here: registers are not mapped.
#define KNOWS_REGISTERS 0
#endif

#if KNOWS_REGISTERS
asm(".pushsection .text\n.balign 16\n" PLACE("dma_window_accesses")
    LOAD("dma_window_load8", LOAD8) LOAD("dma_window_load16", LOAD16)
    LOAD("dma_window_load32", LOAD32) LOAD("dma_window_load64", LOAD64)
    STORE("dma_window_store8", STORE8) STORE("dma_window_store16", STORE16)
    STORE("dma_window_store32", STORE32) STORE("dma_window_store64", STORE64)
    PLACE("dma_window_accesses_end") PLACE("dma_window_failed") FAILED ".popsection\n");

#undef LOAD8
#undef LOAD16
#undef LOAD32
#undef LOAD64
#undef STORE8
#undef STORE16
#undef STORE32
#undef STORE64
#undef LOAD
#undef STORE
#undef FAILED
#endif
#undef PLACE
#undef ACCESS

namespace {

// Where the thread was, and goes on, that a signal has stopped.
#if defined(__x86_64__)
uint64_t PlaceOf(const ucontext_t& thread) { return static_cast<uint64_t>(thread.uc_mcontext.gregs[REG_RIP]); }
void GoOnAt(ucontext_t& thread, uint64_t place) {
  thread.uc_mcontext.gregs[REG_RIP] = static_cast<greg_t>(place);
}
#elif defined(__aarch64__)
uint64_t PlaceOf(const ucontext_t& thread) { return thread.uc_mcontext.pc; }
void GoOnAt(ucontext_t& thread, uint64_t place) { thread.uc_mcontext.pc = place; }
#elif defined(__powerpc64__)
constexpr int kPlace = 32;  // PT_NIP of <asm/ptrace.h>
uint64_t PlaceOf(const ucontext_t& thread) { return thread.uc_mcontext.gp_regs[kPlace]; }
void GoOnAt(ucontext_t& thread, uint64_t place) { thread.uc_mcontext.gp_regs[kPlace] = place; }
#endif

}  // namespace

#endif  // DMA_WINDOW_SHIM_ACCESS_H_
