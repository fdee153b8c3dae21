#include "benchmarks/engines/hash.h"
#include "benchmarks/engines/kinds.h"

#include <oneapi/tbb/concurrent_hash_map.h>
#include <oneapi/tbb/version.h>

namespace bench {

namespace {

struct TbbCompare {
  using is_transparent = void;
  std::size_t hash(std::string_view key) const { return KeyHash{}(key); }
  bool equal(std::string_view a, std::string_view b) const { return a == b; }
};

using TbbTable = oneapi::tbb::concurrent_hash_map<std::string, std::string, TbbCompare>;

class TbbSession final : public LoopingSession<TbbSession> {
 public:
  explicit TbbSession(TbbTable& table) : table_(table) {}

  void put(std::string_view key, std::string_view value) override {
    TbbTable::accessor place;
    table_.insert(place, key);
    place->second.assign(value);
  }

  bool get(std::string_view key, std::string& value) override {
    TbbTable::const_accessor place;
    if (!table_.find(place, key)) return false;
    value.assign(place->second);
    return true;
  }

  bool erase(std::string_view key) override { return table_.erase(key); }

 private:
  TbbTable& table_;
};

class TbbEngine : public Engine {
 public:
  std::unique_ptr<Session> session(Durability) override { return std::make_unique<TbbSession>(table_); }

 private:
  TbbTable table_;
};

}  // namespace

EngineKind tbb_kind() {
  return {.name = "tbb",
          .about = "concurrent_hash_map, oneTBB " TBB_VERSION_STRING,
          .has_log = false,
          .key_bytes_max = k_no_limit,
          .open = [](const EngineOptions&) -> std::unique_ptr<Engine> { return std::make_unique<TbbEngine>(); }};
}

}  // namespace bench
