#include "benchmarks/engines/actable_store.h"

#include <chrono>

namespace bench {

namespace {

class ActableSession final : public LoopingSession<ActableSession> {
 public:
  ActableSession(actable::Space space, actable::WriteOptions options) : space_(std::move(space)), options_(options) {}

  void put(std::string_view key, std::string_view value) override {
    if (auto result = space_.put(key, value, options_); !result) fail_actable("put", result.error());
  }

  bool get(std::string_view key, std::string& value) override {
    const auto result = space_.get(key, value);
    if (!result) fail_actable("get", result.error());
    return *result;
  }

  void multi_get(std::span<const std::string_view> keys, Values values) override {
    if (auto result = space_.multi_get(keys, values); !result) fail_actable("multi_get", result.error());
  }

  bool erase(std::string_view key) override {
    const auto result = space_.erase(key, options_);
    if (!result) fail_actable("erase", result.error());
    return *result;
  }

 private:
  actable::Space space_;
  actable::WriteOptions options_;
};

}  // namespace

void fail_actable(std::string_view doing, const actable::Error& error) {
  throw Failure("actable: " + std::string(doing) + ": " + std::string(actable::to_string(error.code)) + ": " +
                error.message);
}

actable::Options actable_options(const EngineOptions& options) {
  actable::Options result;
  if (options.durability != Durability::none) result.directory = options.directory;
  if (options.opening) {
    result.progress = [tell = options.opening](const actable::RecoveryProgress& at) {
      std::optional<double> left_s;
      if (at.left) left_s = std::chrono::duration<double>(*at.left).count();
      tell({at.bytes_read, at.bytes_total, left_s});
    };
  }
  return result;
}

std::unique_ptr<Session> actable_session(const actable::Space& space, Durability durability) {
  actable::WriteOptions options;
  if (durability == Durability::sync) options.durability = actable::Durability::sync;
  return std::make_unique<ActableSession>(space, options);
}

void ActableStore::attach(actable::Store& store) {
  store_ = &store;
  space_.emplace(value_or_failure(store.space(k_space), "space"));
}

void ActableStore::settle() {
  if (logged_) (void)value_or_failure(store_->sync(), "sync");
}

void ActableStore::checkpoint() {
  if (auto written = store_->checkpoint(); !written) fail_actable("checkpoint", written.error());
}

std::optional<std::uint64_t> ActableStore::opened_bytes() {
  const actable::RecoveryStats recovery = store_->stats().recovery;
  return recovery.log_bytes + recovery.checkpoint_bytes;
}

std::optional<std::uint64_t> ActableStore::memory_bytes() {
  const actable::SpaceStats stats = space_->stats();
  return stats.record_bytes + stats.table_bytes;
}

Counters ActableStore::counters() {
  if (!logged_) return {};
  const actable::StoreStats stats = store_->stats();
  return {.written_bytes = stats.log.written_bytes,
          .waits = stats.log.waits + stats.log.overloads,
          .durable_lag_s = std::chrono::duration<double>(stats.durable_lag).count()};
}

}  // namespace bench
