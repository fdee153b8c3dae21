#include "store/maintenance.h"

#include "base/park.h"
#include "store/checks.h"
#include "store/store_core.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace actable::store {
namespace {

// Moved under one pin: some 500 records of 130 bytes, which takes about 0.2 ms.
constexpr std::size_t k_step_bytes = std::size_t{64} << 10;
// Below that a compaction is not worth its while.
constexpr std::size_t k_compacted_bytes_min = std::size_t{8} << 20;
// A store that takes no more is not compacted because it has doubled.
constexpr std::size_t k_doubled_bytes_min = std::size_t{32} << 20;
// Tombstones are dropped by a pass when there are more than these and, beside
// them, a fourth of the keys: then some segments have enough of them.
constexpr std::size_t k_tombstones_min = 4096;
constexpr std::size_t k_tombstones_part = 4;

// A space has counters for each shard; so many take some 0.2 ms.
constexpr std::size_t k_counters_looked_at = 16'384;
constexpr std::size_t k_spaces_looked_at = 256;

// The live bytes stand still when they have changed by no more than this part in
// each of so many looks, three seconds' where an actor looks.
constexpr std::size_t k_still_part = 64;
constexpr unsigned k_looks_still = 4;

// A compaction for which there was no memory is tried again after so many looks at
// the latest, a minute's where an actor looks.
constexpr unsigned k_looks_passed_max = 63;

// Spaces hold the store, so that it would never end.
[[nodiscard]] std::vector<std::weak_ptr<SpaceCore>> weak(const std::vector<std::shared_ptr<SpaceCore>>& spaces) {
  return {spaces.begin(), spaces.end()};
}

}  // namespace

Maintenance::Maintenance(StoreCore& store, unsigned shards)
    : store_(store),
      shards_count_(shards),
      shards_(std::make_unique<Shard[]>(shards)),
      carved_after_(k_doubled_bytes_min / 2) {}

Result<Maintained> Maintenance::step(ThreadContext& context, unsigned shard) {
  auto directed = Result<Maintained>(Maintained::idle);
  if (shard == 0) directed = direct(context);
  if (!directed) return directed;
  auto walked = walk(context, shard);
  if (!walked) return walked;
  return std::max(*directed, *walked);
}

Result<Maintained> Maintenance::walk(ThreadContext& context, unsigned shard) {
  Shard& own = shards_[shard];
  if (own.pass == nullptr) {
    // acquire: what whoever began the pass saw, the memory's new generation, say.
    if (own.done.load(std::memory_order_relaxed) == pass_number_.load(std::memory_order_acquire)) {
      return Maintained::idle;
    }
    {
      const std::lock_guard lock(pass_mutex_);
      own.pass = pass_;
    }
    next_space(own, shard, 0);
  }
  if (own.space == own.pass->spaces.size()) {
    // release: all that was unlinked on the way; pairs with the acquire in pass_done.
    own.done.store(std::exchange(own.pass, nullptr)->number, std::memory_order_release);
    return Maintained::working;
  }
  const std::shared_ptr<SpaceCore> space = own.pass->spaces[own.space].lock();
  bool space_done = space == nullptr;
  if (!space_done) {
    const base::ReadPin pin(store_.epochs(), context.slot);
    if (space->state() == SpaceCore::State::open) {
      if (!space->table().tidy(context.cache(), own.at, k_step_bytes)) return no_memory("a step of maintenance");
      space_done = own.at.done;
    } else {
      space_done = true;
    }
  }
  if (space_done) next_space(own, shard, own.space + 1);
  return Maintained::working;
}

void Maintenance::next_space(Shard& own, unsigned shard, std::size_t space) const noexcept {
  own.space = space;
  own.at = {.begin = store_.shard_map().first_hash(shard), .end = store_.shard_map().end_hash(shard)};
}

Result<Maintained> Maintenance::direct(ThreadContext& context) {
  using Compaction = base::RecordMemory::Compaction;
  if (!pass_done()) return Maintained::waiting;
  Compaction compaction{};
  {
    const base::ReadPin pin(store_.epochs(), context.slot);
    if (!store_.is_open()) return store_.closed_error();
    compaction = store_.memory().compaction();
  }
  switch (compaction) {
    case Compaction::none:
      return direct_idle(context);
    case Compaction::moving:
      return direct_moving(context);
    default:
      return direct_compaction(context);
  }
}

/// Whether all shards have done the latest pass.
bool Maintenance::pass_done() const noexcept {
  const std::uint64_t number = pass_number_.load(std::memory_order_relaxed);
  for (unsigned i = 0; i < shards_count_; ++i) {
    // acquire: pairs with the release in `walk`.
    if (shards_[i].done.load(std::memory_order_acquire) != number) return false;
  }
  return true;
}

Result<Maintained> Maintenance::direct_idle(ThreadContext& context) {
  if (store_.reclaim_some_at_once()) return Maintained::working;
  if (survey_.next == survey_.spaces.size()) survey_ = {.spaces = weak(store_.all_spaces())};
  if (auto looked = look_at_some(context); !looked) return std::unexpected(std::move(looked.error()));
  if (survey_.next < survey_.spaces.size()) return Maintained::looking;
  Look now = std::exchange(survey_, {}).seen;
  {
    const base::ReadPin pin(store_.epochs(), context.slot);
    if (!store_.is_open()) return store_.closed_error();
    const std::size_t carved = store_.memory().carved_bytes();
    // relaxed: a wish; nothing else hangs on it.
    const bool due = compaction_due(now.live_bytes, carved);
    if ((asked_for_.load(std::memory_order_relaxed) || due) && begin_compaction(now.live_bytes)) {
      return Maintained::working;
    }
    if (!now.crowded.empty() && more_tombstones_to_drop()) std::ranges::move(now.crowded, std::back_inserter(now.thin));
  }
  if (now.thin.empty()) return Maintained::idle;
  begin_pass(std::move(now.thin));
  return Maintained::working;
}

/// Than the last pass did: not while somebody holds the epoch back.
bool Maintenance::more_tombstones_to_drop() noexcept {
  store_.epochs().advance();
  const base::Epoch safe = store_.epochs().tombstones_before();
  if (safe <= tombstones_dropped_before_) return false;
  tombstones_dropped_before_ = safe;
  return true;
}

/// The caller is pinned. False when there is no memory for it at present: it is
/// asked for again, after more and more looks.
bool Maintenance::begin_compaction(std::size_t live_bytes) noexcept {
  if (looks_to_pass_ != 0) {
    --looks_to_pass_;
    return false;
  }
  const std::size_t carved = store_.memory().carved_bytes();
  if (!store_.memory().begin_compaction(live_bytes)) {
    looks_passed_ = std::min(2 * looks_passed_ + 1, k_looks_passed_max);
    looks_to_pass_ = looks_passed_;
    return false;
  }
  looks_passed_ = 0;
  asked_for_.store(false, std::memory_order_relaxed);
  moves_ = false;
  live_highest_ = live_bytes;
  carved_at_beginning_ = carved;
  return true;
}

Result<void> Maintenance::look_at_some(ThreadContext& context) {
  const std::size_t spaces_max = std::clamp<std::size_t>(k_counters_looked_at / shards_count_, 1, k_spaces_looked_at);
  const std::size_t end = std::min(survey_.spaces.size(), survey_.next + spaces_max);
  for (; survey_.next < end; ++survey_.next) {
    // Let go of when nothing is pinned: it may be the last one.
    const std::shared_ptr<SpaceCore> space = survey_.spaces[survey_.next].lock();
    const base::ReadPin pin(store_.epochs(), context.slot);
    if (!store_.is_open()) return store_.closed_error();
    if (space != nullptr && space->state() == SpaceCore::State::open) look_at(space, survey_.seen);
  }
  return {};
}

/// The caller is pinned, and the space open.
void Maintenance::look_at(const std::shared_ptr<SpaceCore>& space, Look& seen) {
  // First what may fail: then the space is looked at again.
  seen.crowded.reserve(seen.crowded.size() + 1);
  seen.thin.reserve(seen.thin.size() + 1);
  if (space->tombstones() > k_tombstones_min + space->keys() / k_tombstones_part) {
    seen.crowded.push_back(space);
  } else if (space->has_become_thin()) {
    seen.thin.push_back(space);
  }
  seen.live_bytes += space->bytes_in_use();
}

bool Maintenance::compaction_due(std::size_t live_bytes, std::size_t carved_bytes) noexcept {
  live_highest_ = std::max(live_highest_, live_bytes);
  const std::size_t change = std::max(live_bytes, live_before_) - std::min(live_bytes, live_before_);
  looks_still_ = change <= live_before_ / k_still_part ? looks_still_ + 1 : 0;
  live_before_ = live_bytes;
  const std::size_t kept = live_bytes + store_.tuning().retired_bytes;
  if (carved_bytes < k_compacted_bytes_min || carved_bytes <= kept) return false;
  const std::size_t rest = carved_bytes - kept;
  const bool fallen_by_half = live_bytes < live_highest_ / 2;
  if (rest > live_bytes) {
    if (fallen_by_half || carved_bytes > 2 * carved_after_) return true;
  }
  // While it is under way what lives is there twice.
  const bool room = carved_bytes / 2 >= live_bytes || carved_bytes + live_bytes <= carved_at_beginning_;
  return looks_still_ >= k_looks_still && room && rest > live_bytes / 4 && live_bytes < live_highest_ / 4 * 3;
}

Result<Maintained> Maintenance::direct_compaction(ThreadContext& context) {
  const base::ReadPin pin(store_.epochs(), context.slot);
  if (!store_.is_open()) return store_.closed_error();
  base::RecordMemory& memory = store_.memory();
  const base::RecordMemory::Step step = memory.step_compaction();
  if (step == base::RecordMemory::Step::no_memory) return no_memory("a compaction");
  if (memory.compaction() == base::RecordMemory::Compaction::none) {
    carved_after_ = std::max(memory.carved_bytes(), k_doubled_bytes_min / 2);
    compactions_.fetch_add(1, std::memory_order_relaxed);
  }
  return step == base::RecordMemory::Step::done ? Maintained::working : Maintained::waiting;
}

Result<Maintained> Maintenance::direct_moving(ThreadContext& context) {
  // What was dropped is given back first: its table is on no list.
  if (store_.reclaim_some_at_once()) return Maintained::working;
  const auto tables = store_.settled_spaces();
  if (!tables) return Maintained::waiting;
  if (!moves_) {
    begin_pass(weak(*tables));
    moves_ = true;
    return Maintained::working;
  }
  const base::ReadPin pin(store_.epochs(), context.slot);
  if (!store_.is_open()) return store_.closed_error();
  store_.memory().moved_all();
  return Maintained::working;
}

void Maintenance::begin_pass(Spaces spaces) {
  const std::uint64_t number = pass_number_.load(std::memory_order_relaxed) + 1;
  auto pass = std::make_shared<const Pass>(number, std::move(spaces));
  const std::lock_guard lock(pass_mutex_);
  pass_ = std::move(pass);
  // release: the memory's state; pairs with the acquire in `walk`.
  pass_number_.store(number, std::memory_order_release);
}

}  // namespace actable::store
