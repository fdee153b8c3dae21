#include "tests/store/vocabulary.h"

#include "tests/support/seed.h"
#include "tests/support/temporary_directory.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>

namespace actable::test {

Options small_store(const std::filesystem::path& directory, LogIo io) {
  Options options;
  options.directory = directory;
  options.log_io = io;
  options.segment_bytes = std::uint64_t{4} << 20;
  // So that buffers have 64 KiB, which the large values of tests do not fit.
  options.staging_bytes = std::size_t{16} << 20;
  return options;
}

std::vector<LogIo> every_log_io() {
  static const std::vector<LogIo> found = [] {
    std::vector<LogIo> all{LogIo::pwrite};
    const TemporaryDirectory directory;
    if (Store::open(small_store(directory / "store", LogIo::io_uring))) all.push_back(LogIo::io_uring);
    return all;
  }();
  return found;
}

Content content(const Space& space) {
  Content found;
  Cursor cursor = space.scan();
  while (must(cursor.next())) {
    const Entry& entry = cursor.entry();
    const bool is_new = found.emplace(entry.key, Held{std::string(entry.value), entry.seq}).second;
    expect(is_new, "a scan returned a key twice");
  }
  return found;
}

std::string difference(const Content& found, const Content& due) {
  std::size_t differing = 0;
  std::string first;
  const auto differs = [&](const std::string& key, const std::string& how) {
    if (differing++ == 0) first = "`" + key.substr(0, 40) + "` " + how;
  };
  for (const auto& [key, record] : due) {
    const auto at = found.find(key);
    if (at == found.end()) {
      differs(key, "is missing");
    } else if (at->second.seq != record.seq) {
      differs(key, "has number " + std::to_string(at->second.seq) + " and not " + std::to_string(record.seq));
    } else if (at->second.value != record.value) {
      differs(key, "has another value");
    }
  }
  for (const auto& [key, record] : found) {
    if (!due.contains(key)) differs(key, "is there with number " + std::to_string(record.seq) + " and should not be");
  }
  return differing == 0 ? first : first + ", and " + std::to_string(differing - 1) + " other differences";
}

std::optional<Held> held(const Space& space, std::string_view key) {
  std::optional<Held> found;
  must(space.visit(key, [&](const Entry& entry) { found = Held{std::string(entry.value), entry.seq}; }));
  return found;
}

std::string sealed(std::uint64_t number, std::size_t bytes) {
  expect(bytes >= sizeof number, "a sealed value needs 8 bytes");
  std::string value(bytes, '\0');
  std::memcpy(value.data(), &number, sizeof number);
  Random filler(number ^ bytes);
  for (std::size_t at = sizeof number; at < bytes; at += sizeof number) {
    const std::uint64_t word = filler();
    std::memcpy(value.data() + at, &word, std::min(sizeof word, bytes - at));
  }
  return value;
}

std::optional<std::uint64_t> unseal(std::string_view value) {
  std::uint64_t number = 0;
  if (value.size() < sizeof number) return std::nullopt;
  std::memcpy(&number, value.data(), sizeof number);
  return value == sealed(number, value.size()) ? std::optional(number) : std::nullopt;
}

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace actable::test
