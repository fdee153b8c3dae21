#pragma once

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstddef>

/// Where branches are counted (tests/lab/coverage): writes the counts down, which
/// `_exit` does not.
extern "C" [[gnu::weak]] void __gcov_dump();

/// For tests of what a process loses or gives up for good. Only in tests that
/// have no threads at that moment; nothing may be asserted in the child.
namespace actable::test {

/// Forks, runs `work` in the child, which ends with what it returns (0 to 255),
/// and waits. Returns that number, or -1 if the child ended otherwise.
template <class Work>
int in_forked_child(Work work) {
  const pid_t child = fork();
  if (child == 0) {
    const int result = work();
    if (__gcov_dump != nullptr) __gcov_dump();
    _exit(result);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

/// Makes the process an ordinary user's, if it is root's. False when it cannot.
inline bool drop_root() {
  constexpr unsigned k_nobody = 65534;
  if (geteuid() != 0) return true;
  return setresgid(k_nobody, k_nobody, k_nobody) == 0 && setresuid(k_nobody, k_nobody, k_nobody) == 0;
}

/// A system call, by its number, and the error it is to fail with from now on.
struct RefusedCall {
  unsigned number;
  unsigned error;
};

/// Takes the system call away from the process, as a sandbox would. False when
/// that cannot be done.
inline bool refuse(RefusedCall call) {
  std::array<sock_filter, 4> program{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call.number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (call.error & SECCOMP_RET_DATA)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  sock_fprog filter{program.size(), program.data()};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

}  // namespace actable::test
