#include "store/access.h"
#include "store/catalog.h"
#include "tests/support/catch.h"
#include "tests/wal/log_fixture.h"

#include <actable/store.h>

#include <latch>
#include <string>
#include <thread>

// Stores opened from logs that the test has written itself, record by record.
namespace actable::store {
namespace {

using test::Life;
using test::log_options;
using test::must;
using test::outcome;
using test::Record;
using test::SimulatedDisk;

const Options k_options = log_options(LogIo::pwrite);

Record space_record(const std::string& name, std::uint32_t id) {
  return {.key = name, .value = encode_space(id), .space = k_catalog_id};
}

Record record_of(std::uint32_t space, const std::string& key, const std::string& value) {
  return {.key = key, .value = value, .space = space};
}

/// A disk with a log of these records, each numbered above those before it.
std::unique_ptr<SimulatedDisk> disk_with(const test::Records& records) {
  SimulatedDisk disk;
  {
    Life life(disk, k_options);
    for (const Record& record : records) must(life.try_stage({record}));
    must(life.close());
  }
  return disk.killed();
}

Result<Store> try_open(SimulatedDisk& disk) { return Access::open_unchecked(k_options, disk); }

TEST_CASE("a record that names a space in an unknown way is refused with its number, and nothing is changed") {
  const auto disk = disk_with({space_record("a", 1), {.key = "b", .value = "no msgpack", .space = k_catalog_id}});
  const auto before = disk->changes();
  const auto found = try_open(*disk);
  REQUIRE(outcome(found) == "corrupt");
  const Seq number = must(test::look(*disk, k_options)).records.back().seq;
  CHECK_THAT(found.error().message, test::ContainsSubstring("record number " + std::to_string(number) + " "));
  CHECK(disk->changes() == before);
}

TEST_CASE("a record that gives the catalog's own number to a space is refused, and nothing is changed") {
  const auto disk = disk_with({space_record("a", 1), space_record("b", k_catalog_id)});
  const auto before = disk->changes();
  REQUIRE(outcome(try_open(*disk)) == "corrupt");
  CHECK(disk->changes() == before);
}

TEST_CASE("a number of a space behind which there is none is refused, and nothing is changed") {
  const std::uint32_t last = ~std::uint32_t{0};
  for (const Record& record : {space_record("b", last), record_of(last, "k", "v")}) {
    const auto disk = disk_with({space_record("a", 1), record});
    const auto before = disk->changes();
    REQUIRE(outcome(try_open(*disk)) == "corrupt");
    CHECK(disk->changes() == before);
  }
  const auto disk = disk_with({space_record("a", last - 1), record_of(last - 1, "k", "v")});
  Store store = must(try_open(*disk));
  CHECK(must(must(store.space("a")).get("k")) == "v");
  CHECK(outcome(store.space("b")) == "unsupported");
}

TEST_CASE("two spaces of one number are refused by name") {
  const auto disk = disk_with({space_record("a", 7), space_record("b", 8), space_record("c", 7)});
  const auto found = try_open(*disk);
  REQUIRE(outcome(found) == "corrupt");
  CHECK_THAT(found.error().message, test::ContainsSubstring("the same number, 7"));
}

TEST_CASE("a space that was erased from the catalog is gone, with its content, and its number is used no more") {
  const auto disk = disk_with({space_record("kept", 1),
                               record_of(1, "k", "v"),
                               space_record("gone", 9),
                               record_of(9, "k", "old"),
                               {.key = "gone", .space = k_catalog_id, .tombstone = true}});
  for (int opening = 0; opening < 2; ++opening) {
    Store store = must(try_open(*disk));
    CHECK(store.spaces() ==
          (opening == 0 ? std::vector<std::string>{"kept"} : std::vector<std::string>{"kept", "new"}));
    CHECK(must(must(store.space("kept")).get("k")) == "v");
    CHECK(must(store.space("kept")).stats().keys == 1);
    CHECK(must(must(store.space("new")).get("k")) == std::nullopt);
    must(store.close());
  }
}

TEST_CASE("records of a space that the catalog does not know are nobody's, nor of a space made later") {
  const auto disk = disk_with({record_of(1, "k", "of nobody"), record_of(2, "k", "of nobody")});
  for (int opening = 0; opening < 3; ++opening) {
    Store store = must(try_open(*disk));
    const std::string name = "space " + std::to_string(opening);
    CHECK(store.spaces().size() == static_cast<std::size_t>(opening));
    Space space = must(store.space(name));
    CHECK(must(space.get("k")) == std::nullopt);
    must(space.put("own", name));
    must(store.close());
  }
  Store store = must(try_open(*disk));
  for (int opening = 0; opening < 3; ++opening) {
    const std::string name = "space " + std::to_string(opening);
    CHECK(must(must(store.space(name)).get("own")) == name);
    CHECK(must(store.space(name)).stats().keys == 1);
  }
}

TEST_CASE("the number of a space that is only named is used no more either") {
  // The first number that a new store gives.
  const auto disk = disk_with({space_record("a", 1)});
  {
    Store store = must(try_open(*disk));
    Space fresh = must(store.space("b"));
    must(fresh.put("k", "of b"));
    CHECK(must(must(store.space("a")).get("k")) == std::nullopt);
    must(store.close());
  }
  Store store = must(try_open(*disk));
  CHECK(must(must(store.space("a")).get("k")) == std::nullopt);
  CHECK(must(must(store.space("b")).get("k")) == "of b");
}

TEST_CASE("of a key's records the one of the highest number stays, wherever in the log it is") {
  // A round takes the frames of the thread that came first before those of the other.
  const bool first_thread_higher = GENERATE(true, false);
  const bool higher_erases = GENERATE(true, false);
  SimulatedDisk disk;
  {
    Life life(disk, k_options);
    must(life.try_stage({space_record("s", 1)}));
    const Record lower = record_of(1, "k", "lower");
    Record higher = record_of(1, "k", "higher");
    higher.tombstone = higher_erases;
    if (higher_erases) higher.value.clear();
    Seq low = 0;
    std::latch drawn{1};
    std::latch staged{1};
    const auto stage_lower = [&] {
      // Pinned throughout, so that no cut falls between the two.
      must(life.try_stage({lower}, [&](const Life::Draw& draw) {
        low = draw(0);
        drawn.count_down();
        staged.wait();
        return low;
      }));
    };
    const auto stage_higher = [&] {
      drawn.wait();
      must(life.try_stage({higher}, [&](const Life::Draw& draw) { return draw(low); }));
      staged.count_down();
    };
    if (first_thread_higher) {
      std::thread other(stage_lower);
      stage_higher();
      other.join();
    } else {
      std::thread other(stage_higher);
      stage_lower();
      other.join();
    }
    must(life.close());
  }
  const auto left = disk.killed();
  Store store = must(try_open(*left));
  const Space space = must(store.space("s"));
  CHECK(must(space.get("k")) == (higher_erases ? std::nullopt : std::optional<std::string>("higher")));
  CHECK(space.stats().keys == (higher_erases ? 0 : 1));
}

TEST_CASE("a space that was recovered knows its name, and takes the memory of what it holds") {
  // Each replaces the one before it, in all some 20 MB.
  test::Records records{space_record("s", 1)};
  for (int i = 0; i < 20'000; ++i) records.push_back(record_of(1, "k", std::string(1'000, 'v')));
  const auto disk = disk_with(records);
  Store store = must(try_open(*disk));
  CHECK(must(store.space("s")).name() == "s");
  CHECK(store.spaces() == std::vector<std::string>{"s"});
  const std::size_t carved = store.stats().memory.carved_bytes;
  INFO(carved << " bytes");
  CHECK(carved < std::size_t{12} << 20);
}

TEST_CASE("an opening tells its log how much it recovered") {
  const auto disk = disk_with({space_record("s", 1), record_of(1, "a", "1"), record_of(1, "b", "2")});
  std::string told;
  Options options = k_options;
  options.log = [&told](LogLevel level, std::string_view message) {
    if (level == LogLevel::info) told += message;
  };
  Store store = must(Access::open_unchecked(options, *disk));
  CHECK_THAT(told, test::ContainsSubstring("3 records recovered, 0 beyond the cut discarded"));
}

}  // namespace
}  // namespace actable::store
