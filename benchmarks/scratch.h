#pragma once

#include <filesystem>

namespace bench {

/// A new directory for this run, for its owner's eyes only, that goes with the
/// object.
///
/// Thread safety: *immutable*.
class Scratch {
 public:
  /// Makes it inside `parent`; if that is empty, in $TMPDIR or else /var/tmp,
  /// which unlike /tmp is on a disk nearly everywhere. Throws `Failure`.
  explicit Scratch(const std::filesystem::path& parent);
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch();

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace bench
