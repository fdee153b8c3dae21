#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"
#include "tests/wal/log_fixture.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

// Directories that hold more, or less, than a log leaves.
namespace actable::wal {
namespace {

using test::Life;
using test::log_options;
using test::must;
using test::outcome;
using test::SimulatedDisk;

const Options k_options = log_options(LogIo::pwrite);

/// What a crash leaves that came after the first frame and before the identity.
std::unique_ptr<SimulatedDisk> crashed_creation() {
  SimulatedDisk disk;
  const Life life(disk, k_options);
  auto left = disk.killed();
  left->drop(k_identity_file);
  return left;
}

TEST_CASE(
    "a segment without an identity is what a crash left only if it is the first one and holds no more than one frame") {
  const std::string first = segment_file_name(1);
  const std::string second = segment_file_name(2);
  const auto left = crashed_creation();
  CHECK(outcome(Life::begin(*left->killed(), k_options)) == "ok");

  const auto two = left->killed();
  two->put(second, std::vector<std::byte>(base::k_block_bytes));
  CHECK(outcome(Life::begin(*two, k_options)) == "corrupt");

  const auto another = left->killed();
  another->put(second, another->bytes(first));
  another->drop(first);
  CHECK(outcome(Life::begin(*another, k_options)) == "corrupt");
  CHECK(another->names() == std::vector<std::string>{second});

  // The block behind the first frame.
  const auto more = left->killed();
  more->bytes(first).resize(3 * base::k_block_bytes);
  more->bytes(first).back() = std::byte{1};
  const auto damaged = more->killed();
  const auto found = Life::begin(*damaged, k_options);
  CHECK(outcome(found) == "corrupt");
  CHECK_THAT(found.error().message, test::ContainsSubstring("/STORE: offset 0: the file is missing"));

  const auto no_more = left->killed();
  no_more->bytes(first).resize(3 * base::k_block_bytes);
  no_more->bytes(first)[2 * base::k_block_bytes - 1] = std::byte{1};
  CHECK(outcome(Life::begin(*no_more->killed(), k_options)) == "ok");
}

TEST_CASE("what a crash left of a creation and cannot be removed is told, and stays") {
  const auto left = crashed_creation();
  const auto names = left->names();
  test::FaultyFileSystem files(*left);
  files.fail_from(test::Call::remove, 1);
  const auto found = Life::begin(files, k_options);
  CHECK(outcome(found) == "io_error");
  CHECK(left->names() == names);
  files.heal();
  CHECK(outcome(Life::begin(files, k_options)) == "ok");
}

TEST_CASE("a file that bears a segment's name and is none is neither written nor in the way of those to come") {
  SimulatedDisk disk;
  const auto text = std::as_bytes(std::span(std::string_view("a text of somebody's, longer than a header's mark")));
  { const Life life(disk, k_options); }
  for (const std::uint64_t number : {2, 3}) disk.put(segment_file_name(number), {text.begin(), text.end()});
  const auto mixed = disk.killed();
  test::Records due;
  {
    Life life(*mixed, k_options);
    for (int i = 0; i < 8; ++i) life.write_durably("k" + std::to_string(i), std::string(30'000, 'v'));
    due = life.written();
    must(life.close());
  }
  for (const std::uint64_t number : {2, 3}) {
    CHECK(std::ranges::equal(mixed->bytes(segment_file_name(number)), text));
  }
  CHECK(mixed->bytes(segment_file_name(4)).size() >= k_options.segment_bytes);
  const auto left = mixed->killed();
  CHECK(test::difference(Life(*left, k_options).recovered(), due) == "");
}

}  // namespace
}  // namespace actable::wal
