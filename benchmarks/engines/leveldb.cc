#include "benchmarks/engines/kinds.h"

#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/filter_policy.h>

namespace bench {

namespace {

/// Enough to hold what the usual runs have, so that it is not the disk that
/// is measured.
constexpr std::size_t k_cache_bytes = std::size_t{1} << 30;
constexpr std::size_t k_memtable_bytes = std::size_t{64} << 20;
/// The most that it takes; what goes beyond is moved to files all the same.
constexpr std::size_t k_memtable_bytes_max = std::size_t{1} << 30;

leveldb::Slice slice(std::string_view text) { return {text.data(), text.size()}; }

void check(const leveldb::Status& status, std::string_view doing) {
  if (!status.ok()) throw Failure("leveldb: " + std::string(doing) + ": " + status.ToString());
}

class LevelSession final : public LoopingSession<LevelSession> {
 public:
  LevelSession(leveldb::DB& db, bool sync) : db_(db) { write_options_.sync = sync; }

  void put(std::string_view key, std::string_view value) override {
    check(db_.Put(write_options_, slice(key), slice(value)), "Put");
  }

  bool get(std::string_view key, std::string& value) override {
    const leveldb::Status status = db_.Get(leveldb::ReadOptions(), slice(key), &value);
    if (status.IsNotFound()) return false;
    check(status, "Get");
    return true;
  }

  bool erase(std::string_view key) override {
    check(db_.Delete(write_options_, slice(key)), "Delete");
    return true;
  }

 private:
  leveldb::DB& db_;
  leveldb::WriteOptions write_options_;
};

class LevelEngine : public Engine {
 public:
  explicit LevelEngine(const EngineOptions& options)
      : cache_(leveldb::NewLRUCache(k_cache_bytes)), filter_(leveldb::NewBloomFilterPolicy(10)) {
    leveldb::Options db_options;
    db_options.create_if_missing = true;
    db_options.block_cache = cache_.get();
    db_options.filter_policy = filter_.get();
    db_options.write_buffer_size = options.keep_in_log ? k_memtable_bytes_max : k_memtable_bytes;
    db_options.compression = leveldb::kNoCompression;
    leveldb::DB* db = nullptr;
    check(leveldb::DB::Open(db_options, options.directory.string(), &db), "Open");
    db_.reset(db);
  }

  std::unique_ptr<Session> session(Durability durability) override {
    return std::make_unique<LevelSession>(*db_, durability == Durability::sync);
  }

 private:
  std::unique_ptr<leveldb::Cache> cache_;
  std::unique_ptr<const leveldb::FilterPolicy> filter_;
  std::unique_ptr<leveldb::DB> db_;
};

}  // namespace

EngineKind leveldb_kind() {
  return {.name = "leveldb",
          .about = std::to_string(leveldb::kMajorVersion) + "." + std::to_string(leveldb::kMinorVersion) +
                   ", 1 GiB cache, bloom filters, no compression; it logs also where durability is none",
          .has_log = true,
          .key_bytes_max = k_no_limit,
          .open = [](const EngineOptions& options) -> std::unique_ptr<Engine> {
            return std::make_unique<LevelEngine>(options);
          }};
}

}  // namespace bench
