#include "wal/frame_reader.h"

#include "tests/support/catch.h"
#include "tests/support/results.h"

#include <algorithm>
#include <vector>

// Frames as they are read off a file, block by block.
namespace actable::wal {
namespace {

using test::must;
using test::outcome;

/// Zeros and, from some offset on, ones. Reads fail when told to, having left
/// half of what was asked for in the reader's hands.
class HalfBlankFile final : public base::File {
 public:
  static constexpr std::uint64_t k_blank_bytes = std::uint64_t{4} << 20;
  static constexpr std::uint64_t k_bytes = 2 * k_blank_bytes;
  bool fails = false;
  std::uint64_t reads = 0;

  Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> into) override {
    ++reads;
    const std::size_t bytes = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), k_bytes - offset));
    for (std::size_t i = 0; i < (fails ? bytes / 2 : bytes); ++i) {
      into[i] = offset + i < k_blank_bytes ? std::byte{0} : std::byte{1};
    }
    if (fails) return fail(ErrorCode::io_error, "as told");
    return bytes;
  }
  Result<void> write(std::uint64_t, std::span<const std::byte>) override { return {}; }
  Result<void> sync() override { return {}; }
  Result<void> allocate(std::uint64_t) override { return {}; }
  Result<std::uint64_t> size() override { return k_bytes; }
  [[nodiscard]] bool direct() const noexcept override { return false; }
  [[nodiscard]] int descriptor() const noexcept override { return -1; }
  [[nodiscard]] const std::filesystem::path& path() const noexcept override { return path_; }

 private:
  std::filesystem::path path_ = "half blank";
};

TEST_CASE("after a reading that failed nothing of it is taken for what is there") {
  HalfBlankFile file;
  FrameReader reader(file, HalfBlankFile::k_bytes, 0);
  CHECK(must(reader.blank_at(0)));
  file.fails = true;
  CHECK(outcome(reader.blank_at(HalfBlankFile::k_blank_bytes)) == "io_error");
  file.fails = false;
  CHECK(must(reader.blank_at(0)));
  CHECK_FALSE(must(reader.blank_at(HalfBlankFile::k_blank_bytes)));
}

TEST_CASE("at the end of a file and behind it there are blanks and no frames") {
  HalfBlankFile file;
  FrameReader reader(file, HalfBlankFile::k_bytes, 0);
  CHECK_FALSE(must(reader.blank_at(HalfBlankFile::k_bytes - base::k_block_bytes)));
  CHECK(must(reader.blank_at(HalfBlankFile::k_bytes)));
  CHECK_FALSE(must(reader.frame_at(HalfBlankFile::k_bytes)));
}

TEST_CASE("a file is read once, a MiB at a time, and not behind its end") {
  HalfBlankFile file;
  FrameReader reader(file, HalfBlankFile::k_bytes, 0);
  CHECK(must(reader.blank_at(HalfBlankFile::k_bytes)));
  CHECK(file.reads == 0);
  for (std::uint64_t at = 0; at < HalfBlankFile::k_bytes; at += base::k_block_bytes) {
    REQUIRE(must(reader.blank_at(at)) == (at < HalfBlankFile::k_blank_bytes));
  }
  CHECK(file.reads == HalfBlankFile::k_bytes >> 20);
}

}  // namespace
}  // namespace actable::wal
