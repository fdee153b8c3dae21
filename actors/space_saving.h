#pragma once

#include "base/assert.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace actable::actors {

/// Finds the items that come most often in a stream, with a fixed number of
/// counters: the Space-Saving algorithm of Metwally, Agrawal and El Abbadi,
/// "Efficient computation of frequent and top-k elements in data streams" (ICDT
/// 2005).
///
/// An item that has no counter takes over the one that stands lowest, and counts
/// on from there. So a count is never too low, and too high by `error` at most,
/// which is where its counter stood when the item took it over. Every item that
/// came more often than the lowest counter says is among them: with c counters
/// and n items seen, every item that came more than n / c times.
///
/// Where an allocation fails, `add` and `merge` throw std::bad_alloc and leave
/// nothing that can be used, but for `clear`.
///
/// Thread safety: *confined*.
template <class Item, class Hash>
class SpaceSaving {
 public:
  struct Entry {
    Item item{};
    /// It came `count - error` times at least, `count` times at most.
    std::uint64_t count = 0;
    std::uint64_t error = 0;
  };

  /// `counters` is at least 1.
  explicit SpaceSaving(std::size_t counters) : counters_(counters) { ACTABLE_ASSERT(counters >= 1); }

  void add(const Item& item, std::uint64_t times = 1);

  /// The highest `entries_max` of them, highest count first.
  [[nodiscard]] std::vector<Entry> top(std::size_t entries_max) const;

  /// Adds what another of them has seen. What is said of counts above holds for
  /// both streams together (Agarwal and others, "Mergeable summaries", PODS 2012).
  void merge(const SpaceSaving& other);

  void clear() noexcept;

  /// How many items were added.
  [[nodiscard]] std::uint64_t total() const noexcept { return total_; }

  /// An item that is not among the entries came no more often than this.
  [[nodiscard]] std::uint64_t missed_max() const noexcept {
    return heap_.size() < counters_ ? missed_before_ : heap_.front().count;
  }

 private:
  void place(Entry entry);
  void sink(std::size_t at);
  void rise(std::size_t at);
  void swap(std::size_t a, std::size_t b);

  std::size_t counters_;
  std::uint64_t total_ = 0;
  /// What an item without a counter may have come since a merge, however many
  /// counters are free.
  std::uint64_t missed_before_ = 0;
  /// A heap whose first has the lowest count.
  std::vector<Entry> heap_;
  std::unordered_map<Item, std::size_t, Hash> places_;
};

template <class Item, class Hash>
void SpaceSaving<Item, Hash>::add(const Item& item, std::uint64_t times) {
  total_ += times;
  if (const auto found = places_.find(item); found != places_.end()) {
    heap_[found->second].count += times;
    sink(found->second);
    return;
  }
  Entry entry{item, times, missed_max()};
  entry.count += entry.error;
  if (heap_.size() < counters_) {
    place(std::move(entry));
    return;
  }
  Entry& lowest = heap_.front();
  places_.erase(lowest.item);
  places_.emplace(item, 0);
  lowest = std::move(entry);
  sink(0);
}

template <class Item, class Hash>
auto SpaceSaving<Item, Hash>::top(std::size_t entries_max) const -> std::vector<Entry> {
  std::vector<Entry> entries(std::min(entries_max, heap_.size()));
  // Between equal counts the surer one is first, then the order is any.
  std::ranges::partial_sort_copy(heap_, entries, [](const Entry& a, const Entry& b) {
    return a.count != b.count ? a.count > b.count : a.error < b.error;
  });
  return entries;
}

template <class Item, class Hash>
void SpaceSaving<Item, Hash>::merge(const SpaceSaving& other) {
  const std::uint64_t missed_here = missed_max();
  const std::uint64_t missed_there = other.missed_max();
  std::vector<Entry> all = std::exchange(heap_, {});
  // An item that only one of them has may have come to the other as often as
  // that may have missed it.
  std::vector<bool> in_both(all.size());
  const std::size_t own = all.size();
  for (const Entry& theirs : other.heap_) {
    if (const auto found = places_.find(theirs.item); found != places_.end()) {
      all[found->second].count += theirs.count;
      all[found->second].error += theirs.error;
      in_both[found->second] = true;
    } else {
      all.push_back(theirs);
      all.back().count += missed_here;
      all.back().error += missed_here;
    }
  }
  for (std::size_t i = 0; i < own; ++i) {
    if (in_both[i]) continue;
    all[i].count += missed_there;
    all[i].error += missed_there;
  }
  if (all.size() > counters_) {
    std::ranges::nth_element(all, all.begin() + static_cast<std::ptrdiff_t>(counters_), std::ranges::greater(),
                             &Entry::count);
    all.resize(counters_);
  }
  places_.clear();
  for (Entry& entry : all) place(std::move(entry));
  total_ += other.total_;
  missed_before_ = missed_here + missed_there;
}

template <class Item, class Hash>
void SpaceSaving<Item, Hash>::clear() noexcept {
  heap_.clear();
  places_.clear();
  total_ = 0;
  missed_before_ = 0;
}

template <class Item, class Hash>
void SpaceSaving<Item, Hash>::place(Entry entry) {
  places_.emplace(entry.item, heap_.size());
  heap_.push_back(std::move(entry));
  rise(heap_.size() - 1);
}

template <class Item, class Hash>
void SpaceSaving<Item, Hash>::sink(std::size_t at) {
  while (true) {
    const std::size_t left = 2 * at + 1;
    if (left >= heap_.size()) return;
    const std::size_t right = left + 1;
    const std::size_t lower = right < heap_.size() && heap_[right].count < heap_[left].count ? right : left;
    if (heap_[at].count <= heap_[lower].count) return;
    swap(at, lower);
    at = lower;
  }
}

template <class Item, class Hash>
void SpaceSaving<Item, Hash>::rise(std::size_t at) {
  while (at != 0) {
    const std::size_t parent = (at - 1) / 2;
    if (heap_[parent].count <= heap_[at].count) return;
    swap(at, parent);
    at = parent;
  }
}

template <class Item, class Hash>
void SpaceSaving<Item, Hash>::swap(std::size_t a, std::size_t b) {
  std::swap(heap_[a], heap_[b]);
  places_.at(heap_[a].item) = a;
  places_.at(heap_[b].item) = b;
}

}  // namespace actable::actors
