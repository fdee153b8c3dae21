#include "wal/staging.h"

#include "tests/support/catch.h"
#include "tests/support/seed.h"
#include "tests/wal/log_fixture.h"

#include <atomic>
#include <chrono>
#include <future>
#include <string>
#include <thread>
#include <vector>

namespace actable::wal {
namespace {

using namespace std::chrono_literals;
using test::Random;

constexpr std::size_t k_mib = std::size_t{1} << 20;

Deadline in(std::chrono::milliseconds time) { return std::chrono::steady_clock::now() + time; }

/// A thread's stager and the pool that it takes from.
struct Staging {
  BufferPool pool{64 * k_mib};
  Stager stager;

  ~Staging() {
    for (Buffer* buffer = stager.first.load(); buffer != nullptr;) {
      Buffer* const next = buffer->next.load();
      pool.give_back(buffer);
      buffer = next;
    }
  }

  /// Stages a record of so many bytes, in a fresh buffer if this one has no room.
  void stage(base::Epoch epoch, Seq seq, std::size_t bytes) {
    if (!has_room(stager, bytes)) {
      Buffer* const fresh = pool.try_take(k_frame_header_bytes + bytes);
      REQUIRE(fresh != nullptr);
      if (fresh->oversize) {
        stager.reserved = fresh;
      } else {
        adopt(stager, fresh);
      }
    }
    REQUIRE(has_room(stager, bytes));
    const std::string value(bytes - k_record_header_bytes - 1, 'v');
    append(stager, epoch, {seq, 1, false, "k", value});
  }
};

/// The numbers of the records in a frame.
std::vector<Seq> numbers_in(const Buffer& buffer, const StagedFrame& frame) {
  std::vector<Seq> numbers;
  const std::size_t from = frame.begin + k_frame_header_bytes;
  std::span<const std::byte> rest(buffer.memory + from, frame.end.load() - from);
  while (const auto record = take_record(rest)) numbers.push_back(record->seq);
  REQUIRE(rest.empty());
  REQUIRE(frame.records.load() == numbers.size());
  REQUIRE(frame.seq_max.load() == *std::ranges::max_element(numbers));
  return numbers;
}

TEST_CASE("records of one epoch share a frame, and the next epoch's begins at the next block") {
  Staging staging;
  staging.stage(5, 50, 100);
  CHECK(staging.stager.began_frame);
  staging.stager.began_frame = false;
  staging.stage(5, 52, 200);
  staging.stage(5, 51, 50);
  CHECK_FALSE(staging.stager.began_frame);
  staging.stage(6, 60, 5'000);
  CHECK(staging.stager.began_frame);
  staging.stage(9, 90, 21);

  const Buffer& buffer = *staging.stager.current;
  REQUIRE(buffer.frame_count.load() == 3);
  const auto& frames = buffer.frames;
  CHECK((frames[0].begin == 0 && frames[0].epoch == 5));
  CHECK(frames[0].end.load() == k_frame_header_bytes + 350);
  CHECK((frames[1].begin == 4'096 && frames[1].epoch == 6));
  CHECK(frames[1].end.load() == 4'096 + k_frame_header_bytes + 5'000);
  CHECK((frames[2].begin == 12'288 && frames[2].epoch == 9));
  CHECK(numbers_in(buffer, frames[0]) == std::vector<Seq>{50, 52, 51});
  CHECK(numbers_in(buffer, frames[1]) == std::vector<Seq>{60});
  CHECK(numbers_in(buffer, frames[2]) == std::vector<Seq>{90});
}

TEST_CASE("where there is room there is room in any epoch, for any sizes") {
  Random random(test::seed());
  for (std::uint64_t run = 0; run < test::scaled(200); ++run) {
    Staging staging;
    base::Epoch epoch = 1;
    const std::uint64_t stay = 1 + random.below(8);
    std::vector<Seq> expected;
    for (Seq seq = 1; seq <= 300; ++seq) {
      const std::size_t largest = k_buffer_bytes_min - k_frame_header_bytes - k_record_header_bytes - 1;
      staging.stage(epoch, seq, k_record_header_bytes + 1 + random.skewed(random.one_in(9) ? 3 * largest : largest));
      expected.push_back(seq);
      if (random.one_in(stay)) epoch += 1 + random.below(2);
    }
    // Buffers, frames and records are found in the order of staging.
    std::vector<Seq> found;
    base::Epoch last = 0;
    for (const Buffer* buffer = staging.stager.first.load(); buffer != nullptr; buffer = buffer->next.load()) {
      std::size_t end = 0;
      REQUIRE(buffer->frame_count.load() <= buffer->bytes / base::k_block_bytes);
      for (std::uint32_t i = 0; i < buffer->frame_count.load(); ++i) {
        const StagedFrame& frame = buffer->frames[i];
        REQUIRE((frame.begin % base::k_block_bytes == 0 && frame.begin >= end));
        end = base::round_up(frame.end.load(), base::k_block_bytes);
        REQUIRE(end <= buffer->bytes);
        REQUIRE((i == 0 ? frame.epoch >= last : frame.epoch > last));
        last = frame.epoch;
        std::ranges::copy(numbers_in(*buffer, frame), std::back_inserter(found));
      }
    }
    REQUIRE(found == expected);
  }
}

TEST_CASE("a record that is copied ahead of its number becomes part of the frame with it") {
  Staging staging;
  const std::string value(100, 'v');
  const LogRecord unnumbered{0, 1, false, "key", value};
  const std::size_t bytes = record_bytes(unnumbered.key.size(), value.size());
  // A frame must be begun first: of this thread, and of this epoch.
  CHECK(append_ahead(staging.stager, 5, unnumbered) == nullptr);
  staging.stage(5, 50, 100);
  CHECK(append_ahead(staging.stager, 6, unnumbered) == nullptr);

  const StagedFrame& frame = staging.stager.current->frames[0];
  const std::size_t end = frame.end.load();
  StagedFrame* const ahead = append_ahead(staging.stager, 5, unnumbered);
  REQUIRE(ahead == &frame);
  CHECK((frame.end.load() == end && frame.records.load() == 1));
  append_number(staging.stager, *ahead, bytes, 77);
  CHECK(frame.end.load() == end + bytes);
  staging.stage(5, 60, 21);
  CHECK(numbers_in(*staging.stager.current, frame) == std::vector<Seq>{50, 77, 60});
  std::span<const std::byte> rest(staging.stager.current->memory + end, bytes);
  const auto record = take_record(rest);
  REQUIRE(record);
  CHECK((record->space == 1 && !record->tombstone && record->key == "key" && record->value == value));
}

TEST_CASE("a record that is copied ahead and given up leaves nothing") {
  Staging staging;
  staging.stage(5, 50, 100);
  const std::string value(5'000, 'v');
  REQUIRE(append_ahead(staging.stager, 5, {0, 1, false, "key", value}) != nullptr);
  staging.stage(5, 51, 100);
  REQUIRE(append_ahead(staging.stager, 5, {0, 1, true, "key", value}) != nullptr);
  staging.stage(6, 60, 100);
  const auto& frames = staging.stager.current->frames;
  CHECK(numbers_in(*staging.stager.current, frames[0]) == std::vector<Seq>{50, 51});
  CHECK(numbers_in(*staging.stager.current, frames[1]) == std::vector<Seq>{60});
  CHECK(frames[1].begin == base::k_block_bytes);
}

TEST_CASE("a reserved buffer is used before the present one") {
  Staging staging;
  staging.stage(5, 50, 100);
  staging.stager.reserved = staging.pool.try_take(k_frame_header_bytes + k_buffer_bytes_min);
  REQUIRE(staging.stager.reserved != nullptr);
  CHECK(append_ahead(staging.stager, 5, {0, 1, false, "key", ""}) == nullptr);
  staging.stage(5, 51, k_buffer_bytes_min);
  CHECK(staging.stager.reserved == nullptr);
  CHECK(numbers_in(*staging.stager.current, staging.stager.current->frames[0]) == std::vector<Seq>{51});
}

TEST_CASE("a buffer is closed by the next one, and only then") {
  Staging staging;
  staging.stage(1, 1, 1'000);
  Buffer* const first = staging.stager.current;
  CHECK(staging.stager.first.load() == first);
  staging.stage(1, 2, 60'000);
  CHECK(first->next.load() == nullptr);
  staging.stage(1, 3, 10'000);
  CHECK(first->next.load() == staging.stager.current);
  CHECK(staging.stager.current->next.load() == nullptr);
  CHECK(staging.stager.first.load() == first);
}

TEST_CASE("a record larger than a buffer gets one of its own, which nothing follows in") {
  Staging staging;
  staging.stage(1, 1, 1'000);
  staging.stage(1, 2, k_buffer_bytes_min);
  Buffer* const own = staging.stager.current;
  CHECK(own->oversize);
  CHECK(own->bytes == k_buffer_bytes_min + base::k_block_bytes);
  CHECK_FALSE(has_room(staging.stager, 100));
  staging.stage(1, 3, 100);
  CHECK_FALSE(staging.stager.current->oversize);
  CHECK(own->next.load() == staging.stager.current);
}

TEST_CASE("an oversize buffer is linked when it is used, and has room for what it was reserved for") {
  Staging staging;
  staging.stage(1, 1, 100);
  Buffer* const first = staging.stager.current;
  Buffer* const own = staging.pool.try_take(3 * k_buffer_bytes_min);
  staging.stager.reserved = own;
  CHECK(has_room(staging.stager, 3 * k_buffer_bytes_min - k_frame_header_bytes));
  CHECK_FALSE(has_room(staging.stager, 4 * k_buffer_bytes_min));
  CHECK(first->next.load() == nullptr);
  staging.stage(1, 2, 2 * k_buffer_bytes_min);
  CHECK(staging.stager.current == own);
  CHECK(first->next.load() == own);
  CHECK(staging.stager.reserved == nullptr);
}

TEST_CASE("room for a large write that is not made goes back") {
  test::SimulatedDisk disk;
  test::Life life(disk, test::log_options());
  life.write_durably("small", "1");
  const std::size_t before = life.stats().staging_bytes;
  Stager& stager = *life.log().stager(base::thread_index());
  for (int i = 0; i < 3; ++i) {
    test::must(life.log().reserve(stager, 10 * k_buffer_bytes_min));
    CHECK(life.log().ready(stager, 10 * k_buffer_bytes_min));
    CHECK(life.stats().staging_bytes > before + 10 * k_buffer_bytes_min);
    life.log().unreserve(stager);
    CHECK(life.stats().staging_bytes == before);
  }
  life.write_durably("small", "2");
  CHECK(life.stats().staging_bytes == before);
}

TEST_CASE("the pool's memory has a limit, and one buffer more for each thread") {
  BufferPool pool(k_mib);
  std::vector<Buffer*> taken;
  for (Buffer* buffer = pool.try_take(1); buffer != nullptr; buffer = pool.try_take(1)) taken.push_back(buffer);
  CHECK(taken.size() == 16);
  CHECK(pool.bytes() == k_mib);
  for (const Buffer* buffer : taken) {
    CHECK(buffer->bytes == k_buffer_bytes_min);
    CHECK(reinterpret_cast<std::uintptr_t>(buffer->memory) % base::k_block_bytes == 0);
  }
  pool.add_thread();
  CHECK(pool.try_take(1) != nullptr);
  pool.give_back(taken.back());
  CHECK(pool.try_take(k_buffer_bytes_min) == taken.back());
}

TEST_CASE("a buffer is at most a 256th of the staging memory and a 16th of a segment, within bounds") {
  struct Case {
    std::size_t staging_bytes;
    std::uint64_t segment_bytes;
    std::size_t due;
  };
  const auto [staging_bytes, segment_bytes, due] =
      GENERATE(Case{k_mib, 64 * k_mib, 64 << 10}, Case{32 * k_mib - 1, 64 * k_mib, 64 << 10},
               Case{32 * k_mib, 64 * k_mib, 128 << 10}, Case{64 * k_mib - 1, 64 * k_mib, 128 << 10},
               Case{64 * k_mib, 64 * k_mib, 256 << 10}, Case{4'096 * k_mib, 4'096 * k_mib, 256 << 10},
               Case{64 * k_mib, 4 * k_mib, 256 << 10}, Case{64 * k_mib, 4 * k_mib - 4'096, 128 << 10},
               Case{64 * k_mib, k_mib, 64 << 10});
  Options options;
  options.staging_bytes = staging_bytes;
  options.segment_bytes = segment_bytes;
  CHECK(buffer_bytes_for(options) == due);
}

TEST_CASE("buffers have the size that the pool was given, and come by the MiB") {
  const std::size_t bytes = GENERATE(k_buffer_bytes_min, k_buffer_bytes_max);
  BufferPool pool(2 * k_mib, bytes);
  CHECK(pool.buffer_bytes() == bytes);
  for (std::size_t mib = 1; mib <= 2; ++mib) {
    for (std::size_t i = 0; i < k_slab_bytes / bytes; ++i) {
      const Buffer* const buffer = pool.try_take(bytes);
      REQUIRE(buffer != nullptr);
      CHECK(buffer->bytes == bytes);
      CHECK_FALSE(buffer->oversize);
      CHECK(pool.bytes() == mib * k_slab_bytes);
    }
  }
  CHECK(pool.try_take(bytes) == nullptr);
  Buffer* const own = pool.try_take(bytes + 1);
  REQUIRE(own != nullptr);
  CHECK(own->oversize);
  pool.give_back(own);
}

TEST_CASE("oversize buffers share a limit, but one is always to be had") {
  BufferPool pool(k_mib);
  Buffer* const huge = pool.try_take(5 * k_mib);
  REQUIRE(huge != nullptr);
  CHECK(huge->bytes == 5 * k_mib);
  CHECK(pool.bytes() == 5 * k_mib);
  CHECK(pool.try_take(2 * k_buffer_bytes_min) == nullptr);
  Buffer* const small = pool.try_take(k_buffer_bytes_min);
  CHECK(small != nullptr);

  // Its memory goes before it does: the thread may yet link another to it.
  pool.drop_memory(*huge);
  Buffer* const next = pool.try_take(2 * k_buffer_bytes_min);
  CHECK(next != nullptr);
  pool.give_back(huge);
  pool.give_back(next);
  CHECK(pool.bytes() == 16 * k_buffer_bytes_min);
}

/// Takes all that the pool has.
std::vector<Buffer*> drain(BufferPool& pool) {
  std::vector<Buffer*> taken;
  while (Buffer* const buffer = pool.try_take(1)) taken.push_back(buffer);
  return taken;
}

/// For pools whose buffers come back by themselves.
void not_nudged() {}

TEST_CASE("a taker waits until its deadline and gets nothing, or at once if that is past") {
  BufferPool pool(k_mib);
  const auto taken = drain(pool);
  bool waited = false;
  const auto start = std::chrono::steady_clock::now();
  CHECK(pool.take(1, start + 30ms, waited, not_nudged) == nullptr);
  CHECK(std::chrono::steady_clock::now() >= start + 30ms);
  CHECK(waited);
  CHECK(pool.take(1, start, waited, not_nudged) == nullptr);
  pool.give_back(taken[0]);
  CHECK(pool.take(1, start, waited, not_nudged) == taken[0]);
  CHECK_FALSE(waited);
}

TEST_CASE("a buffer that is given back reaches the one who waits") {
  const std::size_t bytes = GENERATE(std::size_t{1}, 2 * k_buffer_bytes_min);
  BufferPool pool(k_mib);
  drain(pool);
  Buffer* const held = bytes == 1 ? nullptr : pool.try_take(k_mib);
  auto taking = std::async(std::launch::async, [&] {
    bool waited = false;
    return pool.take(bytes, in(60s), waited, not_nudged);
  });
  CHECK(taking.wait_for(10ms) == std::future_status::timeout);
  if (held != nullptr) {
    pool.give_back(held);
    Buffer* const got = taking.get();
    REQUIRE(got != nullptr);
    CHECK(got->oversize);
    pool.give_back(got);
  } else {
    pool.add_thread();
    CHECK(taking.get() != nullptr);
  }
}

TEST_CASE("shutting the pool ends all waiting, for good") {
  BufferPool pool(k_mib);
  drain(pool);
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::future<Buffer*>> taking;
  for (int i = 0; i < 3; ++i) {
    taking.push_back(std::async(std::launch::async, [&] {
      bool waited = false;
      return pool.take(1, in(10min), waited, not_nudged);
    }));
  }
  CHECK(taking[0].wait_for(5ms) == std::future_status::timeout);
  pool.shut();
  for (auto& one : taking) CHECK(one.get() == nullptr);
  bool waited = false;
  CHECK(pool.take(1, in(10min), waited, not_nudged) == nullptr);
  CHECK(std::chrono::steady_clock::now() - start < 5min);
}

TEST_CASE("buffers pass between many threads and are never held by two") {
  BufferPool pool(k_mib);
  std::vector<std::atomic<unsigned>> holders(256);
  std::atomic<unsigned> shared{0};
  std::atomic<std::uint64_t> took{0};
  test::together(6, [&](unsigned thread) {
    Random random(test::seed() + thread);
    std::vector<Buffer*> held;
    for (std::uint64_t i = 0; i < test::scaled(60'000); ++i) {
      if (held.size() < 5 && !random.one_in(3)) {
        bool waited = false;
        Buffer* const buffer = pool.take(1, in(0ms), waited, not_nudged);
        if (buffer == nullptr) continue;
        if (holders[buffer->index].fetch_add(1) != 0) shared.fetch_add(1);
        buffer->memory[0] = static_cast<std::byte>(thread);
        held.push_back(buffer);
        took.fetch_add(1);
      } else if (!held.empty()) {
        Buffer* const buffer = held.back();
        held.pop_back();
        if (buffer->memory[0] != static_cast<std::byte>(thread)) shared.fetch_add(1);
        holders[buffer->index].fetch_sub(1);
        pool.give_back(buffer);
      }
    }
    for (Buffer* const buffer : held) {
      holders[buffer->index].fetch_sub(1);
      pool.give_back(buffer);
    }
  });
  CHECK(shared == 0);
  CHECK(took > 100);
  CHECK(pool.bytes() == k_mib);
  CHECK(drain(pool).size() == 16);
}

}  // namespace
}  // namespace actable::wal
