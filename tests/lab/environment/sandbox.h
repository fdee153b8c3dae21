#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>

/// What a process can be deprived of for good, without rights.
namespace actable::lab::environment {

/// A system call that fails from now on.
struct Denied {
  unsigned call;
  unsigned error;
  /// Only where argument number `argument` (from 0) has one of these bits; with no
  /// bits always.
  unsigned argument = 0;
  std::uint32_t bits = 0;
};

/// Takes them from all threads of the process. False where the kernel or another
/// sandbox does not let it.
[[nodiscard]] bool deny(std::initializer_list<Denied> calls);

/// A mount namespace for this process alone, as root or as any user who may have
/// a user namespace. False where neither is to be had. The process must have one
/// thread.
[[nodiscard]] bool enter_own_mounts();

/// A file system in memory of so many bytes, on a directory. False where that
/// is not allowed. Needs `enter_own_mounts`.
[[nodiscard]] bool mount_memory(const std::filesystem::path& on, std::uint64_t bytes);

/// Lays a view of the directory over itself that cannot be written: who has a
/// file open may go on, new ones cannot be made. Needs `enter_own_mounts`.
[[nodiscard]] bool cover_read_only(const std::filesystem::path& directory);

/// Takes the uppermost file system off the directory again.
[[nodiscard]] bool uncover(const std::filesystem::path& directory);

}  // namespace actable::lab::environment
