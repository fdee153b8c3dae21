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

/// Adds what is said with names.
void name(Analytics& analytics, Tally::Unnamed& unnamed, const Names& names, base::TimePoint now) {
  analytics.hot_keys_missed_max = unnamed.keys.missed_max();
  for (const HotKeys::Entry& entry : unnamed.keys.top(AnalyticsBook::k_listed_max + 1)) {
    if (analytics.hot_keys.size() == AnalyticsBook::k_listed_max) {
      // Counted, and not listed.
      analytics.hot_keys_missed_max = entry.count;
      break;
    }
    analytics.hot_keys.push_back({named(entry.item, names), entry.count, entry.error});
  }
  for (const KeyPairs::Entry& entry : unnamed.pairs.top(AnalyticsBook::k_listed_max)) {
    analytics.key_pairs.push_back(
        {named(entry.item.first, names), named(entry.item.second, names), entry.count, entry.error});
  }
  std::sort(unnamed.slowest.begin(), unnamed.slowest.end());
  unnamed.slowest.resize(std::min(unnamed.slowest.size(), AnalyticsBook::k_slowest_max));
  for (const auto& [sample] : unnamed.slowest) {
    const std::chrono::nanoseconds ago = now.time_since_epoch() - std::chrono::nanoseconds(sample.time);
    analytics.slowest.push_back({sample.operation, named(key_of(sample), names), sample.latency, ago});
  }
}

}  // namespace

AnalyticsBook::AnalyticsBook(std::shared_ptr<store::StoreCore> store, std::size_t writers,
                             std::chrono::nanoseconds window)
    : store_(std::move(store)), window_(window), pool_(std::make_shared<SamplePool>(k_batches_max)) {
  for (std::size_t i = 0; i < writers; ++i) pages_.push_back(std::make_unique<Page>());
  store_->sampler().start(pool_);
}

std::size_t AnalyticsBook::enter(std::size_t writer, base::TimePoint now) {
  Page& page = *pages_[writer];
  std::size_t batches = 0;
  // No more, or who samples everything would have us here for ever.
  const std::size_t share = k_batches_max / pages_.size() + 1;
  while (batches < share) {
    const SamplePool::Full batch = pool_->next_full();
    if (batch == nullptr) break;
    const std::lock_guard lock(page.mutex);
    try {
      turn(page, window_at(now));
      page.now->add(*batch, [this](std::uint64_t hash) { return store_->shard_map().shard_of(hash); });
    } catch (...) {
      page.now = nullptr;
      throw;
    }
    for (std::size_t i = 0; i < batch->count; ++i) {
      const store::Sample& sample = batch->samples[i];
      page.ever[static_cast<std::size_t>(sample.operation)] += sample.weight;
    }
    if (batch->count == store::SampleBatch::k_capacity) full_batches_.fetch_add(1, std::memory_order_relaxed);
    ++batches;
    if (monitored_.load(std::memory_order_relaxed)) show(*batch);
  }
  return batches;
}

std::uint64_t AnalyticsBook::window_at(base::TimePoint now) const noexcept {
  return static_cast<std::uint64_t>((now - began_) / window_);
}

/// Begins a window, if it is time to.
void AnalyticsBook::turn(Page& page, std::uint64_t window) const {
  if (page.now != nullptr && page.window == window) return;
  auto next = std::make_unique<Tally>(store_->shard_map().shards());
  page.before = page.window + 1 == window ? std::move(page.now) : nullptr;
  page.now = std::move(next);
  page.window = window;
}

void AnalyticsBook::show(std::shared_ptr<Monitor> monitor) {
  const std::lock_guard lock(monitors_mutex_);
  monitors_.push_back(std::move(monitor));
  monitored_.store(true, std::memory_order_relaxed);
  pool_->wake();
}

bool AnalyticsBook::monitored() {
  if (!monitored_.load(std::memory_order_relaxed)) return false;
  const std::lock_guard lock(monitors_mutex_);
  std::erase_if(monitors_, [](const auto& monitor) { return monitor->over(); });
  monitored_.store(!monitors_.empty(), std::memory_order_relaxed);
  return !monitors_.empty();
}

void AnalyticsBook::show(const store::SampleBatch& batch) {
  const std::lock_guard lock(monitors_mutex_);
  for (const auto& monitor : monitors_) {
    for (std::size_t i = 0; i < batch.count; ++i) monitor->note([&] { return batch.samples[i]; });
  }
}

void AnalyticsBook::close() noexcept {
  pool_->wake_with({});
  closed_.store(true, std::memory_order_relaxed);
  sample(0);
  collect();
  pool_->clear();
}

Analytics AnalyticsBook::report(base::TimePoint now) const {
  Analytics analytics;
  analytics.sample_every = store_->sampler().every();
  analytics.samples_dropped = pool_->dropped_samples();
  analytics.shards.resize(store_->shard_map().shards());
  Tally::Unnamed unnamed;
  const std::uint64_t window = window_at(now);
  for (const auto& page : pages_) {
    const std::lock_guard lock(page->mutex);
    for (std::size_t i = 0; i < k_operations; ++i) analytics.operations_ever[i] += page->ever[i];
    if (page->window + 1 < window) continue;
    if (page->now != nullptr) page->now->report(analytics, unnamed);
    if (page->window == window && page->before != nullptr) page->before->report(analytics, unnamed);
  }
  const std::uint64_t first = window == 0 ? 0 : window - 1;
  analytics.period = now - began_ - static_cast<std::chrono::nanoseconds::rep>(first) * window_;
  derive(analytics);
  name(analytics, unnamed, store_->space_names(), now);
  return analytics;
}

}  // namespace actable::actors
