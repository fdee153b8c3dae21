#include "actors/tally.h"

#include <algorithm>
#include <bit>
#include <tuple>

namespace actable::actors {
namespace {

using Sizes = std::array<std::uint64_t, Analytics::k_size_buckets>;

void count_size(Sizes& sizes, std::size_t bytes) noexcept {
  ++sizes[std::min(static_cast<std::size_t>(std::bit_width(bytes)), sizes.size() - 1)];
}

template <std::size_t n>
void add_up(std::array<std::uint64_t, n>& into, const std::array<std::uint64_t, n>& from) noexcept {
  for (std::size_t i = 0; i < n; ++i) into[i] += from[i];
}

[[nodiscard]] bool before(const SeenKey& a, const SeenKey& b) noexcept {
  return std::tie(a.space, a.hash) < std::tie(b.space, b.hash);
}

}  // namespace

SeenKey key_of(const store::Sample& sample) noexcept {
  SeenKey key{.hash = sample.hash,
              .space = sample.space,
              .bytes = sample.key_bytes,
              .shown_bytes = sample.shown_bytes,
              .shown = {}};
  std::copy_n(sample.shown.begin(), sample.shown_bytes, key.shown.begin());
  return key;
}

void Tally::add(const store::Sample& sample, std::size_t shard) {
  auto& cell = cells_[shard * k_operations + static_cast<std::size_t>(sample.operation)];
  if (cell == nullptr) cell = std::make_unique<Cell>();
  cell->count += sample.weight;
  if (sample.successful) cell->successful += sample.weight;
  cell->latency.add(sample.latency);
  ++samples_;
  const SeenKey key = key_of(sample);
  keys_.add(key, sample.weight);
  distance_.add(SeenHash{}(key));
  count_size(key_bytes_, sample.key_bytes);
  if (sample.has_value) count_size(value_bytes_, sample.value_bytes);
  add_to_run(key, sample);
  add_to_slowest(sample);
}

void Tally::add_to_slowest(const store::Sample& sample) {
  if (slowest_.size() == k_slowest) {
    if (sample.latency <= slowest_.front().sample.latency) return;
    std::pop_heap(slowest_.begin(), slowest_.end());
    slowest_.pop_back();
  }
  slowest_.push_back({sample});
  std::push_heap(slowest_.begin(), slowest_.end());
}

void Tally::add_to_run(const SeenKey& key, const store::Sample& sample) {
  if (sample.begins_run || run_length_ == run_.size()) run_length_ = 0;
  const auto end = run_.begin() + static_cast<std::ptrdiff_t>(run_length_);
  // Each pair counts once in a run.
  if (std::find(run_.begin(), end, key) != end) return;
  for (auto other = run_.begin(); other != end; ++other) {
    pairs_.add(before(*other, key) ? SeenPair{*other, key} : SeenPair{key, *other}, sample.weight);
  }
  run_[run_length_++] = key;
}

void Tally::report(Analytics& into, Unnamed& unnamed) const {
  into.samples += samples_;
  for (std::size_t i = 0; i < cells_.size(); ++i) {
    if (cells_[i] == nullptr) continue;
    const Cell& cell = *cells_[i];
    const auto operation = static_cast<OperationKind>(i % k_operations);
    auto& shard = into.shards[i / k_operations];
    auto at = std::ranges::find(shard, operation, &Analytics::ShardOperation::operation);
    if (at == shard.end()) at = shard.insert(at, {.operation = operation});
    for (Analytics::OperationStats* const stats : {&into.operations[i % k_operations], &at->stats}) {
      stats->count += cell.count;
      stats->successful += cell.successful;
      stats->latency.merge(cell.latency);
    }
  }
  unnamed.keys.merge(keys_);
  unnamed.pairs.merge(pairs_);
  unnamed.slowest.insert(unnamed.slowest.end(), slowest_.begin(), slowest_.end());
  add_up(into.key_bytes, key_bytes_);
  add_up(into.value_bytes, value_bytes_);
  add_up(into.reuse_distance, distance_.distances());
  into.reuse_none += distance_.first_uses();
}

}  // namespace actable::actors
