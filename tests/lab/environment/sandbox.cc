#include "tests/lab/environment/sandbox.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

namespace actable::lab::environment {
namespace {

bool write_text(const char* file, const std::string& text) {
  const int descriptor = ::open(file, O_WRONLY | O_CLOEXEC);
  if (descriptor < 0) return false;
  const bool written = ::write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(descriptor);
  return written;
}

/// With the present user as the namespace's root.
bool enter_own_users() {
  const std::string user = std::to_string(::geteuid());
  const std::string group = std::to_string(::getegid());
  if (::unshare(CLONE_NEWUSER) != 0) return false;
  // Where it is missing, groups can be mapped without it.
  (void)write_text("/proc/self/setgroups", "deny");
  return write_text("/proc/self/uid_map", "0 " + user + " 1") && write_text("/proc/self/gid_map", "0 " + group + " 1");
}

}  // namespace

bool deny(std::initializer_list<Denied> calls) {
  std::vector<sock_filter> program;
  for (const Denied& denied : calls) {
    const sock_filter fails = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (denied.error & SECCOMP_RET_DATA));
    program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
    if (denied.bits == 0) {
      program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, denied.call, 0, 1));
    } else {
      program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, denied.call, 0, 3));
      // The lower half, on the machines that there are.
      const auto at = static_cast<unsigned>(offsetof(seccomp_data, args) + denied.argument * sizeof(std::uint64_t));
      program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at));
      program.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, denied.bits, 0, 1));
    }
    program.push_back(fails);
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
  return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter) == 0;
}

bool enter_own_mounts() {
  if (::unshare(CLONE_NEWNS) != 0 && !(enter_own_users() && ::unshare(CLONE_NEWNS) == 0)) return false;
  // What is mounted from here on stays in here.
  return ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

bool mount_memory(const std::filesystem::path& on, std::uint64_t bytes) {
  const std::string size = "mode=0700,size=" + std::to_string(bytes);
  return ::mount("tmpfs", on.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, size.c_str()) == 0;
}

bool cover_read_only(const std::filesystem::path& directory) {
  if (::mount(directory.c_str(), directory.c_str(), nullptr, MS_BIND, nullptr) != 0) return false;
  // In a user namespace the flags that were there may not be taken off.
  constexpr unsigned long k_flags = MS_BIND | MS_REMOUNT | MS_RDONLY;
  constexpr std::array<unsigned long, 4> k_kept{0, MS_RELATIME, MS_NOSUID | MS_NODEV,
                                                MS_NOSUID | MS_NODEV | MS_RELATIME};
  for (const unsigned long kept : k_kept) {
    if (::mount(nullptr, directory.c_str(), nullptr, k_flags | kept, nullptr) == 0) return true;
  }
  (void)uncover(directory);
  return false;
}

bool uncover(const std::filesystem::path& directory) { return ::umount2(directory.c_str(), MNT_DETACH) == 0; }

}  // namespace actable::lab::environment
