#include "addon/syscall_filter.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "addon/arguments.h"

namespace swtpm::addon {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#elif defined(__riscv) && __riscv_xlen == 64
constexpr uint32_t kArchitecture = AUDIT_ARCH_RISCV64;
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_PPC64LE;
#elif defined(__s390x__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_S390X;
#elif defined(__arm__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_ARM;
#elif defined(__i386__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_I386;
#else
#error "Add the AUDIT_ARCH_* of this architecture"
#endif

// Newer than some C library's headers; the numbers of calls from 424 on are the same everywhere.
constexpr uint32_t kProcessMadvise = 440;
constexpr uint32_t kPidfdGetfd = 438;
constexpr uint32_t kMountSetattr = 442;
constexpr uint32_t kQuotactlFd = 443;
constexpr uint32_t kClone3 = 435;
constexpr uint32_t kIoUringSetup = 425;

// Calls that only some architectures have are in #ifdef.
constexpr uint32_t kForbidden[] = {
    // Other programs. clone() is judged by its argument, below.
    __NR_execve,
    __NR_execveat,
#ifdef __NR_fork
    __NR_fork,
    __NR_vfork,
#endif
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
    // Another user, other namespaces, another root.
    __NR_setuid,
    __NR_setgid,
    __NR_setreuid,
    __NR_setregid,
    __NR_setresuid,
    __NR_setresgid,
    __NR_setfsuid,
    __NR_setfsgid,
    __NR_setgroups,
    __NR_capset,
    __NR_unshare,
    __NR_setns,
    __NR_chroot,
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

constexpr uint32_t kLowWord = std::endian::native == std::endian::little ? 0 : 4;
// clone()'s flags are its first argument, except on s390x, where they are the second.
#ifdef __s390x__
constexpr uint32_t kCloneFlags = 1;
#else
constexpr uint32_t kCloneFlags = 0;
#endif

std::vector<sock_filter> Program(uint32_t verdict) {
  constexpr auto load = static_cast<uint16_t>(BPF_LD | BPF_W | BPF_ABS);
  constexpr auto jump_if_equal = static_cast<uint16_t>(BPF_JMP | BPF_JEQ | BPF_K);
  constexpr auto jump_if_set = static_cast<uint16_t>(BPF_JMP | BPF_JSET | BPF_K);
  constexpr auto give = static_cast<uint16_t>(BPF_RET | BPF_K);
  std::vector<sock_filter> program;
  const auto add = [&program](uint16_t code, uint32_t k, uint8_t if_true = 0, uint8_t if_false = 0) {
    program.push_back({code, if_true, if_false, k});
  };
  const auto answer_to = [&](uint32_t call, uint32_t answer) {
    add(jump_if_equal, call, 0, 1);
    add(give, answer);
  };

  // The numbers of another architecture mean other calls.
  add(load, offsetof(seccomp_data, arch));
  add(jump_if_equal, kArchitecture, 1, 0);
  add(give, verdict);
  add(load, offsetof(seccomp_data, nr));
#ifdef __x86_64__
  constexpr auto jump_if_at_least = static_cast<uint16_t>(BPF_JMP | BPF_JGE | BPF_K);
  constexpr uint32_t x32_calls = 0x40000000;
  add(jump_if_at_least, x32_calls, 0, 1);
  add(give, verdict);
#endif
  for (const uint32_t call : kForbidden) answer_to(call, verdict);
  // A filter cannot see what these two are asked to do. With ENOSYS their callers use clone() and ordinary
  // reads and writes instead.
  answer_to(kClone3, SECCOMP_RET_ERRNO | ENOSYS);
  answer_to(kIoUringSetup, SECCOMP_RET_ERRNO | ENOSYS);
  // New threads are allowed, new processes are not.
  add(jump_if_equal, __NR_clone, 0, 3);
  add(load, offsetof(seccomp_data, args) + kCloneFlags * sizeof(uint64_t) + kLowWord);
  add(jump_if_set, CLONE_THREAD, 1, 0);
  add(give, verdict);
  add(give, SECCOMP_RET_ALLOW);
  return program;
}

Napi::Value ForbidSystemCalls(const Napi::CallbackInfo& info) {
  auto program = Program(FlagArgument(info, 0) ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_LOG);
  sock_fprog description{static_cast<unsigned short>(program.size()), program.data()};
  // Without "no new privileges" only a process with CAP_SYS_ADMIN may install a filter. TSYNC sets it for the
  // other threads, too.
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return SystemResult(info, -1);
  const long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &description);
  if (result > 0) return Result(info, -ESRCH);  // the id of a thread that has another filter
  return SystemResult(info, result);
}

}  // namespace

void RegisterSyscallFilter(Napi::Env env, Napi::Object exports) {
  exports.Set("forbidSystemCalls", Napi::Function::New<ForbidSystemCalls>(env, "forbidSystemCalls"));
}

}  // namespace swtpm::addon
