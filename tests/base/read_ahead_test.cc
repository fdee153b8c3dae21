#include "base/read_ahead.h"

#include "tests/support/catch.h"
#include "tests/support/results.h"
#include "tests/support/seed.h"
#include "tests/support/wait.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <vector>

// Files that are read before somebody asks.
namespace actable::base {
namespace {

using test::must;
using test::outcome;
using test::Random;
using test::until;

constexpr std::size_t k_window = ReadAhead::k_window_bytes;

/// Bytes that say where they are. Reads fail from an offset on, if told to.
class NumberedFile final : public File {
 public:
  explicit NumberedFile(std::uint64_t bytes, unsigned salt = 0) : bytes_(bytes), salt_(salt) {}

  std::optional<std::uint64_t> fails_from{};
  std::atomic<std::uint64_t> reads{0};
  std::atomic<bool> misaligned{false};

  [[nodiscard]] std::byte at(std::uint64_t offset) const noexcept {
    return static_cast<std::byte>(offset + (offset >> 8) + (offset >> 16) + salt_);
  }

  Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> into) override {
    if (fails_from && offset >= *fails_from) return fail(ErrorCode::io_error, "as told");
    const auto address = reinterpret_cast<std::uintptr_t>(into.data());
    if ((offset | into.size() | address) % k_block_bytes != 0) misaligned = true;
    const auto there = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), bytes_ - offset));
    for (std::size_t i = 0; i < there; ++i) into[i] = at(offset + i);
    ++reads;
    return there;
  }
  Result<void> write(std::uint64_t, std::span<const std::byte>) override { return {}; }
  Result<void> sync() override { return {}; }
  Result<void> allocate(std::uint64_t) override { return {}; }
  Result<std::uint64_t> size() override { return bytes_; }
  [[nodiscard]] bool direct() const noexcept override { return true; }
  [[nodiscard]] int descriptor() const noexcept override { return -1; }
  [[nodiscard]] const std::filesystem::path& path() const noexcept override { return path_; }

  [[nodiscard]] bool holds(std::uint64_t offset, std::span<const std::byte> bytes) const {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      if (bytes[i] != at(offset + i)) return false;
    }
    return true;
  }

 private:
  std::uint64_t bytes_;
  unsigned salt_;
  std::filesystem::path path_ = "numbered";
};

TEST_CASE("what is asked for is there, over the borders of windows and files, with threads and without") {
  const unsigned threads = GENERATE(0u, 1u, 3u);
  Random random(test::seed());
  // Not a multiple of anything.
  constexpr std::uint64_t k_bytes = 20 * k_window + 12'345;
  NumberedFile one(k_bytes, 1), two(k_bytes, 2);
  ReadAhead ahead(threads);
  ahead.add(one, 2 * k_block_bytes, k_bytes);
  ahead.add(two, 0, k_bytes);
  for (NumberedFile* const file : {&one, &two}) {
    std::uint64_t offset = file == &one ? 2 * k_block_bytes : 0;
    while (offset < k_bytes) {
      const std::size_t asked = 1 + random.below(random.below(10) == 0 ? 3 * k_window : 100'000);
      const auto view = must(ahead.view(*file, offset, asked));
      REQUIRE(view.has_value());
      REQUIRE(view->bytes.size() == std::min<std::uint64_t>(asked, k_bytes - offset));
      REQUIRE(file->holds(offset, view->bytes));
      offset += view->bytes.size();
    }
    CHECK_FALSE(must(ahead.view(*file, k_bytes, 1)).has_value());
  }
  // Each window once.
  CHECK(one.reads + two.reads == 42);
  CHECK_FALSE(one.misaligned);
  CHECK_FALSE(two.misaligned);
}

TEST_CASE("so many windows are read before anybody asks, and no more") {
  NumberedFile file(100 * k_window);
  ReadAhead ahead(2);
  ahead.add(file, 0, 100 * k_window);
  until("the windows are read", [&] { return file.reads == ReadAhead::k_windows; });
  CHECK(must(ahead.view(file, 3 * k_window, 10)).has_value());
  until("as many more as were let go of", [&] { return file.reads == ReadAhead::k_windows + 3; });
  CHECK(file.reads == ReadAhead::k_windows + 3);
}

TEST_CASE("a view stays what it is while windows are used again, and after all has ended") {
  constexpr std::uint64_t k_bytes = 40 * k_window;
  NumberedFile file(k_bytes);
  std::vector<std::pair<std::uint64_t, FileView>> views;
  {
    ReadAhead ahead(2);
    ahead.add(file, 0, k_bytes);
    for (std::uint64_t at = 0; at < k_bytes; at += 5 * k_block_bytes) {
      const auto view = must(ahead.view(file, at, k_block_bytes));
      REQUIRE(view.has_value());
      if (at % 7 == 0) views.emplace_back(at, *view);
    }
  }
  for (const auto& [at, view] : views) REQUIRE(file.holds(at, view.bytes));
}

TEST_CASE("a place that was not added, or was let go of, is not there") {
  NumberedFile file(4 * k_window), other(4 * k_window);
  ReadAhead ahead(1);
  ahead.add(file, k_window, 4 * k_window);
  CHECK_FALSE(must(ahead.view(file, 0, 1)).has_value());
  CHECK_FALSE(must(ahead.view(other, k_window, 1)).has_value());
  CHECK(must(ahead.view(file, 2 * k_window, 1)).has_value());
  CHECK_FALSE(must(ahead.view(file, k_window, 1)).has_value());
  ahead.add(other, 0, 4 * k_window);
  ahead.drop(file);
  CHECK_FALSE(must(ahead.view(file, 2 * k_window, 1)).has_value());
  const auto reads = file.reads.load();
  CHECK(other.holds(0, must(ahead.view(other, 0, 100))->bytes));
  CHECK(must(ahead.view(other, 3 * k_window, 1)).has_value());
  CHECK(file.reads == reads);
}

TEST_CASE("what could not be read fails for the one who asks for it, and nothing before it") {
  const unsigned threads = GENERATE(0u, 2u);
  NumberedFile file(6 * k_window);
  file.fails_from = 2 * k_window;
  ReadAhead ahead(threads);
  ahead.add(file, 0, 6 * k_window);
  CHECK(must(ahead.view(file, k_window, k_window)).has_value());
  CHECK(outcome(ahead.view(file, 2 * k_window - 10, 20)) == "io_error");
  CHECK(outcome(ahead.view(file, 2 * k_window, 20)) == "io_error");
}

}  // namespace
}  // namespace actable::base
