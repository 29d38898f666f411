/*
 * signal.c - SIGBUS and SIGSEGV on Linux.
 *
 * The handlers are installed once and stay. What is not ours goes to the handler that was there
 * before (V8 has one for WebAssembly's traps), or dies as it would have died. Nothing here but
 * system calls and atomics: no locks of libc, no allocation, no thread-local state.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "platform/platform.h"

/*
 * The copy that survives faults: while its instructions run, the handler sends a fault to their
 * end instead of replacing anything. The result is what is left to copy; the second result is the
 * address of the fault, its highest bit set for SIGBUS (addresses of programs have none). Only the frame of this function is left early, so nothing needs to be unwound.
 */
struct copy_result { size_t left; uint64_t fault; };
#define FAULT_IS_BUS ((uint64_t)1 << 63)
struct copy_result memmap_copy_run(void *target, const void *source, size_t length);
extern const char memmap_copy_begin[], memmap_copy_slow[], memmap_copy_end[];

#if defined(__x86_64__)
/* rep movsb keeps its count in rcx when it is interrupted, and is as fast as any copy on CPUs with
 * ERMS (Intel 64 optimization manual, 3.7.6). */
__asm__(".text\n"
        ".hidden memmap_copy_run, memmap_copy_begin, memmap_copy_slow, memmap_copy_end\n"
        ".globl memmap_copy_run, memmap_copy_begin, memmap_copy_slow, memmap_copy_end\n"
        ".type memmap_copy_run, @function\n"
        "memmap_copy_run:\n"
        "  mov %rdx, %rcx\n"
        "  xor %edx, %edx\n"
        "  cld\n"
        "memmap_copy_begin:\n"
        "memmap_copy_slow:\n"
        "  rep movsb\n"
        "memmap_copy_end:\n"
        "  mov %rcx, %rax\n"
        "  ret\n"
        ".size memmap_copy_run, . - memmap_copy_run\n");
typedef greg_t context_register;
#define CONTEXT_PC(context) ((context)->uc_mcontext.gregs[REG_RIP])
#define CONTEXT_SECOND(context) ((context)->uc_mcontext.gregs[REG_RDX])
#elif defined(__aarch64__)
/* Sixteen bytes at a time; after a fault byte by byte, so that the count is exact. */
__asm__(".text\n"
        ".hidden memmap_copy_run, memmap_copy_begin, memmap_copy_slow, memmap_copy_end\n"
        ".globl memmap_copy_run, memmap_copy_begin, memmap_copy_slow, memmap_copy_end\n"
        ".type memmap_copy_run, %function\n"
        "memmap_copy_run:\n"
        "  mov x5, xzr\n"
        "memmap_copy_begin:\n"
        "  cmp x2, #16\n"
        "  b.lo memmap_copy_slow\n"
        "  ldp x3, x4, [x1]\n"
        "  stp x3, x4, [x0]\n"
        "  add x1, x1, #16\n"
        "  add x0, x0, #16\n"
        "  sub x2, x2, #16\n"
        "  b memmap_copy_begin\n"
        "memmap_copy_slow:\n"
        "  cbz x2, memmap_copy_end\n"
        "  ldrb w3, [x1]\n"
        "  strb w3, [x0]\n"
        "  add x1, x1, #1\n"
        "  add x0, x0, #1\n"
        "  sub x2, x2, #1\n"
        "  b memmap_copy_slow\n"
        "memmap_copy_end:\n"
        "  mov x0, x2\n"
        "  mov x1, x5\n"
        "  ret\n"
        ".size memmap_copy_run, . - memmap_copy_run\n");
typedef unsigned long long context_register;
#define CONTEXT_PC(context) ((context)->uc_mcontext.pc)
#define CONTEXT_SECOND(context) ((context)->uc_mcontext.regs[5])
#else
#error "memmap has no fault-safe copy for this processor yet: add it to platform/linux/signal.c"
#endif

struct platform_copied platform_copy(void *target, const void *source, size_t length) {
  struct copy_result result = memmap_copy_run(target, source, length);
  return (struct platform_copied){result.left, (uintptr_t)(result.fault & ~FAULT_IS_BUS),
                                  (result.fault & FAULT_IS_BUS) != 0};
}

/* The fault is in the copy: let it end there (or go on more slowly). */
static bool end_copy(ucontext_t *context, uint64_t fault) {
  uintptr_t at = (uintptr_t)CONTEXT_PC(context);
  if (at < (uintptr_t)memmap_copy_begin || at >= (uintptr_t)memmap_copy_end) return false;
  bool is_fast = at < (uintptr_t)memmap_copy_slow;
  const char *next = is_fast ? memmap_copy_slow : memmap_copy_end;
  CONTEXT_PC(context) = (context_register)(uintptr_t)next;
  if (!is_fast) CONTEXT_SECOND(context) = (context_register)fault;
  return true;
}

#if defined(__x86_64__)
/* arch/x86/include/asm/trap_pf.h */
enum { ERROR_WRITE = 1 << 1, ERROR_INSTRUCTION = 1 << 4 };
static void decode_access(const ucontext_t *context, struct platform_fault *fault) {
  long long error = context->uc_mcontext.gregs[REG_ERR];
  fault->access = error & ERROR_WRITE ? MEMMAP_WRITE : MEMMAP_READ;
  fault->is_execute = error & ERROR_INSTRUCTION;
}
#else
/* arch/arm64/include/uapi/asm/sigcontext.h: records behind the registers, one of which holds the
 * exception syndrome; its bit 6 says write, its class (bits 26 up) 0x20 or 0x21 instruction. */
static void decode_access(const ucontext_t *context, struct platform_fault *fault) {
  const uint32_t esr_magic = 0x45535201;
  const unsigned char *record = (const unsigned char *)context->uc_mcontext.__reserved;
  const unsigned char *end = record + sizeof(context->uc_mcontext.__reserved);
  fault->access = MEMMAP_NONE;
  while (record + 16 <= end) {
    uint32_t head[2];
    uint64_t esr;
    memcpy(head, record, sizeof(head));
    if (head[0] == 0 || head[1] < 8) return;
    if (head[0] == esr_magic) {
      memcpy(&esr, record + 8, sizeof(esr));
      fault->access = esr & 1 << 6 ? MEMMAP_WRITE : MEMMAP_READ;
      fault->is_execute = (esr >> 26 & 0x3e) == 0x20;
      return;
    }
    record += head[1];
  }
}
#endif

static bool (*_Atomic decide)(const struct platform_fault *fault);
static struct sigaction former_bus, former_segv;

static void die(int signal, const siginfo_t *info) {
  struct sigaction standard;
  memset(&standard, 0, sizeof(standard));
  standard.sa_handler = SIG_DFL;
  sigaction(signal, &standard, NULL);
  /* A fault comes again when the instruction does; a signal that was sent must be sent again. */
  if (info->si_code <= 0) {
    syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), signal);
  }
}

static void pass_on(int signal, siginfo_t *info, void *context) {
  const struct sigaction *former = signal == SIGBUS ? &former_bus : &former_segv;
  if (former->sa_flags & SA_SIGINFO) {
    former->sa_sigaction(signal, info, context);
  } else if (former->sa_handler == SIG_DFL) {
    die(signal, info);
  } else if (former->sa_handler == SIG_IGN) {
    if (info->si_code > 0) die(signal, info); /* a fault cannot be ignored */
  } else {
    former->sa_handler(signal);
  }
}

static void handle(int signal, siginfo_t *info, void *context) {
  int error = errno;
  /* Sent by somebody, or without an address: never ours. */
  bool is_fault = info->si_code > 0 && info->si_code != SI_KERNEL;
  bool is_memory = signal == SIGBUS ? info->si_code != BUS_ADRALN
                                    : info->si_code == SEGV_MAPERR || info->si_code == SEGV_ACCERR;
  bool is_done = false;
  if (is_fault && is_memory) {
    struct platform_fault fault = {
      .address = (uintptr_t)info->si_addr, .is_bus = signal == SIGBUS,
      .is_mapped = signal == SIGBUS || info->si_code != SEGV_MAPERR, .detail = info->si_code,
    };
    decode_access(context, &fault);
    is_done = end_copy(context, fault.address | (fault.is_bus ? FAULT_IS_BUS : 0)) || atomic_load(&decide)(&fault);
  }
  if (!is_done) pass_on(signal, info, context);
  errno = error;
}

static int install(int signal, struct sigaction *former) {
  struct sigaction action;
  memset(&action, 0, sizeof(action));
  action.sa_sigaction = handle;
  /* All other signals wait; these two may come in the handler, from the copy into a stash. */
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART;
  sigfillset(&action.sa_mask);
  sigdelset(&action.sa_mask, SIGBUS);
  sigdelset(&action.sa_mask, SIGSEGV);
  return sigaction(signal, &action, former) == 0 ? 0
                                                 : memmap_failure(MEMMAP_CALL_SIGACTION, errno);
}

int platform_install_handlers(bool (*decision)(const struct platform_fault *fault)) {
  atomic_store(&decide, decision);
  int result = install(SIGBUS, &former_bus);
  return result ? result : install(SIGSEGV, &former_segv);
}

int platform_handlers_lost(void) {
  struct sigaction bus, segv;
  sigaction(SIGBUS, NULL, &bus);
  sigaction(SIGSEGV, NULL, &segv);
  return bus.sa_sigaction != handle || segv.sa_sigaction != handle;
}
