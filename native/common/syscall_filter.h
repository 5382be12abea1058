// A seccomp filter that forbids what no part of swtpm needs once it serves: other processes' memory,
// namespaces, mounts, the kernel itself. Who installs it may forbid more. It needs no C++ library.
// @see seccomp(2), bpf(2)
#pragma once

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace swtpm {

#if defined(__x86_64__)
inline constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
inline constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#elif defined(__riscv) && __riscv_xlen == 64
inline constexpr uint32_t kArchitecture = AUDIT_ARCH_RISCV64;
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
inline constexpr uint32_t kArchitecture = AUDIT_ARCH_PPC64LE;
#elif defined(__s390x__)
inline constexpr uint32_t kArchitecture = AUDIT_ARCH_S390X;
#elif defined(__arm__)
inline constexpr uint32_t kArchitecture = AUDIT_ARCH_ARM;
#elif defined(__i386__)
inline constexpr uint32_t kArchitecture = AUDIT_ARCH_I386;
#else
#error "Add the AUDIT_ARCH_* of this architecture"
#endif

// Newer than some C library's headers; the numbers of calls from 424 on are the same everywhere.
inline constexpr uint32_t kProcessMadvise = 440;
inline constexpr uint32_t kPidfdGetfd = 438;
inline constexpr uint32_t kMountSetattr = 442;
inline constexpr uint32_t kQuotactlFd = 443;
inline constexpr uint32_t kClone3 = 435;
inline constexpr uint32_t kIoUringSetup = 425;
// The newest that a part of swtpm, or its C library, may have a use for: cachestat, of Linux 6.5.
inline constexpr uint32_t kNewestCall = 451;

// Calls that only some architectures have are in #ifdef.
inline constexpr uint32_t kForbidden[] = {
    // Other processes' memory, descriptors and state.
    __NR_ptrace,
    __NR_process_vm_readv,
    __NR_process_vm_writev,
    kProcessMadvise,
    kPidfdGetfd,
    __NR_kcmp,
    __NR_migrate_pages,
    __NR_move_pages,
    __NR_perf_event_open,
    // Other namespaces, another root.
    __NR_unshare,
    __NR_setns,
    __NR_pivot_root,
    __NR_personality,
    // File systems and device nodes; ways around the permissions of files.
    __NR_mount,
    __NR_umount2,
    __NR_open_tree,
    __NR_move_mount,
    __NR_fsopen,
    __NR_fsconfig,
    __NR_fsmount,
    __NR_fspick,
    kMountSetattr,
#ifdef __NR_mknod
    __NR_mknod,
#endif
    __NR_mknodat,
    __NR_name_to_handle_at,
    __NR_open_by_handle_at,
    __NR_fanotify_init,
    __NR_fanotify_mark,
    __NR_quotactl,
    kQuotactlFd,
    // The kernel itself.
    __NR_init_module,
    __NR_finit_module,
    __NR_delete_module,
    __NR_kexec_load,
#ifdef __NR_kexec_file_load
    __NR_kexec_file_load,
#endif
    __NR_bpf,
    __NR_userfaultfd,
    __NR_add_key,
    __NR_request_key,
    __NR_keyctl,
    __NR_syslog,
    __NR_acct,
    __NR_swapon,
    __NR_swapoff,
    __NR_reboot,
    __NR_sethostname,
    __NR_setdomainname,
    __NR_settimeofday,
    __NR_clock_settime,
    __NR_adjtimex,
    __NR_clock_adjtime,
    __NR_vhangup,
#ifdef __NR_lookup_dcookie
    __NR_lookup_dcookie,
#endif
#ifdef __NR_iopl
    __NR_iopl,
    __NR_ioperm,
    __NR_modify_ldt,
#endif
};

// Other programs. clone() is judged by its argument.
inline constexpr uint32_t kStartsPrograms[] = {
    __NR_execve,
    __NR_execveat,
#ifdef __NR_fork
    __NR_fork,
    __NR_vfork,
#endif
};

// Another root. An engine takes its state directory, so what starts engines may not forbid it.
inline constexpr uint32_t kChangesRoot[] = {__NR_chroot};

// Another user.
inline constexpr uint32_t kChangesUser[] = {
    __NR_setuid,    __NR_setgid,   __NR_setreuid, __NR_setregid,  __NR_setresuid,
    __NR_setresgid, __NR_setfsuid, __NR_setfsgid, __NR_setgroups, __NR_capset,
};

// The program of a filter, and how it is installed.
class SyscallFilter {
 public:
  // `kill`: a forbidden call ends the process; otherwise the kernel logs it and lets it pass.
  explicit SyscallFilter(bool kill) : verdict_(kill ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_LOG) {
    // The numbers of another architecture mean other calls.
    add(kLoad, offsetof(seccomp_data, arch));
    add(kJumpIfEqual, kArchitecture, 1, 0);
    add(kGive, verdict_);
    load_number();
#ifdef __x86_64__
    constexpr uint32_t x32_calls = 0x40000000;
    add(static_cast<uint16_t>(BPF_JMP | BPF_JGE | BPF_K), x32_calls, 0, 1);
    add(kGive, verdict_);
#endif
    // What kernels have learned since is not known here, so that they say what older ones do.
    add(static_cast<uint16_t>(BPF_JMP | BPF_JGT | BPF_K), kNewestCall, 0, 1);
    add(kGive, SECCOMP_RET_ERRNO | kNoSuchCall);
    forbid(kForbidden);
    // A filter cannot see what these two are asked to do. With ENOSYS their callers use clone() and ordinary
    // reads and writes instead.
    answer_to(kClone3, SECCOMP_RET_ERRNO | kNoSuchCall);
    answer_to(kIoUringSetup, SECCOMP_RET_ERRNO | kNoSuchCall);
    forbid_flags_of_clone(kNewNamespaces);
  }

  template <size_t n>
  void forbid(const uint32_t (&calls)[n]) {
    for (uint32_t call : calls) answer_to(call, verdict_);
  }

  // New threads stay allowed.
  void forbid_new_processes() {
    add(kJumpIfEqual, __NR_clone, 0, 4);
    load_flags_of_clone();
    add(kJumpIfAnyBit, CLONE_THREAD, 1, 0);
    add(kGive, verdict_);
    load_number();
  }

  // For good, for all threads. Implies "no new privileges": without it only a process with CAP_SYS_ADMIN may
  // install a filter. Returns 0; -1 with errno; the id of a thread that has another filter.
  long install() {
    add(kGive, SECCOMP_RET_ALLOW);
    sock_fprog description{size_, program_};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return -1;
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &description);
  }

 private:
  static constexpr auto kLoad = static_cast<uint16_t>(BPF_LD | BPF_W | BPF_ABS);
  static constexpr auto kJumpIfEqual = static_cast<uint16_t>(BPF_JMP | BPF_JEQ | BPF_K);
  static constexpr auto kGive = static_cast<uint16_t>(BPF_RET | BPF_K);
  static constexpr uint32_t kNoSuchCall = 38;  // ENOSYS
  static constexpr uint32_t kLowWord = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 0 : 4;
  // clone()'s flags are its first argument, except on s390x, where they are the second.
#ifdef __s390x__
  static constexpr uint32_t kCloneFlags = 1;
#else
  static constexpr uint32_t kCloneFlags = 0;
#endif

  static constexpr auto kJumpIfAnyBit = static_cast<uint16_t>(BPF_JMP | BPF_JSET | BPF_K);
  // As unshare() would make them.
  static constexpr uint32_t kNewNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                             CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

  void load_number() {
    add(kLoad, offsetof(seccomp_data, nr));
  }
  void load_flags_of_clone() {
    add(kLoad, offsetof(seccomp_data, args) + kCloneFlags * sizeof(uint64_t) + kLowWord);
  }
  void forbid_flags_of_clone(uint32_t flags) {
    add(kJumpIfEqual, __NR_clone, 0, 4);
    load_flags_of_clone();
    add(kJumpIfAnyBit, flags, 0, 1);
    add(kGive, verdict_);
    load_number();
  }
  void add(uint16_t code, uint32_t k, uint8_t if_true = 0, uint8_t if_false = 0) {
    if (size_ < kMaxSize) program_[size_++] = {code, if_true, if_false, k};
  }
  void answer_to(uint32_t call, uint32_t answer) {
    add(kJumpIfEqual, call, 0, 1);
    add(kGive, answer);
  }

  static constexpr unsigned short kMaxSize = 512;
  uint32_t verdict_;
  sock_filter program_[kMaxSize];
  unsigned short size_ = 0;
};

}  // namespace swtpm
