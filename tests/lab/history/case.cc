#include "tests/lab/history/case.h"

#include "store/access.h"
#include "tests/lab/history/evidence.h"
#include "tests/lab/history/life.h"
#include "tests/lab/history/value.h"
#include "tests/support/results.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace actable::lab::history {

namespace {

using test::must;
using test::Random;
using test::SimulatedDisk;

constexpr std::uint64_t k_lives = 5;

/// Thread safety: *confined*.
class Case {
 public:
  Case(std::uint64_t seed, Tally& tally, bool print)
      : seed_(seed), random_(seed), tally_(tally), print_(print), keys_(4 + random_.below(13)), states_(keys_) {}

  void run() {
    open(std::make_unique<SimulatedDisk>());
    for (std::uint64_t number = 1; number <= k_lives; ++number) {
      const auto ending = static_cast<Ending>(random_.below(k_endings));
      Life life = live(*scene_, *disk_, ending, number, random_());
      note_growth();
      // What the store says while it closes on a disk that is of no more interest.
      if (ending != Ending::closed) (void)store_->close();
      scene_.reset();
      store_.reset();
      open(std::move(life.image));
      verify(life, ending);
      tally_.operations += life.notes.size();
      ++tally_.lives;
      if (ending != Ending::closed) ++tally_.crashes;
    }
    ++tally_.cases;
  }

 private:
  void open(std::unique_ptr<SimulatedDisk> disk) {
    Options options{.directory = "simulated",
                    .shards = 4,
                    .write_interval = std::chrono::milliseconds(1),
                    .sync_interval = std::chrono::milliseconds(1 + random_.below(8)),
                    .segment_bytes = std::uint64_t{1} << 20,
                    .staging_bytes = std::size_t{1} << 20,
                    .log_io = LogIo::pwrite};
    disk_ = std::move(disk);
    store_.emplace(must(store::Access::open(std::move(options), *disk_)));
    std::vector<std::string> names;
    const std::uint64_t hash_seed = store::Access::core(*store_).hash_seed();
    for (std::uint64_t i = 0; i < keys_; ++i) names.push_back(near_key(4 * i, hash_seed));
    // A crash may have taken the spaces with it.
    scene_.emplace(*store_, std::array{must(store_->space("left")), must(store_->space("right"))}, std::move(names));
  }

  void note_growth() {
    for (const Space& space : scene_->spaces) {
      const SpaceStats stats = space.stats();
      tally_.segments_replaced += stats.splits + stats.rebuilds;
    }
  }

  [[nodiscard]] std::vector<State> found() {
    std::vector<State> states(keys_);
    for (std::size_t key = 0; key < keys_; ++key) {
      const auto look = [&](const Entry& entry) {
        states[key] = {.present = true, .exact = true, .value = decode(entry.value), .number = entry.seq};
      };
      (void)must(scene_->space_of(key).visit(scene_->keys[key], look));
    }
    return states;
  }

  /// What was promised before the image was begun holds.
  [[nodiscard]] Cut cut_of(const Life& life, Ending ending) const {
    const RecoveryStats recovery = store_->stats().recovery;
    Cut cut{.number = recovery.cut, .acknowledged_before = life.image_begun, .lost_after = life.image_done};
    if (ending == Ending::closed) {
      require(recovery.clean, "a store that was closed was not recovered as such");
      // Closing succeeded: all that returned, beside it too, is there.
      cut.durable_before = cut.acknowledged_before = cut.lost_after = k_never;
      return cut;
    }
    for (const Promise& promise : life.promises) {
      if (promise.returned >= life.image_begun) continue;
      if (promise.all_returned) cut.durable_before = std::max(cut.durable_before, promise.called);
    }
    return cut;
  }

  /// The highest number that was reported durable. It may be that of no write,
  /// and lie above the cut: a store at rest writes nothing, but counts on.
  [[nodiscard]] static Seq promised(const Life& life) {
    Seq highest = 0;
    for (const Promise& promise : life.promises) {
      if (promise.returned < life.image_begun) highest = std::max(highest, promise.durable);
    }
    return highest;
  }

  void verify(Life& life, Ending ending) {
    const Cut cut = cut_of(life, ending);
    const std::vector<State> states = found();
    std::vector<KeyHistory> histories(keys_);
    const Seq durable = promised(life);
    Seq highest = std::max(highest_, durable);
    std::map<Seq, const Operation*> numbered;
    for (const Noted& note : life.notes) {
      const Operation& operation = note.operation;
      histories[note.key].operations.push_back(operation);
      if (operation.seq == 0 || !may_write(operation)) continue;
      require_own_number(numbered, operation);
      require(operation.seq > highest_, "a number of an earlier life came again: " + call_text(operation) + " -> " +
                                            result_text(operation) + "; the highest was " + std::to_string(highest_));
      highest = std::max(highest, operation.seq);
      if (operation.seq < cut.number) continue;
      require(operation.seq > durable,
              "lost with the cut " + std::to_string(cut.number) + ", though the number " + std::to_string(durable) +
                  " had been reported durable: " + call_text(operation) + " -> " + result_text(operation));
      ++tally_.lost;
    }
    for (std::size_t key = 0; key < keys_; ++key) {
      histories[key].before = states_[key];
      histories[key].cut = cut;
      histories[key].cut->recovered = states[key];
      if (print_) print(key, histories[key]);
      verify_key(key, histories[key]);
    }
    tally_.promises += life.promises.size();
    tally_.checkpoints += life.checkpoints;
    highest_ = std::max(highest, cut.number - 1);
    states_ = states;
    // The number of what erased a key is not to be seen any more.
    for (State& state : states_) {
      if (!state.present) state.number = highest_;
    }
  }

  /// No two writes have one number, whatever their keys, but for those of a batch.
  static void require_own_number(std::map<Seq, const Operation*>& numbered, const Operation& write) {
    const auto [known, is_new] = numbered.emplace(write.seq, &write);
    const Operation& other = *known->second;
    const bool of_one_batch = is_of_batch(write) && is_of_batch(other) && write.called == other.called;
    require(is_new || of_one_batch, "two writes have one number: " + call_text(other) + " -> " + result_text(other) +
                                        ", " + call_text(write) + " -> " + result_text(write));
  }

  void verify_key(std::size_t key, const KeyHistory& history) {
    const Verdict verdict = check(history);
    tally_.widest = std::max(tally_.widest, verdict.widest);
    if (!verdict.right) throw Found(evidence(name_of(key), history, verdict, seed_));
  }

  [[nodiscard]] std::string name_of(std::size_t key) const {
    return "key " + std::to_string(key) + " of " + std::to_string(keys_) + " in life " +
           std::to_string(tally_.lives + 1);
  }

  void print(std::size_t key, const KeyHistory& history) const {
    std::printf("%s\n%s\n", name_of(key).c_str(), whole_text(history).c_str());
  }

  const std::uint64_t seed_;
  Random random_;
  Tally& tally_;
  const bool print_;
  const std::size_t keys_;
  std::unique_ptr<SimulatedDisk> disk_;
  std::optional<Store> store_;
  std::optional<Scene> scene_;
  /// What each key held when the life began, and the highest number until then.
  std::vector<State> states_;
  Seq highest_ = 0;
};

}  // namespace

void run_case(std::uint64_t seed, Tally& tally, bool print) { Case(seed, tally, print).run(); }

}  // namespace actable::lab::history
