#include "shell/unchangeable.h"

namespace shell {
namespace {

namespace base = actable::base;
namespace fs = std::filesystem;
using actable::Result;

[[nodiscard]] std::unexpected<actable::Error> for_reading_only() {
  return actable::fail(actable::ErrorCode::unsupported, "closed files are for reading only");
}

}  // namespace

Result<void> UnchangeableFile::write(std::uint64_t, std::span<const std::byte>) { return for_reading_only(); }
Result<void> UnchangeableFile::sync() { return for_reading_only(); }
Result<void> UnchangeableFile::allocate(std::uint64_t) { return for_reading_only(); }

Result<void> UnchangeableFiles::rename(const fs::path&, const fs::path&) { return refused(); }
Result<void> UnchangeableFiles::remove(const fs::path&) { return refused(); }
Result<void> UnchangeableFiles::sync_directory(const fs::path&) { return refused(); }
Result<bool> UnchangeableFiles::prepare_directory(const fs::path&, bool) { return refused(); }
Result<std::unique_ptr<base::DirectoryLock>> UnchangeableFiles::lock(const fs::path&) { return refused(); }
Result<std::unique_ptr<base::WriteQueue>> UnchangeableFiles::make_queue(actable::LogIo) { return refused(); }

std::unexpected<actable::Error> UnchangeableFiles::refused() { return for_reading_only(); }

}  // namespace shell
