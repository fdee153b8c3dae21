// What people and programs configure with: actable-bench's command line, the
// options of a store, the names of spaces. The first byte of the input says
// which; arguments are parted by zeros.

#include "benchmarks/settings.h"
#include "store/checks.h"
#include "tests/lab/fuzz/expect.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace actable::lab::fuzz {
namespace {

constexpr std::size_t k_arguments_max = 64;

std::vector<std::string> arguments(std::string_view text) {
  std::vector<std::string> found{"actable-bench"};
  while (!text.empty() && found.size() < k_arguments_max) {
    const std::size_t end = std::min(text.find('\0'), text.size());
    found.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return found;
}

/// A command line gives settings that can be run, help, or one line of complaint.
void check_command_line(std::string_view text) {
  std::vector<std::string> words = arguments(text);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  const auto settings = bench::parse_settings(static_cast<int>(argv.size()), argv.data());
  if (!settings) {
    const bench::Exit& exit = settings.error();
    expect(exit.status == 0 || exit.status == 2, "exit status " + std::to_string(exit.status));
    expect(!exit.message.empty(), "nothing is said");
    if (exit.status == 2) {
      expect(exit.message.find('\n') == std::string::npos, "a complaint of several lines: " + exit.message);
    }
    return;
  }
  expect(!settings->benchmarks.empty() && !settings->engines.empty(), "nothing to run");
  expect(settings->num >= 1 && settings->threads >= 1 && settings->threads <= settings->num, "no threads or no keys");
  // No batch was given: each workload has its own.
  expect(settings->batch <= 4'096 && settings->repeat >= 1, "a batch that is too large, or no repetition");
  expect(settings->rate >= 0 && settings->duration_s >= 0, "a rate or a duration that is no number");
  for (const bench::Workload* const workload : settings->benchmarks) (void)settings->operations(*workload);
}

/// Takes an integer off the input.
template <class T>
T take(std::string_view& text) {
  T value{};
  const std::size_t bytes = std::min(text.size(), sizeof value);
  std::memcpy(&value, text.data(), bytes);
  text.remove_prefix(bytes);
  return value;
}

/// Options that are accepted are what include/actable/options.h says.
void check_store_options(std::string_view text) {
  using std::chrono::milliseconds;
  Options options;
  options.shards = take<unsigned>(text);
  options.write_interval = milliseconds(take<std::int64_t>(text));
  options.sync_interval = milliseconds(take<std::int64_t>(text));
  options.segment_bytes = take<std::uint64_t>(text);
  options.staging_bytes = take<std::size_t>(text);
  options.write_deadline = milliseconds(take<std::int64_t>(text));
  options.retired_bytes = take<std::size_t>(text);
  options.log_io = static_cast<LogIo>(take<std::uint8_t>(text));
  const auto checked = store::check_options(options);
  if (!checked) {
    expect(checked.error().code == ErrorCode::invalid_argument, "refused with another code");
    expect(checked.error().message.contains("Options::"), "no option is named: " + checked.error().message);
    return;
  }
  constexpr std::uint64_t k_mib = std::uint64_t{1} << 20;
  const auto within = [](auto value, auto least, auto most) { return least <= value && value <= most; };
  expect(options.shards == 0 || (std::has_single_bit(options.shards) && options.shards <= k_shards_max), "shards");
  expect(within(options.write_interval, milliseconds(1), milliseconds(10'000)), "write_interval");
  expect(within(options.sync_interval, options.write_interval, milliseconds(60'000)), "sync_interval");
  expect(within(options.segment_bytes, k_mib, k_mib << 12) && options.segment_bytes % 4096 == 0, "segment_bytes");
  expect(within(options.staging_bytes, k_mib, k_mib << 12), "staging_bytes");
  expect(within(options.write_deadline, milliseconds(0), milliseconds(3'600'000)), "write_deadline");
  expect(within(options.retired_bytes, k_mib, k_mib << 16), "retired_bytes");
}

/// A name that is accepted has the length and no control characters.
void check_name(std::string_view name) {
  const auto checked = store::check_space_name(name);
  if (!checked) {
    expect(checked.error().code == ErrorCode::invalid_argument, "refused with another code");
    return;
  }
  expect(!name.empty() && name.size() <= k_space_name_bytes_max, "a name of such a length");
  const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  expect(std::ranges::none_of(name, control), "a control character in a name");
  for (const std::string_view refused : {"\xc0", "\xc1", "\xf5", "\xff", "\xed\xa0"}) {
    expect(!name.contains(refused), "a name that is not UTF-8");
  }
}

}  // namespace
}  // namespace actable::lab::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace actable::lab::fuzz;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      check_command_line(text);
      break;
    case 1:
      check_store_options(text);
      break;
    default:
      check_name(text);
      break;
  }
  return 0;
}
