// Segments that erasures have left nearly empty are merged, while others read,
// write and scan.

#include "tests/support/catch.h"
#include "tests/support/park.h"
#include "tests/table/table_fixture.h"

#include <array>
#include <atomic>
#include <barrier>

using namespace actable;
using namespace actable::test;

namespace {

std::string key_of(std::uint64_t i) { return "key" + std::to_string(i); }

void put_all(Table& table, std::uint64_t keys) {
  for (std::uint64_t i = 0; i < keys; ++i) table.put(key_of(i), "value");
}

/// So that no write can be numbered below the tombstones.
void erase_all(Table& table, std::uint64_t keys, std::uint64_t from = 0) {
  for (std::uint64_t i = from; i < keys; ++i) table.erase(key_of(i));
  table.epochs.advance();
  table.epochs.advance();
}

void tidy(Table& table, table::TidyPosition position) {
  while (!position.done) {
    const base::ReadPin pin(table.epochs, table.slot());
    expect(table.under_test().tidy(table.cache(), position, 1'000), "memory is exhausted");
  }
}

}  // namespace

TEST_CASE("segments that erasures have left nearly empty are merged, and split again when keys come back") {
  Table table;
  const std::uint64_t keys = scaled(20'000);
  const std::uint64_t stay = keys / 20;
  put_all(table, keys);
  for (int round = 0; round < 3; ++round) {
    const table::TableStats full = table.stats();
    erase_all(table, keys, stay);
    table.tidy();
    const table::TableStats thin = table.stats();
    INFO(full.segments << " segments, then " << thin.segments);
    CHECK(thin.segments * 5 <= full.segments + 5);
    CHECK(thin.segment_bytes * 5 <= full.segment_bytes + 5 * table::Segment::bytes_for(30));
    CHECK(table.content().size() == stay);
    for (std::uint64_t i = 0; i < stay; ++i) CHECK(table.find(key_of(i)).has_value());
    CHECK_FALSE(table.find(key_of(keys - 1)).has_value());
    put_all(table, keys);
    CHECK(table.stats().splits > thin.splits);
    CHECK(table.content().size() == keys);
  }
  erase_all(table, keys);
  table.tidy();
  CHECK(table.stats().segments == 1);
  CHECK(table.content().empty());
}

TEST_CASE("well filled segments are not merged, nor are those of other hashes than one's own") {
  Table table;
  const std::uint64_t keys = scaled(20'000) + 5'000;
  put_all(table, keys);
  table.tidy();
  CHECK(table.stats().merges == 0);
  erase_all(table, keys);
  constexpr std::uint64_t k_quarter = std::uint64_t{1} << 62;
  for (std::uint64_t part = 0; part < 4; ++part) {
    tidy(table, {.begin = part * k_quarter, .end = (part + 1) * k_quarter});
  }
  CHECK(table.stats().segments == 4);
  table.tidy();
  CHECK(table.stats().segments == 1);
}

TEST_CASE("keys that are there throughout come once while segments are merged and split between a scan's steps") {
  Table table;
  Random random(seed());
  const auto staying = [](std::uint64_t i) { return "stays" + std::to_string(i); };
  const std::uint64_t stays = 1 + random.below(2'000);
  for (std::uint64_t i = 0; i < stays; ++i) table.put(staying(i), "value");
  const std::uint64_t wave = 6'000;
  for (int scans = 0; scans < 4; ++scans) {
    put_all(table, wave);
    bool there = true;
    std::map<std::string, unsigned> times;
    for (table::ScanPosition position; !position.done;) {
      table.scan(position, [&times](const table::Record& record) {
        if (record.key().starts_with("stays")) ++times[std::string(record.key())];
      });
      if (!random.one_in(25)) continue;
      if (there) {
        erase_all(table, wave);
        table.tidy();
      } else {
        put_all(table, wave);
      }
      there = !there;
    }
    CHECK(times.size() == stays);
    for (const auto& [key, count] : times) CHECK(count == 1);
  }
  CHECK(table.stats().merges > 10);
}

TEST_CASE("nothing is lost and no number goes back while segments are merged and split", "[merge]") {
  Table table;
  constexpr unsigned k_writers = 3;
  constexpr std::uint64_t k_shared = 300;
  const std::uint64_t own_keys = 6'000;
  const int waves = static_cast<int>(scaled(8)) + 2;
  std::atomic<unsigned> writing{k_writers};
  std::array<Content, k_writers> contents;
  std::array<std::uint64_t, k_writers> added{};
  std::barrier together_again(k_writers);
  for (std::uint64_t i = 0; i < k_shared; ++i) table.put("shared" + std::to_string(i), "0");
  together(k_writers + 2, [&](unsigned thread) {
    if (thread == k_writers) {
      while (writing.load(std::memory_order_acquire) != 0) {
        table.epochs.advance();
        table.tidy();
      }
      return;
    }
    if (thread == k_writers + 1) {
      while (writing.load(std::memory_order_acquire) != 0) {
        // `content` throws where a key comes twice.
        std::uint64_t shared = 0;
        for (const auto& [key, held] : table.content()) shared += key.starts_with("shared") ? 1 : 0;
        expect(shared == k_shared, "a scan missed a key");
      }
      return;
    }
    const struct Done {
      std::atomic<unsigned>& writing;
      ~Done() { writing.fetch_sub(1, std::memory_order_acq_rel); }
    } done{writing};
    Random random(seed() + thread);
    Content& own = contents[thread];
    const auto own_key = [thread](std::uint64_t i) { return std::to_string(thread) + "." + std::to_string(i); };
    for (int wave = 0; wave < waves; ++wave) {
      const std::uint64_t merges = table.stats().merges;
      for (std::uint64_t i = 0; i < own_keys; ++i) own[own_key(i)] = Held{"v", table.put(own_key(i), "v")};
      for (std::uint64_t i = 0; i < own_keys; ++i) {
        if (random.one_in(20)) continue;
        expect((table.erase(own_key(i)) != 0) == (own.erase(own_key(i)) != 0), "an erasure found no key");
        if (random.one_in(4)) {
          table.update("shared" + std::to_string(random.below(k_shared)),
                       [](const std::optional<Held>& old) { return std::to_string(std::stoull(old->value) + 1); });
          ++added[thread];
        }
        const auto at = own.find(own_key(random.below(own_keys)));
        if (at != own.end()) expect(table.find(at->first) == at->second, "a key is not as its thread left it");
      }
      // All have erased: now it is nearly empty, and may be so until that was seen.
      together_again.arrive_and_wait();
      while (table.stats().merges == merges) own[own_key(0)] = Held{"v", table.put(own_key(0), "v")};
      together_again.arrive_and_wait();
    }
  });
  Content found = table.content();
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < k_shared; ++i) {
    const auto at = found.find("shared" + std::to_string(i));
    REQUIRE(at != found.end());
    sum += std::stoull(at->second.value);
    found.erase(at);
  }
  CHECK(sum == added[0] + added[1] + added[2]);
  Content due;
  for (const Content& own : contents) due.insert(own.begin(), own.end());
  CHECK(difference(found, due) == "");
}

TEST_CASE("a merge that is given up because others write leaves nothing behind") {
  // What it had done when it was stopped, and the half that is written to then.
  const auto [point, nth] =
      GENERATE(values<std::pair<std::string, unsigned>>({{"table.claim", 1}, {"table.claim", 2}, {"table.merge", 1}}));
  const std::uint64_t half = GENERATE(0, 1);
  INFO("at " << point << ", time " << nth << ", half " << half);
  Table table;
  // Of the left half of all hashes, and the right one.
  const auto key_in = [&table](std::uint64_t which, std::uint64_t i) {
    return table.key_at((which << 63 | i << 20) + i % 128, which << 32 | i);
  };
  Content stay;
  for (std::uint64_t i = 0; i < 2'000; ++i) {
    for (const std::uint64_t which : {0, 1}) {
      const Seq seq = table.put(key_in(which, i), "v");
      if (i < 100) stay[key_in(which, i)] = Held{"v", seq};
    }
  }
  for (std::uint64_t i = 100; i < 2'000; ++i) {
    for (const std::uint64_t which : {0, 1}) table.erase(key_in(which, i));
  }
  table.epochs.advance();
  table.epochs.advance();
  // Of either half one segment is left.
  constexpr std::uint64_t k_half = std::uint64_t{1} << 63;
  for (const std::uint64_t which : {0, 1}) tidy(table, {.begin = which * k_half, .end = (which + 1) * k_half});
  REQUIRE(table.stats().segments == 2);
  const std::uint64_t merges = table.stats().merges;
  ParkedThread parked(point, nth, [&] {
    const base::ReadPin pin(table.epochs, table.slot());
    table::TidyPosition position;
    expect(table.under_test().tidy(table.cache(), position, 1'000), "memory is exhausted");
  });
  REQUIRE(parked.stopped());
  const std::string written = key_in(half, 7);
  stay[written] = Held{"new", table.put(written, "new")};
  CHECK(differs_from(table, stay) == "");
  parked.resume();
  CHECK(differs_from(table, stay) == "");
  // It is done nevertheless where both halves were claimed and the right one was met.
  CHECK(table.stats().merges == merges + (point == "table.merge" && half == 1 ? 1 : 0));
  table.tidy();
  CHECK(table.stats().segments == 1);
  CHECK(table.stats().segment_bytes == table::Segment::bytes_for(table::Segment::k_chain_buckets));
  CHECK(differs_from(table, stay) == "");
}
