#pragma once

#include <filesystem>
#include <string_view>

namespace actable::test {

/// A new, empty directory, removed with all it holds when the test ends. It
/// lies under `TMPDIR`, else `/tmp`, and only its owner may enter.
///
/// Thread safety: *immutable*.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace actable::test
