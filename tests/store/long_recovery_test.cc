#include "store/access.h"
#include "tests/store/vocabulary.h"
#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/seed.h"
#include "tests/support/simulated_disk.h"

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

// Stores with so much to read that several threads recover them.
namespace actable::test {
namespace {

Options long_store() {
  Options options = small_store("/simulated", LogIo::pwrite);
  options.segment_bytes = std::uint64_t{4} << 20;
  // So that frames are as long as they get.
  options.staging_bytes = std::size_t{64} << 20;
  options.write_deadline = std::chrono::minutes(10);
  return options;
}

/// Spaces with records that overwrite and erase each other, in batches too.
///
/// Thread safety: *confined*.
class Writing {
 public:
  Writing(Store& store, std::uint64_t seed) : store_(store), random_(seed) {}

  /// Writes about so many bytes.
  void go_on(std::size_t bytes) {
    for (std::size_t done = 0; done < bytes;) {
      Space space = must(store_.space(name(random_.below(k_spaces))));
      if (random_.one_in(8)) must(space.erase(key()));
      if (random_.one_in(50)) {
        const std::string dropped = name(random_.below(k_spaces));
        must(store_.drop_space(dropped));
        space = must(store_.space(dropped));
      }
      Batch batch;
      for (std::uint64_t i = 0; i <= random_.below(4); ++i) {
        const std::string value = sealed(random_(), 8 + random_.below(20'000));
        must(batch.put(space, key(), value));
        done += value.size();
      }
      must(store_.write(batch));
    }
  }

  [[nodiscard]] std::map<std::string, Content> contents() const {
    std::map<std::string, Content> found;
    for (const std::string& space : store_.spaces()) found[space] = content(must(store_.space(space)));
    return found;
  }

 private:
  static constexpr std::uint64_t k_spaces = 5;
  static std::string name(std::uint64_t n) { return "space" + std::to_string(n); }
  std::string key() { return "key" + std::to_string(random_.below(400)); }

  Store& store_;
  Random random_;
};

void expect_same(const std::map<std::string, Content>& found, const std::map<std::string, Content>& due) {
  CHECK(found.size() == due.size());
  for (const auto& [space, of_space] : due) {
    INFO(space);
    REQUIRE(found.contains(space));
    CHECK(difference(found.at(space), of_space) == "");
  }
}

TEST_CASE("a store with a long log comes back whole, with a checkpoint before it and without") {
  const bool with_checkpoint = GENERATE(false, true);
  const Options options = long_store();
  const std::size_t bytes = std::size_t{30} << 20;
  SimulatedDisk disk;
  std::map<std::string, Content> due;
  {
    Store store = must(store::Access::open(options, disk));
    Writing writing(store, seed());
    writing.go_on(with_checkpoint ? bytes / 2 : bytes);
    if (with_checkpoint) {
      must(store.checkpoint());
      writing.go_on(bytes / 2);
    }
    must(store.sync());
    due = writing.contents();
  }
  const auto left = disk.killed();
  for (int i = 0; i < 2; ++i) {
    Store store = must(store::Access::open(options, *left));
    Writing writing(store, seed() + 1);
    expect_same(writing.contents(), due);
    const RecoveryStats recovery = store.stats().recovery;
    CHECK(recovery.log_bytes > (std::uint64_t{8} << 20));
    CHECK(recovery.records_applied > 500);
    CHECK((recovery.checkpoint_records > 0) == with_checkpoint);
    // A space that is made now is one that no record of the log is of.
    CHECK(content(must(store.space("new" + std::to_string(i)))).empty());
    due["new" + std::to_string(i)] = {};
  }
}

TEST_CASE("what a long log's records come to is counted as with one thread") {
  const Options options = long_store();
  SimulatedDisk disk;
  constexpr std::uint64_t k_records = 2'000;
  {
    Store store = must(store::Access::open(options, disk));
    Space space = must(store.space("s"));
    for (std::uint64_t i = 0; i < k_records; ++i) must(space.put("k" + std::to_string(i), sealed(i, 10'000)));
    must(store.close());
  }
  Store store = must(store::Access::open(options, disk));
  // And the one that made the space.
  CHECK(store.stats().recovery.records_applied == k_records + 1);
  Space space = must(store.space("s"));
  CHECK(space.size() == k_records);
  CHECK(space.stats().keys == k_records);
}

/// Reports of an opening, each held against the one before.
struct Told {
  std::vector<RecoveryProgress> reports;
  std::function<void(const RecoveryProgress&)> taker() {
    return [this](const RecoveryProgress& progress) { reports.push_back(progress); };
  }
};

TEST_CASE("an opening tells how far it has come: always further, of the same total, and all of it at its end") {
  const bool with_checkpoint = GENERATE(false, true);
  Options options = long_store();
  SimulatedDisk disk;
  {
    Store store = must(store::Access::open(options, disk));
    Writing writing(store, seed() + 2);
    writing.go_on(std::size_t{16} << 20);
    if (with_checkpoint) {
      must(store.checkpoint());
      writing.go_on(std::size_t{12} << 20);
    }
    must(store.close());
  }
  // So slow that there is something to be told.
  FaultyFileSystem slow(disk);
  slow.delay(Call::read, std::chrono::milliseconds(50));
  Told told;
  options.progress = told.taker();
  const auto began = std::chrono::steady_clock::now();
  const Store store = must(store::Access::open(options, slow));
  const auto took = std::chrono::steady_clock::now() - began;
  const std::vector<RecoveryProgress>& reports = told.reports;
  REQUIRE(reports.size() >= 3);
  CHECK(reports.size() <= 2 + static_cast<std::size_t>(took / std::chrono::milliseconds(100)));
  for (std::size_t i = 0; i < reports.size(); ++i) {
    CHECK(reports[i].bytes_total == reports.back().bytes_total);
    CHECK(reports[i].bytes_read <= reports[i].bytes_total);
    if (i > 0) CHECK(reports[i].bytes_read >= reports[i - 1].bytes_read);
    REQUIRE(reports[i].left.has_value());
    CHECK(*reports[i].left >= std::chrono::milliseconds(0));
  }
  CHECK(reports.front().bytes_read > 0);
  CHECK(reports.front().bytes_read < reports.front().bytes_total);
  CHECK(*reports.front().left > std::chrono::milliseconds(0));
  CHECK(reports.back().bytes_read == reports.back().bytes_total);
  CHECK(*reports.back().left == std::chrono::milliseconds(0));
  const RecoveryStats recovery = store.stats().recovery;
  CHECK(reports.back().bytes_total >= recovery.log_bytes + recovery.checkpoint_bytes);
}

TEST_CASE("a store that is made or fails to open tells what it has come to, and one in memory nothing") {
  Told told;
  Options options = long_store();
  options.progress = told.taker();
  SimulatedDisk disk;
  must(must(store::Access::open(options, disk)).close());
  REQUIRE(told.reports.size() == 1);
  CHECK(told.reports[0].bytes_total == 0);
  told.reports.clear();
  disk.bytes("STORE")[30] ^= std::byte{1};
  CHECK(outcome(store::Access::open(options, disk)) == "corrupt");
  CHECK(told.reports.empty());
  options.directory.clear();
  must(must(Store::open(options)).close());
  CHECK(told.reports.empty());
}

}  // namespace
}  // namespace actable::test
