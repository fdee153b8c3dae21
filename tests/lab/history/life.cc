#include "tests/lab/history/life.h"

#include "base/park.h"
#include "store/access.h"
#include "tests/lab/leg.h"
#include "tests/support/colliding_keys.h"
#include "tests/support/results.h"
#include "tests/support/threads.h"
#include "tests/support/wait.h"

#include <array>
#include <barrier>
#include <chrono>
#include <deque>
#include <functional>
#include <string_view>
#include <thread>

namespace actable::lab::history {

namespace {

using test::Random;

/// Inside writes, batches, and the replacing of a table's segment.
constexpr std::array<std::string_view, 12> k_steps{"epoch.announce",    "store.before_draw",  "store.published",
                                                   "batch.before_draw", "batch.between_keys", "staging.append",
                                                   "table.insert",      "table.update",       "table.freeze",
                                                   "table.copy",        "table.offer",        "table.swing"};

/// Keys that the filling thread uses over and over. Replaying a log drops no
/// tombstone, and goes through each bucket's for each of its records: with ever
/// new keys in one bucket recovery would take longer than all the rest.
constexpr std::uint64_t k_fillers = 1'200;
constexpr std::uint64_t k_first_filler = 1'000;

/// Thread safety: *synchronized*.
class Course {
 public:
  Course(Scene& scene, test::SimulatedDisk& disk, Ending ending, std::uint64_t number, std::uint64_t seed)
      : scene_(scene), disk_(disk), ending_(ending), number_(number), seed_(seed), meeting_(k_clients, Meet{*this}) {
    for (std::uint8_t i = 0; i < k_clients; ++i) clients_.emplace_back(scene, number, i, seed);
  }

  [[nodiscard]] Life run() {
    const std::array<std::function<void()>, 4> others{[this] { fill(); }, [this] { hold_up(); },
                                                      [this] { checkpoint(); }, [this] { end(); }};
    test::together(k_clients + others.size(), [&](unsigned i) {
      try {
        i < k_clients ? work(i) : others[i - k_clients]();
      } catch (...) {
        stop_ = true;
        if (i < k_clients) meeting_.arrive_and_drop();
        throw;
      }
    });
    for (const Client& client : clients_) {
      life_.notes.insert(life_.notes.end(), client.notes().begin(), client.notes().end());
      life_.promises.insert(life_.promises.end(), client.promises().begin(), client.promises().end());
    }
    return std::move(life_);
  }

 private:
  struct Meet {
    Course& course;
    void operator()() const noexcept { course.over_ = course.stop_.load(); }
  };

  void work(unsigned i) {
    Client& client = clients_[i];
    Random random(seed_ ^ (i + 1) * 0x1234567);
    base::park::volunteer(true);
    while (!over_) {
      for (std::uint64_t left = 16 + random.below(64); left > 0 && !stop_; --left) client.do_one();
      if (client.closed()) stop_ = true;
      meeting_.arrive_and_wait();
    }
    base::park::volunteer(false);
  }

  /// Keeps a changing number of keys in the hot keys' bucket of each space.
  void fill() {
    Random random(seed_ + 1000);
    const std::uint64_t hash_seed = store::Access::core(scene_.store).hash_seed();
    const std::uint64_t most = 100 + random.below(700);
    std::uint64_t next = 0;
    std::deque<std::string> there;
    const auto refused = [](const auto& result) {
      if (result) return false;
      require(result.error().refused(), "filling the table failed: " + result.error().message);
      return true;
    };
    base::park::volunteer(true);
    while (!stop_) {
      there.push_back(near_key(k_first_filler + next++ % k_fillers, hash_seed));
      bool over = false;
      for (Space& space : scene_.spaces) over = refused(space.put(there.back(), "filler")) || over;
      if (there.size() > most) {
        for (Space& space : scene_.spaces) over = refused(space.erase(there.front())) || over;
        there.pop_front();
      }
      if (over) break;
    }
    base::park::volunteer(false);
  }

  /// Writes checkpoints, in small parts, so that the life after this one begins with
  /// some of them new and some old. The store itself may be closed meanwhile.
  void checkpoint() {
    Random random(seed_ + 4000);
    store::StoreCore& core = store::Access::core(scene_.store);
    while (!stop_) {
      core.checkpointer().set_part_bytes(1 + random.below(100'000));
      const auto written = core.checkpoint();
      life_.checkpoints += written ? 1 : 0;
      if (!written) {
        const ErrorCode code = written.error().code;
        require(code == ErrorCode::closed || code == ErrorCode::read_only || code == ErrorCode::io_error,
                "writing a checkpoint failed: " + written.error().message);
        if (code != ErrorCode::io_error) return;
      }
      const Stamp next = scene_.clock.load(std::memory_order_relaxed) + random.below(4'000);
      (void)test::eventually(std::chrono::milliseconds(20), [&] { return reached(next); });
    }
  }

  /// Stops a thread at a step inside the store while the others go on.
  void hold_up() {
    Random random(seed_ + 2000);
    while (!stop_) {
      base::park::arm(k_steps[random.below(k_steps.size())], 1 + static_cast<unsigned>(random.below(20)));
      const Stamp until = scene_.clock.load(std::memory_order_relaxed) + 20 + random.below(600);
      (void)test::eventually(std::chrono::milliseconds(1), [&] { return reached(until); });
      base::park::release();
      const Stamp next = scene_.clock.load(std::memory_order_relaxed) + random.below(100);
      (void)test::eventually(std::chrono::milliseconds(1), [&] { return reached(next); });
    }
  }

  /// Lets the clients have the processor if not.
  [[nodiscard]] bool reached(Stamp stamp) const {
    if (stop_ || scene_.clock.load(std::memory_order_relaxed) >= stamp) return true;
    std::this_thread::yield();
    return false;
  }

  void wait_for(Stamp stamp) {
    test::until("the clients go on", [&] { return reached(stamp); });
  }

  /// Lets the life end at some moment, and the clients go on a little.
  void end() {
    Random random(seed_ + 3000);
    wait_for(2 * (200 + random.below(test::scaled(12'000))));
    if (ending_ == Ending::closed) {
      test::must(scene_.store.close());
    } else if (ending_ == Ending::disk_fails) {
      disk_.stop_after(random.below(8));
      wait_for(scene_.clock + random.below(2'000));
    }
    life_.image_begun = scene_.stamp();
    const bool all_told = ending_ == Ending::killed || ending_ == Ending::closed;
    life_.image = all_told ? disk_.killed() : disk_.power_cut(random);
    life_.image_done = scene_.stamp();
    if (ending_ != Ending::closed) wait_for(life_.image_done + random.below(1'000));
    stop_ = true;
  }

  Scene& scene_;
  test::SimulatedDisk& disk_;
  const Ending ending_;
  const std::uint64_t number_;
  const std::uint64_t seed_;
  std::deque<Client> clients_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> over_{false};
  std::barrier<Meet> meeting_;
  Life life_;
};

}  // namespace

Life live(Scene& scene, test::SimulatedDisk& disk, Ending ending, std::uint64_t number, std::uint64_t seed) {
  scene.store_may_be_called = ending != Ending::closed;
  return Course(scene, disk, ending, number, seed).run();
}

std::string near_key(std::uint64_t number, std::uint64_t hash_seed) {
  // The directory looks at the highest bits, which are the same for all, and a
  // segment chooses the bucket by the lowest seven: of these, every fourth number
  // leaves all alone.
  constexpr std::uint64_t k_same = 0x5a5a'0000'0000'0033;
  constexpr std::uint64_t k_elsewhere = 0x0000'ffff'ffff'ff80;
  constexpr std::uint64_t k_other_bucket = 0x4c;
  const std::uint64_t varied = number * 0x9e3779b97f4a7c15;
  const std::uint64_t free_bits = number % 4 == 0 ? k_elsewhere : k_elsewhere | k_other_bucket;
  return test::key_with_hash(k_same | (varied >> 20 & free_bits), number, hash_seed);
}

}  // namespace actable::lab::history
