#include "base/file_error.h"

#include "base/failure.h"

#include <cerrno>
#include <string>
#include <system_error>

namespace actable::base {
namespace {

std::string_view advice(int system_error) noexcept {
  switch (system_error) {
    case ENOSPC:
    case EDQUOT:
      return "; no space left: free some and open the store again";
    case EACCES:
    case EPERM:
      return "; check the owner and the permissions";
    case EROFS:
      return "; the file system is read-only: make it writable, or put the store elsewhere";
    case EIO:
      return "; the disk may be failing: read the system's log, and save the data to another disk";
    case EFBIG:
      return "; raise the limit on file sizes (ulimit -f), or use smaller segments";
    case EMFILE:
    case ENFILE:
      return "; too many files are open: raise the limit (ulimit -n)";
    case ELOOP:
      return "; it is a symbolic link, which is not followed: remove it";
    case ENOENT:
    case ENOTDIR:
      return "; check the path";
    case EEXIST:
      return "; a file of that name is there already: move it away";
    default:
      return "";
  }
}

std::string where(std::uint64_t offset, const std::filesystem::path& path) {
  return " at offset " + std::to_string(offset) + " of " + path.string();
}

std::string reason(int system_error) {
  return ": " + std::generic_category().message(system_error) + std::string(advice(system_error));
}

}  // namespace

Error file_error(ErrorCode code, std::string_view what, const std::filesystem::path& path, int system_error) noexcept {
  return make_error(code, [&] { return "cannot " + std::string(what) + " " + path.string() + reason(system_error); });
}

Error write_error(const std::filesystem::path& path, std::uint64_t offset, std::span<const std::byte> bytes,
                  int system_error) noexcept {
  return make_error(ErrorCode::io_error, [&] {
    return "cannot write " + std::to_string(bytes.size()) + " bytes" + where(offset, path) + reason(system_error);
  });
}

Error short_write_error(const std::filesystem::path& path, std::uint64_t offset, std::span<const std::byte> bytes,
                        std::size_t written) noexcept {
  return make_error(ErrorCode::io_error, [&] {
    return "wrote " + std::to_string(written) + " of " + std::to_string(bytes.size()) + " bytes" + where(offset, path) +
           "; disk full, or a limit on file sizes? Free some space and open the store again";
  });
}

}  // namespace actable::base
