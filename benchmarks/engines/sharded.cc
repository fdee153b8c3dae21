#include "benchmarks/engines/hash.h"
#include "benchmarks/engines/kinds.h"

#include <array>
#include <bit>
#include <functional>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

namespace bench {

namespace {

/// A key with its hash, so that choosing the shard and looking up inside it
/// cost one hash together.
struct HashedKey {
  std::string_view key;
  std::size_t hash;
};

struct ShardHash : KeyHash {
  using KeyHash::operator();
  std::size_t operator()(const HashedKey& key) const { return key.hash; }
};

struct ShardEqual {
  using is_transparent = void;
  bool operator()(std::string_view a, std::string_view b) const { return a == b; }
  bool operator()(const HashedKey& a, std::string_view b) const { return a.key == b; }
  bool operator()(std::string_view a, const HashedKey& b) const { return a == b.key; }
};

/// The concurrent table that people write themselves.
class ShardedTable {
 public:
  void put(std::string_view key, std::string_view value) {
    const HashedKey hashed{key, KeyHash{}(key)};
    Shard& shard = shard_of(hashed);
    const std::unique_lock lock(shard.mutex);
    if (const auto found = shard.map.find(hashed); found != shard.map.end()) {
      found->second.assign(value);
    } else {
      shard.map.emplace(key, value);
    }
  }

  bool get(std::string_view key, std::string& value) {
    const HashedKey hashed{key, KeyHash{}(key)};
    Shard& shard = shard_of(hashed);
    const std::shared_lock lock(shard.mutex);
    const auto found = shard.map.find(hashed);
    if (found == shard.map.end()) return false;
    value.assign(found->second);
    return true;
  }

  bool erase(std::string_view key) {
    const HashedKey hashed{key, KeyHash{}(key)};
    Shard& shard = shard_of(hashed);
    const std::unique_lock lock(shard.mutex);
    const auto found = shard.map.find(hashed);
    if (found == shard.map.end()) return false;
    shard.map.erase(found);
    return true;
  }

 private:
  static constexpr std::size_t k_shards = 256;

  /// On a cache line of its own, so that locking one shard does not slow its
  /// neighbours.
  struct alignas(64) Shard {
    std::shared_mutex mutex;
    std::unordered_map<std::string, std::string, ShardHash, ShardEqual> map;
  };

  Shard& shard_of(const HashedKey& key) { return shards_[key.hash >> (64 - std::bit_width(k_shards - 1))]; }

  std::array<Shard, k_shards> shards_;
};

class ShardedSession final : public LoopingSession<ShardedSession> {
 public:
  explicit ShardedSession(ShardedTable& table) : table_(table) {}
  void put(std::string_view key, std::string_view value) override { table_.put(key, value); }
  bool get(std::string_view key, std::string& value) override { return table_.get(key, value); }
  bool erase(std::string_view key) override { return table_.erase(key); }

 private:
  ShardedTable& table_;
};

class ShardedEngine : public Engine {
 public:
  std::unique_ptr<Session> session(Durability) override { return std::make_unique<ShardedSession>(table_); }

 private:
  ShardedTable table_;
};

}  // namespace

EngineKind sharded_kind() {
  return {.name = "sharded",
          .about = "256 x shared_mutex + std::unordered_map, libstdc++ " + std::to_string(_GLIBCXX_RELEASE),
          .has_log = false,
          .key_bytes_max = k_no_limit,
          .open = [](const EngineOptions&) -> std::unique_ptr<Engine> { return std::make_unique<ShardedEngine>(); }};
}

}  // namespace bench
