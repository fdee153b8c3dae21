#include "benchmarks/engines/hash.h"
#include "benchmarks/engines/kinds.h"

#include <boost/unordered/concurrent_flat_map.hpp>
#include <boost/version.hpp>

#include <functional>

namespace bench {

namespace {

using FlatMap = boost::concurrent_flat_map<std::string, std::string, KeyHash, std::equal_to<>>;

class BoostSession final : public LoopingSession<BoostSession> {
 public:
  explicit BoostSession(FlatMap& map) : map_(map) {}

  void put(std::string_view key, std::string_view value) override {
    const auto assign = [value](auto& entry) { entry.second.assign(value); };
    while (map_.visit(key, assign) == 0 && !map_.emplace(key, value)) {
      // Another thread inserted the key in between: assign to what it made.
    }
  }

  bool get(std::string_view key, std::string& value) override {
    return map_.cvisit(key, [&value](const auto& entry) { value.assign(entry.second); }) != 0;
  }

  bool erase(std::string_view key) override { return map_.erase(key) != 0; }

 private:
  FlatMap& map_;
};

class BoostEngine : public Engine {
 public:
  std::unique_ptr<Session> session(Durability) override { return std::make_unique<BoostSession>(map_); }

 private:
  FlatMap map_;
};

}  // namespace

EngineKind boost_kind() {
  return {.name = "boost",
          .about = "concurrent_flat_map, Boost " BOOST_LIB_VERSION,
          .has_log = false,
          .key_bytes_max = k_no_limit,
          .open = [](const EngineOptions&) -> std::unique_ptr<Engine> { return std::make_unique<BoostEngine>(); }};
}

}  // namespace bench
