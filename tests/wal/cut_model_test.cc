#include "tests/support/catch.h"
#include "tests/wal/log_fixture.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <limits>
#include <mutex>
#include <string>
#include <thread>

// The rules of leases, epochs, rounds and the cut (docs/architecture.md), checked
// on the code and not on a model of it: random writers, a power cut at a random
// moment, and then what is recovered must be
//   an exact prefix by number that holds all that was durable,
//   closed under real time: no effect without its cause,
//   of whole batches,
//   and for each key the last one published below the cut wins.
namespace actable::wal {
namespace {

using namespace std::chrono_literals;
using test::below;
using test::difference;
using test::Found;
using test::Life;
using test::log_options;
using test::look;
using test::must;
using test::Random;
using test::Record;
using test::Records;
using test::scaled;
using test::SimulatedDisk;

constexpr unsigned k_threads = 3;
constexpr std::size_t k_keys = 4;

struct Operation {
  std::uint64_t start;
  std::uint64_t end;
  Seq seq;
  std::size_t records;
};

/// Writers over a table that holds for each key the number last published, and
/// a crash while they write.
class Model {
 public:
  Model(SimulatedDisk& disk, const Options& options, std::uint64_t seed)
      : disk_(disk), life_(disk, options), seed_(seed) {}

  void run(std::uint64_t operations) {
    Random random(seed_);
    const std::uint64_t crash_at = random.below(operations * k_threads);
    test::together(k_threads + 1, [&](unsigned thread) {
      if (thread == k_threads) {
        test::until("it is time to crash", [&] { return done_.load() >= crash_at; });
        durable_ = life_.durable();
        left_ = disk_.power_cut(random);
        return;
      }
      Random own(seed_ * k_threads + thread + 1);
      for (std::uint64_t i = 0; i < operations; ++i) {
        operate(own);
        done_.fetch_add(1);
      }
    });
  }

  [[nodiscard]] std::unique_ptr<SimulatedDisk> take_left() { return std::move(left_); }
  [[nodiscard]] const Records& recovered() const { return life_.recovered(); }
  [[nodiscard]] Records written() const { return life_.written(); }
  [[nodiscard]] Seq durable() const noexcept { return durable_; }

  /// What is wrong with a cut here; empty if nothing is.
  [[nodiscard]] std::string violation(Seq cut) const {
    std::uint64_t kept_start_last = 0;
    std::uint64_t lost_end_first = std::numeric_limits<std::uint64_t>::max();
    for (const Operation& operation : operations_) {
      if (operation.seq < cut) {
        kept_start_last = std::max(kept_start_last, operation.start);
      } else {
        lost_end_first = std::min(lost_end_first, operation.end);
        if (operation.seq < durable_) return "number " + std::to_string(operation.seq) + " was durable and is lost";
      }
    }
    if (lost_end_first < kept_start_last) return "an effect is kept and its cause is lost";
    return {};
  }

 private:
  void operate(Random& random) {
    const std::size_t key = random.below(k_keys);
    const std::uint64_t kind = random.below(10);
    Records records(1);
    records[0].key = std::to_string(key);
    records[0].value = std::string(random.skewed(random.one_in(50) ? 80'000 : 2'000), 'v');
    if (kind == 0) {
      records[0].value.clear();
      records[0].tombstone = true;
    } else if (kind <= 2) {
      records.push_back({.key = std::to_string((key + 1) % k_keys), .value = "of a batch"});
    }
    const std::size_t count = records.size();

    const std::uint64_t start = clock_.fetch_add(1);
    const Seq seq = must(life_.try_stage(std::move(records), [&](const Life::Draw& draw) {
      return count == 1 ? publish_one(key, draw, random) : publish_two(key, draw, random);
    }));
    if (random.one_in(20)) must(life_.wait_durable(seq));
    const std::uint64_t end = clock_.fetch_add(1);
    const std::lock_guard lock(mutex_);
    operations_.push_back({start, end, seq, count});
  }

  /// Rules 1, 3 and 5: read, draw above it, swap; look again after a lost race.
  Seq publish_one(std::size_t key, const Life::Draw& draw, Random& random) {
    while (true) {
      Seq old = table_[key].load();
      if (random.one_in(4)) std::this_thread::yield();
      const Seq seq = draw(old);
      if (seq <= old) test::fail_test("a number is not above the one that it replaces");
      if (table_[key].compare_exchange_strong(old, seq)) return seq;
    }
  }

  /// Rule 4: one number above all that was read; keys overtaken are left.
  Seq publish_two(std::size_t key, const Life::Draw& draw, Random& random) {
    std::atomic<Seq>& first = table_[key];
    std::atomic<Seq>& second = table_[(key + 1) % k_keys];
    const Seq floor = std::max(first.load(), second.load());
    if (random.one_in(4)) std::this_thread::yield();
    const Seq seq = draw(floor);
    if (seq <= floor) test::fail_test("a batch's number is not above those that it replaces");
    for (std::atomic<Seq>* slot : {&first, &second}) {
      Seq old = slot->load();
      while (old < seq && !slot->compare_exchange_weak(old, seq)) {
      }
    }
    return seq;
  }

  SimulatedDisk& disk_;
  Life life_;
  const std::uint64_t seed_;
  std::array<std::atomic<Seq>, k_keys> table_{};
  std::atomic<std::uint64_t> clock_{1};
  std::atomic<std::uint64_t> done_{0};
  std::mutex mutex_;
  std::vector<Operation> operations_;
  std::unique_ptr<SimulatedDisk> left_;
  Seq durable_ = 0;
};

TEST_CASE("a power cut at any time leaves an exact prefix of what was written, life after life") {
  const LogIo io = GENERATE(test::from_range(test::every_log_io()));
  std::uint64_t kept = 0;
  std::uint64_t lost = 0;
  for (std::uint64_t run = 0; run < scaled(60); ++run) {
    const std::uint64_t seed = test::seed() + run;
    Random random(seed);
    Options options = log_options(io);
    options.write_interval = std::chrono::milliseconds(random.below(2));
    options.sync_interval = std::chrono::milliseconds(random.one_in(3) ? 1'000'000 : random.below(4));
    auto disk = std::make_unique<SimulatedDisk>();
    Records due;
    Seq highest = 0;
    for (std::uint64_t crash = 0; crash < 3; ++crash) {
      INFO("seed " << seed << ", crash " << crash);
      std::unique_ptr<SimulatedDisk> left;
      {
        Model model(*disk, options, seed * 3 + crash);
        REQUIRE(difference(model.recovered(), due) == "");
        model.run(20 + random.below(100));
        left = model.take_left();
        const Found found = must(look(*left, options));
        const Records written = model.written();
        REQUIRE(written.front().seq > highest);
        highest = written.back().seq;
        const Records prefix = below(found.end.cut, written);
        due.insert(due.end(), prefix.begin(), prefix.end());
        REQUIRE(difference(found.records, due) == "");
        REQUIRE(model.violation(found.end.cut) == "");
        kept += prefix.size();
        lost += written.size() - prefix.size();
      }
      disk = std::move(left);
    }
  }
  CHECK(kept > 0);
  CHECK(lost > 0);
}

}  // namespace
}  // namespace actable::wal
