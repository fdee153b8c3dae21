#pragma once

#include "tests/store/vocabulary.h"
#include "tests/support/model.h"
#include "tests/support/seed.h"

#include <actable/store.h>

#include <array>
#include <cstdint>
#include <string>

namespace actable::test {

/// What one `Walk` may touch and how it chooses.
struct WalkPlan {
  std::uint64_t seed = 0;
  /// This walk's keys begin with a byte that is `lane` modulo `lanes`, so that
  /// walks of different lanes share no key.
  unsigned lane = 0;
  unsigned lanes = 1;
  /// Keys that can exist; the table grows while they are first met.
  std::uint64_t keys = 30'000;
  /// Of how many writes one is synchronous; 0: none.
  std::uint64_t sync_one_in = 0;
};

/// Random operations of all kinds on two spaces, each compared with a model.
/// Keys are of 1 to 65,535 bytes and values of 0 bytes to 4 MiB; the short ones
/// are common and the extremes are met every few thousand operations. Throws
/// at the first difference.
///
/// Thread safety: *confined* to one thread.
class Walk {
 public:
  Walk(const WalkPlan& plan, Store& store) : plan_(plan), random_(plan.seed) { use(store); }

  /// Goes on in `store`, which must hold what the one before held.
  void use(Store& store);

  /// One operation.
  void step();

  /// Compares all keys of this lane, through scans.
  void compare_all() const;

  /// The highest number seen.
  [[nodiscard]] Seq last() const noexcept { return last_; }
  [[nodiscard]] std::uint64_t steps() const noexcept { return steps_; }
  [[nodiscard]] std::size_t keys() const noexcept { return models_[0].size() + models_[1].size(); }

 private:
  [[nodiscard]] std::string some_key();
  [[nodiscard]] std::string some_value();
  [[nodiscard]] std::int64_t some_delta();
  [[nodiscard]] WriteOptions some_options();
  [[nodiscard]] bool mine(std::string_view key) const;

  void put();
  void get();
  void visit();
  void multi_get();
  void erase();
  void put_if_absent();
  void compare_and_set();
  void add();
  void update();
  void take();
  void batch();

  /// Chooses where the next operation goes.
  void turn() { at_ = random_.below(2); }
  Space& space() { return *spaces_[at_]; }
  Model& model() { return models_[at_]; }
  /// Takes note of a write's number, or asks the space for it.
  void numbered(const std::string& key, Seq seq);
  void numbered_as_stored(const std::string& key);

  WalkPlan plan_;
  Random random_;
  Store* store_ = nullptr;
  std::array<std::optional<Space>, 2> spaces_;
  std::array<Model, 2> models_;
  std::size_t at_ = 0;
  Seq last_ = 0;
  std::uint64_t steps_ = 0;
};

}  // namespace actable::test
