// Reads past the system's cache, and what stands in for them where there are none.

#include "base/file.h"
#include "tests/support/catch.h"
#include "tests/support/results.h"
#include "tests/support/temporary_directory.h"

#include <array>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace actable::base {
namespace {

using test::must;
using test::TemporaryDirectory;

struct alignas(k_block_bytes) Blocks : std::array<std::byte, 4 * k_block_bytes> {};

/// A file of two blocks and some bytes.
constexpr std::size_t k_bytes = 2 * k_block_bytes + 7;
std::string make_file(const std::filesystem::path& name) {
  std::string text;
  for (std::size_t i = 0; i < k_bytes; ++i) text += static_cast<char>(i % 251);
  std::ofstream(name, std::ios::binary) << text;
  return text;
}

std::string text_of(const Blocks& blocks, std::size_t bytes) {
  return {reinterpret_cast<const char*>(blocks.data()), bytes};
}

TEST_CASE("a direct read ends with the file, wherever that ends") {
  const TemporaryDirectory directory;
  const std::string text = make_file(directory / "f");
  for (const bool direct : {false, true}) {
    CAPTURE(direct);
    const auto file = must(posix_file_system().open(directory / "f", {.direct = direct}));
    const auto blocks = std::make_unique<Blocks>();
    REQUIRE(must(file->read_direct(0, *blocks)) == k_bytes);
    CHECK(text_of(*blocks, k_bytes) == text);
    REQUIRE(must(file->read_direct(k_block_bytes, *blocks)) == k_bytes - k_block_bytes);
    CHECK(text_of(*blocks, k_bytes - k_block_bytes) == text.substr(k_block_bytes));
    CHECK(must(file->read_direct(4 * k_block_bytes, *blocks)) == 0);
  }
}

TEST_CASE("a file that was not opened for direct reads takes them through the cache, aligned or not") {
  const TemporaryDirectory directory;
  const std::string text = make_file(directory / "f");
  const auto file = must(posix_file_system().open(directory / "f", {}));
  CHECK_FALSE(file->direct());
  std::vector<std::byte> few(10);
  REQUIRE(must(file->read_direct(k_block_bytes - 3, few)) == few.size());
  CHECK(std::string(reinterpret_cast<const char*>(few.data()), few.size()) == text.substr(k_block_bytes - 3, 10));
}

TEST_CASE("a file system that refuses direct access has its files read all the same") {
  // The kernel's own files: what is read is what the process was started with.
  const char* const name = "/proc/self/cmdline";
  const auto file = must(posix_file_system().open(name, {.direct = true}));
  CHECK_FALSE(file->direct());
  const auto blocks = std::make_unique<Blocks>();
  const std::size_t bytes = must(file->read_direct(0, *blocks));
  std::ifstream stream(name, std::ios::binary);
  const std::string read(std::istreambuf_iterator<char>(stream), {});
  CHECK(text_of(*blocks, bytes) == read.substr(0, blocks->size()));
  CHECK_FALSE(read.empty());
}

}  // namespace
}  // namespace actable::base
