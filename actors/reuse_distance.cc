#include "actors/reuse_distance.h"

#include "base/assert.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

namespace actable::actors {
namespace {

/// Times that there is room for, for each key that is followed: the more, the
/// less often they are numbered anew.
constexpr std::size_t k_times_a_key = 4;

/// The finalizer of MurmurHash3 (Appleby): a bijection in which each bit depends
/// on all. The hash itself will not do, for what a shard's keys have in common.
[[nodiscard]] std::uint64_t mixed(std::uint64_t hash) noexcept {
  hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccdu;
  hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53u;
  return hash ^ (hash >> 33);
}

}  // namespace

ReuseDistance::ReuseDistance(std::size_t keys_max) : keys_max_(keys_max), sums_(keys_max * k_times_a_key + 1) {
  ACTABLE_ASSERT(keys_max >= 1);
}

void ReuseDistance::add(std::uint64_t key_hash) {
  const std::uint64_t key = mixed(key_hash);
  if (key > limit_) return;
  if (now_ + 1 == sums_.size()) renumber();
  const double stands_for = 0x1p64 / (static_cast<double>(limit_) + 1);
  const auto times = static_cast<std::uint64_t>(std::llround(stands_for));
  const auto [found, is_new] = last_used_.try_emplace(key, now_);
  if (is_new) {
    first_uses_ += times;
  } else {
    const double between = static_cast<double>(used_after(found->second)) * stands_for;
    const auto bucket = static_cast<std::size_t>(std::bit_width(static_cast<std::uint64_t>(std::llround(between))));
    distances_[std::min(bucket, distances_.size() - 1)] += times;
    mark(std::exchange(found->second, now_), -1);
  }
  mark(now_++, 1);
  if (last_used_.size() > keys_max_) forget_highest();
}

std::size_t ReuseDistance::used_after(std::uint32_t time) const noexcept {
  std::int32_t up_to = 0;
  for (std::size_t i = time + 1; i != 0; i &= i - 1) up_to += sums_[i];
  return last_used_.size() - static_cast<std::size_t>(up_to);
}

void ReuseDistance::mark(std::uint32_t time, std::int32_t change) noexcept {
  for (std::size_t i = time + 1; i < sums_.size(); i += i & (~i + 1)) sums_[i] += change;
}

void ReuseDistance::forget_highest() {
  const auto highest = std::prev(last_used_.end());
  mark(highest->second, -1);
  limit_ = highest->first - 1;
  last_used_.erase(highest);
}

void ReuseDistance::renumber() {
  std::vector<std::pair<std::uint32_t, std::uint32_t*>> times;
  times.reserve(last_used_.size());
  for (auto& [key, time] : last_used_) times.emplace_back(time, &time);
  std::ranges::sort(times, {}, &decltype(times)::value_type::first);
  std::ranges::fill(sums_, 0);
  now_ = 0;
  for (const auto& [before, time] : times) mark(*time = now_++, 1);
}

}  // namespace actable::actors
