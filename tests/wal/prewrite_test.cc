#include "tests/support/catch.h"
#include "tests/wal/log_fixture.h"
#include "wal/segments.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

// How far zeros are written ahead of the log's frames.
namespace actable::wal {
namespace {

using test::must;
using test::Random;
using test::SimulatedDisk;

constexpr std::uint64_t k_store_id = 1;
constexpr std::uint64_t k_era = 1;
constexpr std::uint64_t k_mib = std::uint64_t{1} << 20;
constexpr std::uint64_t k_least_ahead_bytes = k_mib / 2;
constexpr std::uint64_t k_most_ahead_bytes = k_mib;
constexpr std::uint64_t k_piece_bytes_max = std::uint64_t{256} << 10;

/// Segments that frames get their places in and nobody writes these: all that
/// is written behind a header is zeros ahead.
class Ahead {
 public:
  explicit Ahead(std::uint64_t segment_bytes)
      : segment_bytes_(segment_bytes), segments_(disk_, test::log_options().directory, k_store_id, segment_bytes) {
    disk_.watch([this](const test::DiskChange& change) {
      if (change.what == "write" && change.offset != 0) pieces_.push_back(change);
    });
  }

  /// A frame in the only segment.
  void place(std::uint64_t bytes) {
    const Segments::Place place = must(segments_.place(bytes, ++frame_, k_era));
    test::expect(segments_.live_count() == 1, "it is the only segment");
    end_ = place.offset + bytes;
  }

  /// Writes ahead until there is nothing more to do, and looks at each piece.
  void rest() {
    while (true) {
      const std::size_t before = pieces_.size();
      const bool wrote = must(segments_.prewrite());
      REQUIRE(pieces_.size() == before + (wrote ? 1 : 0));
      if (!wrote) return;
      const test::DiskChange& piece = pieces_.back();
      // Nothing twice, and nothing left out.
      REQUIRE(piece.offset == std::max(reach_, end_));
      REQUIRE(piece.bytes > 0);
      REQUIRE(piece.bytes <= k_piece_bytes_max);
      REQUIRE(piece.bytes % base::k_block_bytes == 0);
      reach_ = piece.offset + piece.bytes;
      REQUIRE(reach_ <= segment_bytes_);
    }
  }

  /// Where the last frame ends.
  [[nodiscard]] std::uint64_t end() const noexcept { return end_; }
  /// How far frames and zeros reach.
  [[nodiscard]] std::uint64_t reach() const noexcept { return std::max(reach_, end_); }
  [[nodiscard]] std::size_t pieces() const noexcept { return pieces_.size(); }
  [[nodiscard]] SimulatedDisk& disk() noexcept { return disk_; }

 private:
  const std::uint64_t segment_bytes_;
  SimulatedDisk disk_;
  Segments segments_;
  std::vector<test::DiskChange> pieces_;
  std::uint64_t frame_ = 0;
  std::uint64_t end_ = 0;
  std::uint64_t reach_ = 0;
};

TEST_CASE("zeros reach half a MiB beyond the last frame at least, and a MiB at most") {
  constexpr std::uint64_t k_segment_bytes = 16 * k_mib;
  // The largest frames are longer than the zeros before them.
  const auto frame_bytes_max = GENERATE(test::values<std::uint64_t>({base::k_block_bytes, 64 << 10, 2 * k_mib}));
  Random random(test::seed());
  Ahead ahead(k_segment_bytes);
  while (ahead.end() + k_most_ahead_bytes + frame_bytes_max <= k_segment_bytes) {
    ahead.place((1 + random.below(frame_bytes_max / base::k_block_bytes)) * base::k_block_bytes);
    ahead.rest();
    REQUIRE(ahead.reach() > ahead.end() + k_least_ahead_bytes);
    REQUIRE(ahead.reach() <= ahead.end() + k_most_ahead_bytes);
  }
  CHECK(ahead.pieces() > 0);
}

TEST_CASE("nothing is written ahead beyond the end of a segment, or once it is full") {
  // Files have other lengths where somebody made them so.
  const auto odd_bytes = GENERATE(test::values<std::uint64_t>({0, 100, base::k_block_bytes - 1}));
  const std::uint64_t segment_bytes = 3 * k_mib + odd_bytes;
  const std::uint64_t last_block = segment_bytes / base::k_block_bytes * base::k_block_bytes;
  Ahead ahead(segment_bytes);
  constexpr std::uint64_t k_frame_bytes = std::uint64_t{36} << 10;
  ahead.place(k_frame_bytes);
  ahead.rest();
  while (ahead.end() + k_frame_bytes <= segment_bytes) {
    ahead.place(k_frame_bytes);
    ahead.rest();
    REQUIRE(ahead.reach() >= std::min(ahead.end() + k_least_ahead_bytes, last_block));
  }
  const std::uint64_t room = (segment_bytes - ahead.end()) / base::k_block_bytes * base::k_block_bytes;
  if (room != 0) ahead.place(room);
  const std::size_t pieces = ahead.pieces();
  ahead.rest();
  CHECK(ahead.pieces() == pieces);
  CHECK(must(must(ahead.disk().open(test::log_options().directory / segment_file_name(1), {}))->size()) ==
        segment_bytes);
}

TEST_CASE("a segment that is used again is not written ahead: it has its blocks") {
  Ahead first(2 * k_mib);
  first.place(base::k_block_bytes);
  SimulatedDisk& disk = first.disk();
  const std::filesystem::path directory = test::log_options().directory;
  Segments segments(disk, directory, k_store_id, 2 * k_mib);
  segments.take_over({}, 0, must(list_segments(disk, directory, k_store_id)), k_era + 1);
  (void)must(segments.place(base::k_block_bytes, 1, k_era + 1));
  CHECK(segments.spare_count() == 0);
  CHECK_FALSE(must(segments.prewrite()));
  CHECK(first.pieces() == 0);
}

}  // namespace
}  // namespace actable::wal
