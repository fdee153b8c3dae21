#pragma once

#include "shell/unchangeable.h"

#include <cstdint>
#include <map>
#include <string>

namespace shell {

/// Another file system, to be read from only, on a disk that cannot be read in places. A
/// block that the disk refuses reads as zeros, and is noted. So who takes nothing but what
/// a checksum holds for takes nothing from there but what is there.
///
/// A long read that fails is done block by block. What the disk refuses then is not asked
/// for again: it may take seconds each time, and what is read twice is to read the same.
///
/// Thread safety: *confined*.
class PassingFiles final : public UnchangeableFiles {
 public:
  /// `below` must outlive this, and this its files.
  explicit PassingFiles(actable::base::FileSystem& below) : below_(below) {}

  /// Begin and end of each place of a file that cannot be read, in whole blocks.
  using Holes = std::map<std::uint64_t, std::uint64_t>;
  /// By the files' names, as far as they have been read.
  [[nodiscard]] const std::map<std::string, Holes>& holes() const noexcept { return holes_; }

  /// Fails as below. Reading a file of it fails with closed when it is interrupted.
  actable::Result<std::unique_ptr<actable::base::File>> open(const std::filesystem::path& path,
                                                             actable::base::OpenMode mode) override;
  actable::Result<std::vector<std::string>> list(const std::filesystem::path& directory) override;

 private:
  actable::base::FileSystem& below_;
  std::map<std::string, Holes> holes_;
};

}  // namespace shell
