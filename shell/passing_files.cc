#include "shell/passing_files.h"

#include "shell/interrupt.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

namespace shell {
namespace {

namespace base = actable::base;
namespace fs = std::filesystem;
using actable::ErrorCode;
using actable::Result;
using Holes = PassingFiles::Holes;

/// Whether any of these bytes are in one.
[[nodiscard]] bool in_hole(const Holes& holes, std::uint64_t begin, std::uint64_t end) {
  const auto behind = holes.lower_bound(end);
  return behind != holes.begin() && std::prev(behind)->second > begin;
}

void add_block(Holes& holes, std::uint64_t begin) {
  std::uint64_t end = begin + base::k_block_bytes;
  if (const auto next = holes.find(end); next != holes.end()) {
    end = next->second;
    holes.erase(next);
  }
  const auto next = holes.lower_bound(begin);
  if (next != holes.begin() && std::prev(next)->second == begin) {
    std::prev(next)->second = end;
  } else {
    holes.emplace(begin, end);
  }
}

/// Thread safety: *confined*.
class PassingFile final : public UnchangeableFile {
 public:
  PassingFile(std::unique_ptr<base::File> below, std::uint64_t bytes, Holes& holes)
      : below_(std::move(below)), bytes_(bytes), holes_(holes) {}

  Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> into) override {
    if (!in_hole(holes_, offset, offset + into.size())) {
      auto done = below_->read(offset, into);
      if (done || done.error().code != ErrorCode::io_error) return done;
    }
    return read_blocks(
        offset,
        into.first(static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), bytes_ - std::min(offset, bytes_)))));
  }

  Result<std::uint64_t> size() override { return bytes_; }
  [[nodiscard]] int descriptor() const noexcept override { return -1; }
  [[nodiscard]] const fs::path& path() const noexcept override { return below_->path(); }

 private:
  [[nodiscard]] Result<std::size_t> read_blocks(std::uint64_t offset, std::span<std::byte> into) {
    std::size_t done = 0;
    while (done < into.size()) {
      if (interrupted) return actable::fail(ErrorCode::closed, "interrupted");
      const std::uint64_t at = offset + done, in_block = at % base::k_block_bytes;
      const auto rest = into.subspan(done);
      const auto part = rest.first(std::min(rest.size(), static_cast<std::size_t>(base::k_block_bytes - in_block)));
      done += part.size();
      const bool known = in_hole(holes_, at, at + part.size());
      const auto read = known ? Result<std::size_t>(0) : below_->read(at, part);
      if (!read && read.error().code != ErrorCode::io_error) return read;
      if (!read) add_block(holes_, at - in_block);
      // What a read that failed has left there counts for nothing.
      std::ranges::fill(part.subspan(read.value_or(0)), std::byte{0});
    }
    return done;
  }

  const std::unique_ptr<base::File> below_;
  const std::uint64_t bytes_;
  Holes& holes_;
};

}  // namespace

Result<std::unique_ptr<base::File>> PassingFiles::open(const fs::path& path, base::OpenMode mode) {
  if (mode.create || mode.write) return refused();
  auto below = below_.open(path, mode);
  if (!below) return below;
  const auto bytes = (*below)->size();
  if (!bytes) return std::unexpected(bytes.error());
  return std::make_unique<PassingFile>(*std::move(below), *bytes, holes_[path.filename().string()]);
}

Result<std::vector<std::string>> PassingFiles::list(const fs::path& directory) { return below_.list(directory); }

}  // namespace shell
