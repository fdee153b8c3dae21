#include "base/record_memory.h"
#include "tests/base/record_memory_place.h"
#include "tests/support/catch.h"
#include "tests/support/forked.h"
#include "tests/support/seed.h"
#include "tests/support/threads.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstring>
#include <latch>
#include <set>
#include <span>
#include <thread>

namespace actable::base {
namespace {

using test::on_another_thread;
using test::Random;
using test::scaled;
using test::together;

constexpr std::size_t k_mib = std::size_t{1} << 20;
// Of memory that goes round, so much may be on its way: a thread begins an epoch
// with every 9 MiB that it retires at the latest, and the one before it is safe
// by then.
constexpr std::size_t k_on_the_way_bytes = 24 * k_mib;

/// Hands blocks from one thread to another, a few at a time.
/// Thread safety: *synchronized*.
class Belt {
 public:
  void put(const Block& block) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return blocks_.size() < k_blocks_max; });
    blocks_.push_back(block);
    changed_.notify_all();
  }
  [[nodiscard]] std::vector<Block> take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !blocks_.empty(); });
    changed_.notify_all();
    return std::exchange(blocks_, {});
  }

 private:
  static constexpr std::size_t k_blocks_max = 64;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Block> blocks_;
};

/// Sizes to check classes at: all small ones, the edges of each class, and samples.
std::vector<std::size_t> interesting_sizes() {
  std::vector<std::size_t> sizes;
  for (std::size_t bytes = 1; bytes <= 4096; ++bytes) sizes.push_back(bytes);
  for (std::size_t edge = 4096; edge < k_block_class_bytes_max; edge = RecordMemory::class_bytes(edge + 1)) {
    for (const std::size_t bytes : {edge - 1, edge, edge + 1}) sizes.push_back(bytes);
  }
  Random random(test::seed());
  for (int i = 0; i < 10'000; ++i) sizes.push_back(1 + random.below(k_block_class_bytes_max));
  sizes.push_back(k_block_class_bytes_max);
  std::ranges::sort(sizes);
  return sizes;
}

}  // namespace

TEST_CASE("a size class holds its sizes and wastes at most a sixteenth", "[record_memory]") {
  std::size_t before = 0;
  for (const std::size_t bytes : interesting_sizes()) {
    const std::size_t taken = RecordMemory::class_bytes(bytes);
    INFO(bytes << " bytes take " << taken);
    if (taken < bytes || taken < before) FAIL("too little, or less than a smaller size takes");
    if (bytes <= 512 && taken != (bytes + 7) / 8 * 8) FAIL("not the next multiple of 8");
    if (bytes > 512 && (taken - bytes) * 16 > bytes) FAIL("more than a sixteenth is wasted");
    if (RecordMemory::class_bytes(taken) != taken) FAIL("a class does not hold its own size");
    before = taken;
  }
  CHECK(RecordMemory::class_bytes(k_block_class_bytes_max) == k_block_class_bytes_max);
}

TEST_CASE("blocks are aligned to 8 bytes, and to 64 from 1 KiB on", "[record_memory]") {
  Place place;
  Random random(test::seed());
  for (int i = 0; i < 5'000; ++i) {
    const std::size_t bytes = 1 + random.skewed(64 * 1024);
    const auto address = reinterpret_cast<std::uintptr_t>(place.allocate(bytes).at);
    if (address % (bytes >= 1'024 ? 64 : 8) != 0) FAIL(bytes << " bytes at " << address);
  }
}

TEST_CASE("blocks in use do not overlap, while others are given back", "[record_memory]") {
  Place place;
  Random random(test::seed());
  std::vector<Block> live;
  for (std::uint64_t i = 1; i <= scaled(200'000); ++i) {
    if (live.size() < 500 || random.one_in(2)) {
      live.push_back(place.allocate(1 + random.skewed(16 * 1024), i));
      continue;
    }
    std::swap(live[random.below(live.size())], live.back());
    if (!live.back().whole()) FAIL("a block in use was written to by another owner");
    if (random.one_in(4)) {
      place.release(live.back());
    } else {
      place.retire(live.back());
    }
    live.pop_back();
  }
  CHECK(std::ranges::all_of(live, &Block::whole));
}

TEST_CASE("the largest blocks can be written from end to end, and are used again", "[record_memory]") {
  Place place;
  for (std::uint64_t i = 0; i < 30; ++i) {
    const Block block = place.allocate(k_block_class_bytes_max, i);
    CHECK(block.whole());
    place.retire(block);
    place.epochs.advance();
  }
  CHECK(place.memory.carved_bytes() <= 4 * k_block_class_bytes_max);
}

TEST_CASE("a block that nobody else has seen can be used again at once", "[record_memory]") {
  Place place;
  const std::size_t bytes = GENERATE(16U, 100U, 3000U, 100'000U);
  const Block first = place.allocate(bytes);
  const std::size_t carved = place.memory.carved_bytes();
  place.release(first);
  for (int i = 0; i < 1000; ++i) {
    const Block again = place.allocate(bytes);
    if (again.at != first.at) FAIL("another block was taken");
    place.release(again);
  }
  CHECK(place.memory.carved_bytes() == carved);
  CHECK(place.memory.retired_bytes() == 0);
}

TEST_CASE("many blocks that nobody has seen can be given back in any order", "[record_memory]") {
  Place place;
  Random random(test::seed());
  for (int wave = 0; wave < 50; ++wave) {
    std::vector<Block> blocks;
    for (std::uint64_t i = 0; i < 300; ++i) blocks.push_back(place.allocate(200, i));
    CHECK(std::ranges::all_of(blocks, &Block::whole));
    std::ranges::shuffle(blocks, random);
    for (const Block& block : blocks) place.release(block);
    place.epochs.advance();
  }
  CHECK(place.memory.carved_bytes() <= 512 * 1024);
}

TEST_CASE("a retired block is not used again while a reader from before is pinned", "[record_memory]") {
  Place place;
  // One class whose blocks wait alone, and one where many wait together.
  const std::size_t bytes = GENERATE(100'000U, 400U);
  const std::size_t count = bytes > 1000 ? 10 : 1000;
  std::vector<Block> old;
  for (std::uint64_t i = 0; i < count; ++i) old.push_back(place.allocate(bytes, i));
  std::set<void*> retired;
  {
    const Reader reader(place);
    for (const Block& block : old) {
      place.retire(block);
      retired.insert(block.at);
    }
    for (std::size_t i = 0; i < 2 * count; ++i) {
      place.epochs.advance();
      const Block fresh = place.allocate(bytes, 1'000'000 + i);
      if (retired.contains(fresh.at)) FAIL("a block was reused under a pinned reader");
    }
    CHECK(std::ranges::all_of(old, &Block::whole));
    // All but a magazine that is not full.
    CHECK(place.memory.retired_bytes() + 64 * 1024 > count * RecordMemory::class_bytes(bytes));
  }
  place.epochs.advance();
  std::size_t reused = 0;
  for (std::size_t i = 0; i < count; ++i) reused += retired.contains(place.allocate(bytes).at) ? 1 : 0;
  INFO("of " << count << " retired blocks " << reused << " are used again");
  // The last magazine need not be full, and is not reused until it is.
  CHECK(reused + (bytes > 1000 ? 0 : 61) >= count);
}

TEST_CASE("a thread that replaces blocks for ever needs no more memory", "[record_memory]") {
  Place place;
  const std::size_t bytes = GENERATE(24U, 200U, 5'000U, 70'000U);
  const std::uint64_t rounds = 4 * k_on_the_way_bytes / bytes;
  for (std::uint64_t i = 0; i < rounds; ++i) {
    const Block block = place.allocate(bytes, i);
    if (!block.whole()) FAIL("a block was written to by another owner");
    place.retire(block);
  }
  INFO(rounds << " blocks of " << bytes << " bytes, " << place.memory.carved_bytes() << " carved");
  CHECK(place.memory.carved_bytes() <= k_on_the_way_bytes);
  CHECK(place.memory.retired_bytes() <= k_on_the_way_bytes);
}

TEST_CASE("full magazines of retired blocks are counted until they can be used again", "[record_memory]") {
  constexpr std::uint64_t k_two_magazines = 122;
  Place place;
  std::vector<Block> blocks;
  for (std::uint64_t i = 0; i < k_two_magazines; ++i) blocks.push_back(place.allocate(100, i));
  CHECK_FALSE(place.cache().budget_due());
  for (const Block& block : blocks) place.retire(block);
  CHECK(place.memory.retired_bytes() == k_two_magazines * 104);
  CHECK(place.cache().budget_due());
  place.cache().budget_kept();
  CHECK_FALSE(place.cache().budget_due());
  place.epochs.advance();
  for (std::uint64_t i = 0; i < k_two_magazines; ++i) (void)place.allocate(100, i);
  CHECK(place.memory.retired_bytes() == 0);
}

TEST_CASE("what one thread gives back reaches another that allocates", "[record_memory]") {
  Place place;
  const std::size_t bytes = GENERATE(64U, 1024U, 66'000U);
  const std::uint64_t blocks = 4 * k_on_the_way_bytes / bytes;
  Belt belt;
  together(2, [&](unsigned thread) {
    if (thread == 0) {
      for (std::uint64_t i = 0; i < blocks; ++i) belt.put(place.allocate(bytes, i));
      return;
    }
    for (std::uint64_t taken = 0; taken < blocks;) {
      for (const Block& block : belt.take()) {
        expect(block.whole() && block.number == taken++, "a block was written to by another owner");
        place.retire(block);
      }
    }
  });
  INFO(blocks << " blocks of " << bytes << " bytes, " << place.memory.carved_bytes() << " carved");
  CHECK(place.memory.carved_bytes() <= k_on_the_way_bytes + 128 * bytes);
}

TEST_CASE("surplus reaches threads that start later", "[record_memory]") {
  Place place;
  for (int wave = 0; wave < 100; ++wave) {
    std::vector<Block> handed;
    on_another_thread([&] {
      for (std::uint64_t i = 0; i < 3'000; ++i) handed.push_back(place.allocate(1000, i));
    });
    CHECK(std::ranges::all_of(handed, &Block::whole));
    for (const Block& block : handed) place.retire(block);
    place.epochs.advance();
  }
  INFO(place.memory.carved_bytes() << " carved for 100 waves of 3 MB");
  CHECK(place.memory.carved_bytes() <= k_on_the_way_bytes);
}

TEST_CASE("threads that come and go leave their memory to the next", "[record_memory]") {
  Place place;
  for (int wave = 0; wave < 1'000; ++wave) {
    on_another_thread([&] {
      for (std::uint64_t i = 0; i < 100; ++i) place.retire(place.allocate(500 + i, i));
    });
  }
  // Of 55 MB that all of them together went through.
  CHECK(place.memory.carved_bytes() <= k_on_the_way_bytes);
}

TEST_CASE("large blocks give their pages back when they change hands", "[record_memory]") {
  Place place;
  constexpr std::size_t k_bytes = 40'000;
  std::vector<Block> blocks;
  for (std::uint64_t i = 1; i <= 200; ++i) blocks.push_back(place.allocate(k_bytes, i));
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (i == 100) place.epochs.advance();
    place.retire(blocks[i]);
  }
  std::size_t reused = 0;
  std::size_t empty = 0;
  on_another_thread([&] {
    const WritePin pin(place.epochs, place.slot());
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      void* const at = place.memory.allocate(place.cache(), k_bytes);
      const auto old = std::ranges::find(blocks, at, &Block::at);
      if (old == blocks.end()) continue;
      ++reused;
      empty += std::ranges::all_of(old->words(), [](std::uint64_t word) { return word == 0; }) ? 1 : 0;
    }
  });
  INFO(reused << " blocks came to another thread, " << empty << " of them without their pages");
  CHECK(reused > 50);
  CHECK(empty == reused);
}

TEST_CASE("pages that a large block shares with its neighbours stay", "[record_memory]") {
  Place place;
  // Eight pages and a half.
  constexpr std::size_t k_bytes = 34'816;
  REQUIRE(RecordMemory::class_bytes(k_bytes) == k_bytes);
  std::vector<Block> kept;
  std::vector<Block> given;
  for (std::uint64_t i = 1; i <= 400; ++i) (i % 2 == 0 ? kept : given).push_back(place.allocate(k_bytes, i));
  for (std::size_t i = 0; i < given.size(); ++i) {
    if (i == given.size() / 2) place.epochs.advance();
    place.retire(given[i]);
  }
  CHECK(std::ranges::any_of(given, [](const Block& block) { return block.words()[block.words().size() / 2] == 0; }));
  CHECK(std::ranges::all_of(kept, &Block::whole));
}

TEST_CASE("readers on many threads find whole blocks while others replace them", "[record_memory]") {
  struct Head {
    std::size_t words;
    std::uint64_t number;
  };
  Place place;
  std::array<std::atomic<Head*>, 32> shown{};
  std::atomic<std::uint64_t> looked{0};
  together(8, [&](unsigned thread) {
    Random random(test::seed() + thread);
    Epochs::Slot& slot = place.slot();
    RecordMemory::Cache& cache = place.cache();
    const auto words_of = [](Head* head) { return std::span(reinterpret_cast<std::uint64_t*>(head + 1), head->words); };
    const auto check = [&](Head* head) {
      for (const std::uint64_t word : words_of(head)) expect(word == head->number, "a block is not whole");
    };
    for (std::uint64_t i = 0; i < scaled(60'000); ++i) {
      std::atomic<Head*>& at = shown[random.below(shown.size())];
      if (random.one_in(2)) {
        const ReadPin pin(place.epochs, slot);
        if (Head* const found = at.load(std::memory_order_acquire); found != nullptr) check(found);
        looked.fetch_add(1, std::memory_order_relaxed);
        continue;
      }
      const WritePin pin(place.epochs, slot);
      const std::size_t words = random.skewed(random.one_in(100) ? 10'000 : 100);
      const auto bytes_of = [](std::size_t count) { return sizeof(Head) + count * sizeof(std::uint64_t); };
      void* const memory = place.memory.allocate(cache, bytes_of(words));
      expect(memory != nullptr, "memory is exhausted");
      auto* const fresh = new (memory) Head{words, random()};
      std::ranges::fill(words_of(fresh), fresh->number);
      if (random.one_in(8)) {
        place.memory.release(cache, fresh, bytes_of(words));
        continue;
      }
      Head* const old = at.exchange(fresh, std::memory_order_acq_rel);
      if (old == nullptr) continue;
      check(old);
      place.memory.retire(cache, old, bytes_of(old->words));
    }
  });
  CHECK(looked.load() > 0);
  for (const auto& at : shown) CHECK(at.load() != nullptr);
}

TEST_CASE("without memory an allocation returns null, and works again once some was given back", "[record_memory]") {
  if (test::k_address_sanitizer || test::k_thread_sanitizer) return;  // They need address space without limit.
  enum Outcome { as_due, no_limit, never_null, not_again };
  const int outcome = test::in_forked_child([] {
    const rlimit limit{std::size_t{256} << 20, std::size_t{256} << 20};
    if (setrlimit(RLIMIT_AS, &limit) != 0) return no_limit;
    Place place;
    Epochs::Slot& slot = place.slot();
    RecordMemory::Cache& cache = place.cache();
    void* last = nullptr;
    for (std::uint64_t taken = 0;; taken += 100'000) {
      if (taken > limit.rlim_max) return never_null;
      const WritePin pin(place.epochs, slot);
      void* const block = place.memory.allocate(cache, 100'000);
      if (block == nullptr) break;
      last = block;
    }
    {
      const WritePin pin(place.epochs, slot);
      place.memory.retire(cache, last, 100'000);
    }
    place.epochs.advance();
    const WritePin pin(place.epochs, slot);
    return place.memory.allocate(cache, 100'000) == last ? as_due : not_again;
  });
  CHECK(outcome == as_due);
}

/// Whether all pages that a block touches are there.
bool resident(const void* block, std::size_t bytes) {
  constexpr std::uintptr_t k_page_bytes = 4096;
  const auto at = reinterpret_cast<std::uintptr_t>(block);
  const std::uintptr_t first = at / k_page_bytes * k_page_bytes;
  std::vector<unsigned char> pages((at + bytes - first + k_page_bytes - 1) / k_page_bytes);
  expect(mincore(reinterpret_cast<void*>(first), at + bytes - first, pages.data()) == 0, "mincore");
  return std::ranges::all_of(pages, [](unsigned char page) { return (page & 1) != 0; });
}

TEST_CASE("memory that is carved next is there already when another thread populates it", "[record_memory]") {
  constexpr std::size_t k_bytes = 8192;
  Place place;
  const auto take = [&place] {
    const WritePin pin(place.epochs, place.slot());
    return place.memory.allocate(place.cache(), k_bytes);
  };
  CHECK_FALSE(place.memory.populate_ahead());
  (void)take();
  // An arena of small pages.
  CHECK_FALSE(place.memory.populate_ahead());
  // Two MiB and a half into the first arena that is large enough for huge ones.
  std::size_t before = place.memory.reserved_bytes();
  while (place.memory.reserved_bytes() - before < 16 * k_mib) {
    before = place.memory.reserved_bytes();
    (void)take();
  }
  for (std::size_t taken = 0; taken < 5 * k_mib / 2; taken += k_bytes) (void)take();
  void* probe = mmap(nullptr, k_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const bool known = madvise(probe, k_bytes, MADV_POPULATE_WRITE) == 0;
  munmap(probe, k_bytes);
  unsigned steps = 0;
  std::jthread([&] {
    while (place.memory.populate_ahead()) ++steps;
  }).join();
  if (!known) return;  // Linux before 5.14.
  CHECK(steps > 0);
  CHECK(steps <= 8);
  // The page that is being filled and the one behind it are the writer's own.
  for (std::size_t taken = 0; taken < 7 * k_mib / 2; taken += k_bytes) (void)take();
  bool all = true;
  for (std::size_t taken = 0; taken < 2 * k_mib; taken += k_bytes) all &= resident(take(), k_bytes);
  CHECK(all);
}

}  // namespace actable::base
