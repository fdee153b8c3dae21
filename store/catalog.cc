#include "store/catalog.h"

#include "base/control_record.h"
#include "base/park.h"
#include "store/checks.h"
#include "store/space_operations.h"
#include "store/store_core.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <new>
#include <tuple>

#include <sched.h>

/// Spaces by name. The catalog is a space itself, number 0, whose keys are the
/// names and whose values say which number a space has; so creating and
/// dropping are writes like others: numbered, logged, in the cut or not.
/// Numbers of spaces are never used again, so that records of a dropped space
/// that are still in the log belong to nobody.
namespace actable::store {
namespace {

// How long dropping a space waits for operations that are still in it.
constexpr std::chrono::milliseconds k_reclaim_wait{100};
// Of a dropped space, at a time: some 4,000 records, which take 0.3 ms.
constexpr unsigned k_segments_cleared = 8;

}  // namespace

std::string encode_space(std::uint32_t id) {
  msgpack::sbuffer packed;
  msgpack::pack(packed, std::make_tuple(id));
  return {packed.data(), packed.size()};
}

std::optional<std::uint32_t> decode_space(std::string_view bytes) {
  try {
    const auto unpacked = base::unpack_fields(std::as_bytes(std::span(bytes)));
    return std::get<0>(unpacked.get().as<std::tuple<std::uint32_t>>());
  } catch (const std::bad_alloc&) {
    // Says nothing about the bytes.
    throw;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

Result<std::shared_ptr<SpaceCore>> StoreCore::make_space(std::uint32_t id, std::string_view name,
                                                         SpaceOptions options) {
  auto context_found = context();
  if (!context_found) return std::unexpected(context_found.error());
  auto space = std::make_shared<SpaceCore>(shared_from_this(), id, std::string(name), options);
  const base::WritePin pin(epochs_, (*context_found)->slot);
  if (!space->make_table((*context_found)->cache())) return no_memory("a table");
  return space;
}

Result<std::shared_ptr<SpaceCore>> StoreCore::create_space(std::string_view name, SpaceOptions options, bool no_wait) {
  // Before the write, after which nothing may fail any more.
  decltype(spaces_) entry;
  const auto place = entry.emplace(std::string(name), nullptr).first;
  if (next_space_id_ > k_space_id_max) {
    return fail(ErrorCode::unsupported, "this store has made as many spaces as it can in its life, 2^32");
  }
  auto made = make_space(next_space_id_, name, options);
  if (!made) return made;
  place->second = *made;
  if ((*made)->logged()) {
    const std::string value = encode_space(next_space_id_);
    auto written = catalog_->write({name, value, false, {.no_wait = no_wait}}, SpaceCore::Always{});
    if (!written) {
      if (auto own = context()) clear_table(**made, **own);
      return std::unexpected(std::move(written.error()));
    }
  }
  // Logged, and nobody has been given it: its number must not be used again.
  ACTABLE_FAIL_POINT("catalog.space.written");
  ++next_space_id_;
  const std::lock_guard lock(catalog_mutex_);
  spaces_.merge(entry);
  return made;
}

std::shared_ptr<SpaceCore> StoreCore::find_space(std::string_view name) const {
  const std::lock_guard lock(catalog_mutex_);
  const auto found = spaces_.find(name);
  return found == spaces_.end() ? nullptr : found->second;
}

Result<std::shared_ptr<SpaceCore>> StoreCore::existing_space(std::string_view name) const {
  if (std::shared_ptr<SpaceCore> found = find_space(name); found != nullptr) return found;
  // Closing takes the spaces away after it has said so, under the same mutex.
  if (state_.load(std::memory_order_acquire) == State::closed) return closed_error();
  return fail(ErrorCode::not_found, "there is no space '" + std::string(name) + "'; open it first");
}

Result<std::shared_ptr<SpaceCore>> StoreCore::space(std::string_view name, SpaceOptions options, bool no_wait) {
  if (auto checked = check_space_name(name); !checked) return std::unexpected(checked.error());
  std::shared_ptr<SpaceCore> found = find_space(name);
  if (found == nullptr) {
    const auto changes =
        no_wait ? std::unique_lock(changes_mutex_, std::try_to_lock) : std::unique_lock(changes_mutex_);
    if (!changes.owns_lock()) {
      return fail(ErrorCode::overloaded,
                  "spaces are being made or dropped, and this call may not wait for that; "
                  "nothing was changed, try again later");
    }
    if (state_.load(std::memory_order_acquire) == State::closed) return closed_error();
    found = find_space(name);
    if (found == nullptr) return create_space(name, options, no_wait);
  }
  if (found->options().logged != options.logged) {
    return fail(ErrorCode::invalid_argument,
                "the space '" + std::string(name) + "' exists and is " + (options.logged ? "memory-only" : "logged") +
                    "; open it with SpaceOptions::logged = " + (options.logged ? "false" : "true") +
                    ", or drop it first");
  }
  return found;
}

Result<bool> StoreCore::drop_space(std::string_view name) {
  const std::lock_guard changes(changes_mutex_);
  if (state_.load(std::memory_order_acquire) == State::closed) return closed_error();
  const std::shared_ptr<SpaceCore> space = find_space(name);
  if (space == nullptr) return false;
  // Before the write, after which nothing may fail any more.
  dropped_.reserve(dropped_.size() + 1);
  if (space->logged()) {
    auto erased = catalog_->write(
        {name, {}, true, {}}, [](const table::Position& at) { return at.live() ? Verdict::write : Verdict::leave; });
    if (!erased) return std::unexpected(std::move(erased.error()));
    // Gone from the log's point of view; its records are there, and others write to it.
    ACTABLE_FAIL_POINT("catalog.space.erased");
  }
  {
    const std::lock_guard lock(catalog_mutex_);
    spaces_.erase(spaces_.find(name));
  }
  space->set_state(SpaceCore::State::dropped);
  // The bump is an addition that releases the state: whoever reads the new
  // epoch sees the space dropped.
  dropped_.push_back({.space = space, .seen_from = base::epoch_of(epochs_.bump())});
  // Operations are short; only a visitor that stays long is not waited for.
  const base::TimePoint give_up_at = base::Clock::now() + k_reclaim_wait;
  while (true) {
    while (reclaim_some()) {
    }
    if (dropped_.empty() || base::Clock::now() >= give_up_at || inside_visitor()) return true;
    ACTABLE_YIELD("store.yield");
    sched_yield();
  }
}

/// Gives back a part of the table of a dropped space that no operation can still be
/// in; false when there is none. What stays waits for the next call: of this, of a
/// step of maintenance, of `stats`, or closing.
bool StoreCore::reclaim_some() {
  if (dropped_.empty()) return false;
  auto own = context();
  if (!own) return false;
  epochs_.advance();
  const base::Epoch safe = epochs_.safe();
  const auto next =
      std::ranges::find_if(dropped_, [safe](const Dropped& dropped) { return dropped.seen_from <= safe; });
  if (next == dropped_.end()) return false;
  clear_some(*next->space, **own, next->cleared);
  if (next->cleared.done) dropped_.erase(next);
  return true;
}

void StoreCore::clear_some(SpaceCore& space, ThreadContext& context, table::ScanPosition& position) noexcept {
  for (unsigned i = 0; i < k_segments_cleared && !position.done; ++i) {
    const base::WritePin pin(epochs_, context.slot);
    space.table().clear_next(context.cache(), position);
  }
}

void StoreCore::clear_table(SpaceCore& space, ThreadContext& context) noexcept {
  table::ScanPosition position;
  while (!position.done) clear_some(space, context, position);
}

bool StoreCore::reclaim_some_at_once() {
  const std::unique_lock changes(changes_mutex_, std::try_to_lock);
  return changes.owns_lock() && is_open() && reclaim_some();
}

std::unordered_map<std::uint32_t, std::string> StoreCore::space_names() const {
  const std::lock_guard lock(catalog_mutex_);
  std::unordered_map<std::uint32_t, std::string> names;
  for (const auto& [name, space] : spaces_) names.emplace(space->id(), name);
  return names;
}

std::vector<std::shared_ptr<SpaceCore>> StoreCore::all_spaces() const {
  const std::lock_guard lock(catalog_mutex_);
  std::vector<std::shared_ptr<SpaceCore>> all;
  all.reserve(spaces_.size() + 1);
  if (catalog_ != nullptr) all.push_back(catalog_);
  for (const auto& [name, space] : spaces_) all.push_back(space);
  return all;
}

std::optional<std::vector<std::shared_ptr<SpaceCore>>> StoreCore::settled_spaces() {
  const std::unique_lock changes(changes_mutex_, std::try_to_lock);
  if (!changes.owns_lock() || !is_open() || !dropped_.empty()) return std::nullopt;
  return all_spaces();
}

std::optional<StoreCore::Unchanging> StoreCore::unchanging_spaces() {
  const std::unique_lock changes(changes_mutex_, std::try_to_lock);
  if (!changes.owns_lock() || !is_open()) return std::nullopt;
  return Unchanging{all_spaces(), next_space_id_};
}

std::vector<std::string> StoreCore::spaces() const {
  const std::lock_guard lock(catalog_mutex_);
  std::vector<std::string> names;
  names.reserve(spaces_.size());
  for (const auto& [name, space] : spaces_) names.push_back(name);
  return names;
}

}  // namespace actable::store
