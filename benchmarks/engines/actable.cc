#include "benchmarks/engines/kinds.h"

#include <actable/store.h>

#include <chrono>
#include <utility>

namespace bench {

namespace {

[[noreturn]] void fail(std::string_view doing, const actable::Error& error) {
  throw Failure("actable: " + std::string(doing) + ": " + std::string(actable::to_string(error.code)) + ": " +
                error.message);
}

template <class T>
T value_or_failure(actable::Result<T> result, std::string_view doing) {
  if (!result) fail(doing, result.error());
  return *std::move(result);
}

class ActableSession : public Session {
 public:
  ActableSession(actable::Space space, actable::WriteOptions options) : space_(std::move(space)), options_(options) {}

  void put(std::string_view key, std::string_view value) override {
    if (auto result = space_.put(key, value, options_); !result) fail("put", result.error());
  }

  bool get(std::string_view key, std::string& value) override {
    const auto result = space_.get(key, value);
    if (!result) fail("get", result.error());
    return *result;
  }

  void multi_get(std::span<const std::string_view> keys, Values values) override {
    if (auto result = space_.multi_get(keys, values); !result) fail("multi_get", result.error());
  }

  bool erase(std::string_view key) override {
    const auto result = space_.erase(key, options_);
    if (!result) fail("erase", result.error());
    return *result;
  }

 private:
  actable::Space space_;
  actable::WriteOptions options_;
};

class ActableEngine : public Engine {
 public:
  explicit ActableEngine(const EngineOptions& options)
      : logged_(options.durability != Durability::none),
        store_(value_or_failure(actable::Store::open(store_options(options)), "open")),
        space_(value_or_failure(store_.space("bench"), "space")) {}

  std::unique_ptr<Session> session(Durability durability) override {
    actable::WriteOptions options;
    if (durability == Durability::sync) options.durability = actable::Durability::sync;
    return std::make_unique<ActableSession>(space_, options);
  }

  void settle() override {
    if (logged_) (void)value_or_failure(store_.sync(), "sync");
  }

  std::optional<std::uint64_t> memory_bytes() override {
    const actable::SpaceStats stats = space_.stats();
    return stats.record_bytes + stats.table_bytes;
  }

  Counters counters() override {
    if (!logged_) return {};
    const actable::StoreStats stats = store_.stats();
    return {.written_bytes = stats.log.written_bytes,
            .waits = stats.log.waits,
            .durable_lag_s = std::chrono::duration<double>(stats.durable_lag).count()};
  }

 private:
  static actable::Options store_options(const EngineOptions& options) {
    actable::Options result;
    if (options.durability != Durability::none) result.directory = options.directory;
    return result;
  }

  bool logged_;
  actable::Store store_;
  actable::Space space_;
};

}  // namespace

EngineKind actable_kind() {
  return {.name = "actable",
          .about = ACTABLE_BENCH_VERSION,
          .has_log = true,
          .key_bytes_max = actable::k_key_bytes_max,
          .open = [](const EngineOptions& options) -> std::unique_ptr<Engine> {
            return std::make_unique<ActableEngine>(options);
          }};
}

}  // namespace bench
