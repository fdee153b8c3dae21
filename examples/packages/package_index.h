#pragma once

#include <actable/result.h>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace packages {

/// One package as the index describes it.
struct Package {
  /// The package's name where no other record has it, else made different as
  /// `PackageIndex` says.
  std::string key;
  /// All lines of its record, without the blank line behind it.
  std::string_view stanza;
  /// Where the stanza begins, counted from 1.
  std::size_t line;
};

/// The output of `apt-cache dumpavail`: stanzas of `Field: value` lines, blank
/// lines between them. Lines may end in CR LF.
///
/// A name may occur more than once, as several versions or architectures. Each
/// of those records then has the key `name:architecture=version`, with `#2`,
/// `#3` and so on appended where that does not tell them apart. No record is
/// dropped, and the same text always gives the same keys.
///
/// Thread safety: *immutable*.
class PackageIndex {
 public:
  /// Fails with io_error, naming the file, or as `parse`.
  [[nodiscard]] static actable::Result<PackageIndex> read(const std::filesystem::path& path);

  /// `source` is what messages call the text. A text without stanzas is an
  /// index without packages. Fails, naming the line, with
  ///   invalid_argument  a stanza has no `Package` field, or an empty one
  ///   too_large         a name or a stanza is longer than a store takes
  [[nodiscard]] static actable::Result<PackageIndex> parse(std::string text, std::string_view source);

  /// In the order of the text.
  [[nodiscard]] std::span<const Package> packages() const noexcept { return packages_; }

  /// Keys and stanzas together.
  [[nodiscard]] std::size_t payload_bytes() const noexcept { return payload_bytes_; }

  /// Records whose name is another one's too.
  [[nodiscard]] std::size_t shared_names() const noexcept { return shared_names_; }

 private:
  explicit PackageIndex(std::unique_ptr<const std::string> text) : text_(std::move(text)) {}

  // On the heap, so that the views hold when the index is moved.
  std::unique_ptr<const std::string> text_;
  std::vector<Package> packages_;
  std::size_t payload_bytes_ = 0;
  std::size_t shared_names_ = 0;
};

}  // namespace packages
