#include "actors/analytics_book.h"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <utility>

namespace actable::actors {
namespace {

using Names = std::unordered_map<std::uint32_t, std::string>;

[[nodiscard]] Analytics::Key named(const SeenKey& key, const Names& names) {
  const auto name = names.find(key.space);
  return {name == names.end() ? std::string() : name->second, std::string(key.text()), key.bytes};
}

/// What follows from the counts.
void derive(Analytics& analytics) {
  const double seconds = std::chrono::duration<double>(analytics.period).count();
  const auto rate = [seconds](Analytics::OperationStats& stats) {
    stats.per_second = seconds > 0 ? static_cast<double>(stats.count) / seconds : 0;
  };
  std::uint64_t all = 0;
  std::uint64_t reads = 0;
  for (std::size_t i = 0; i < k_operations; ++i) {
    rate(analytics.operations[i]);
    all += analytics.operations[i].count;
    if (is_read(static_cast<OperationKind>(i))) reads += analytics.operations[i].count;
  }
  for (auto& shard : analytics.shards) {
    for (Analytics::ShardOperation& operation : shard) rate(operation.stats);
  }
  if (all != 0) analytics.read_share = static_cast<double>(reads) / static_cast<double>(all);
}

}  // namespace

AnalyticsBook::AnalyticsBook(std::shared_ptr<store::StoreCore> store, std::size_t writers,
                             std::chrono::nanoseconds window)
    : store_(std::move(store)), window_(window), pool_(std::make_shared<SamplePool>(k_batches_max)) {
  const base::TimePoint now = base::Clock::now();
  for (std::size_t i = 0; i < writers; ++i) {
    auto& page = *pages_.emplace_back(std::make_unique<Page>());
    page.now_since = page.before_since = now;
  }
  store_->sampler().start(pool_);
}

std::size_t AnalyticsBook::enter(std::size_t writer) {
  Page& page = *pages_[writer];
  std::size_t batches = 0;
  while (const SamplePool::Full batch = pool_->next_full()) {
    const std::lock_guard lock(page.mutex);
    try {
      turn(page, base::Clock::now());
      page.now->add(*batch, [this](std::uint64_t hash) { return store_->shard_map().shard_of(hash); });
    } catch (...) {
      page.now = nullptr;
      throw;
    }
    for (std::size_t i = 0; i < batch->count; ++i) {
      const store::Sample& sample = batch->samples[i];
      page.ever[static_cast<std::size_t>(sample.operation)] += sample.weight;
    }
    ++batches;
  }
  return batches;
}

/// Begins a window, if it is time to.
void AnalyticsBook::turn(Page& page, base::TimePoint now) const {
  if (page.now == nullptr) page.now = std::make_unique<Tally>(store_->shard_map().shards());
  if (now - page.now_since < window_) return;
  auto next = std::make_unique<Tally>(store_->shard_map().shards());
  // Nothing came for so long that what there is speaks of an older time.
  const bool stale = now - page.now_since >= 2 * window_;
  page.before = stale ? nullptr : std::exchange(page.now, nullptr);
  page.before_since = stale ? now : page.now_since;
  page.now = std::move(next);
  page.now_since = now;
}

void AnalyticsBook::close() noexcept {
  closed_.store(true, std::memory_order_relaxed);
  sample(0);
  collect();
  pool_->clear();
}

Analytics AnalyticsBook::report() const {
  Analytics analytics;
  analytics.sample_every = store_->sampler().every();
  analytics.samples_dropped = pool_->dropped_samples();
  analytics.shards.resize(store_->shard_map().shards());
  HotKeys keys(Tally::k_counters);
  KeyPairs pairs(Tally::k_counters);
  const base::TimePoint now = base::Clock::now();
  for (const auto& page : pages_) {
    const std::lock_guard lock(page->mutex);
    for (std::size_t i = 0; i < k_operations; ++i) analytics.operations_ever[i] += page->ever[i];
    if (now - page->now_since >= 2 * window_) continue;
    if (page->now != nullptr) page->now->report(analytics, keys, pairs);
    if (page->before != nullptr) page->before->report(analytics, keys, pairs);
    analytics.period = std::max<std::chrono::nanoseconds>(analytics.period, now - page->before_since);
  }
  derive(analytics);
  const Names names = store_->space_names();
  for (const HotKeys::Entry& entry : keys.top(k_listed_max)) {
    analytics.hot_keys.push_back({named(entry.item, names), entry.count, entry.error});
  }
  analytics.hot_keys_missed_max = keys.missed_max();
  for (const KeyPairs::Entry& entry : pairs.top(k_listed_max)) {
    analytics.key_pairs.push_back(
        {named(entry.item.first, names), named(entry.item.second, names), entry.count, entry.error});
  }
  return analytics;
}

}  // namespace actable::actors
