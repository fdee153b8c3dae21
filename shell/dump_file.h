#pragma once

#include "base/descriptor.h"
#include "shell/failure.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace shell {

/// What a dump is written to: standard output, or a file that was not there
/// before. The file has its name when all of it is on disk, and until then one
/// beside it, FILE.part-XXXXXX; where it is not finished it is removed, and only a
/// process that is killed leaves it.
///
/// Thread safety: *confined*.
class DumpOutput {
 public:
  [[nodiscard]] static std::unique_ptr<DumpOutput> standard_output();
  /// For the user's own eyes (0600). Fails with status 2 where the file cannot be
  /// made, because one of that name is there already for instance.
  [[nodiscard]] static Got<std::unique_ptr<DumpOutput>> new_file(const std::filesystem::path& path);
  ~DumpOutput();
  DumpOutput(const DumpOutput&) = delete;
  DumpOutput& operator=(const DumpOutput&) = delete;

  /// False once the reader has gone, who has had enough. Fails where the bytes
  /// cannot be written, or it was interrupted.
  [[nodiscard]] Got<bool> write(std::string_view bytes);
  /// All is written; a file is on disk, and so is its name. Fails as `write`, and
  /// where a file of that name has come meanwhile, which is left as it is.
  [[nodiscard]] Got<void> finish();
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

 private:
  DumpOutput(std::filesystem::path path, std::filesystem::path present, actable::base::Descriptor file, int descriptor)
      : path_(std::move(path)), present_(std::move(present)), file_(std::move(file)), descriptor_(descriptor) {}
  [[nodiscard]] Got<bool> flush();
  [[nodiscard]] Got<void> take_name();
  [[nodiscard]] Got<void> sync_directory() const;
  [[nodiscard]] std::unexpected<Failure> cannot() const;

  // Empty: standard output.
  const std::filesystem::path path_;
  // What the file is called now. Empty: it is finished.
  std::filesystem::path present_;
  actable::base::Descriptor file_;
  const int descriptor_;
  std::string buffer_;
  std::uint64_t bytes_ = 0;
  bool wanted_ = true;
};

/// What a dump is read from: a file, or standard input.
///
/// Thread safety: *confined*.
class DumpInput {
 public:
  /// An empty path is standard input. Fails with status 2 where there is no such
  /// file, or it may not be read.
  [[nodiscard]] static Got<DumpInput> open(const std::filesystem::path& path);

  /// The next piece; empty at the end. Waits for who writes into a pipe. Fails
  /// where nothing can be read, or it was interrupted.
  [[nodiscard]] Got<std::string_view> read();

  /// For messages.
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// Of a file; none where nobody knows.
  [[nodiscard]] std::optional<std::uint64_t> bytes_in_all() const noexcept { return bytes_in_all_; }
  [[nodiscard]] std::uint64_t bytes_read() const noexcept { return bytes_read_; }

 private:
  DumpInput(std::string name, actable::base::Descriptor file, int descriptor)
      : name_(std::move(name)), file_(std::move(file)), descriptor_(descriptor) {}

  std::string name_;
  actable::base::Descriptor file_;
  int descriptor_;
  std::optional<std::uint64_t> bytes_in_all_;
  std::uint64_t bytes_read_ = 0;
  std::string buffer_;
};

}  // namespace shell
