#include "benchmarks/engines/kinds.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/version.h>

#include <algorithm>
#include <vector>

namespace bench {

namespace {

/// More than anybody loads: a memtable that does not fill is not moved to a file.
constexpr std::size_t k_memtable_bytes_unfilled = std::size_t{64} << 30;

/// Enough to hold what the usual runs have, so that it is not the disk that
/// is measured.
constexpr std::size_t k_cache_bytes = std::size_t{1} << 30;

rocksdb::Slice slice(std::string_view text) { return {text.data(), text.size()}; }

void check(const rocksdb::Status& status, std::string_view doing) {
  if (!status.ok()) throw Failure("rocksdb: " + std::string(doing) + ": " + status.ToString());
}

class RocksSession final : public LoopingSession<RocksSession> {
 public:
  RocksSession(rocksdb::DB& db, rocksdb::WriteOptions options) : db_(db), write_options_(options) {}

  void put(std::string_view key, std::string_view value) override {
    check(db_.Put(write_options_, slice(key), slice(value)), "Put");
  }

  bool get(std::string_view key, std::string& value) override {
    const rocksdb::Status status = db_.Get(read_options_, db_.DefaultColumnFamily(), slice(key), &pinned_);
    if (status.IsNotFound()) return false;
    check(status, "Get");
    value.assign(pinned_.data(), pinned_.size());
    pinned_.Reset();
    return true;
  }

  void multi_get(std::span<const std::string_view> keys, Values values) override {
    keys_.resize(keys.size());
    std::ranges::transform(keys, keys_.begin(), slice);
    pins_.resize(keys.size());
    statuses_.resize(keys.size());
    db_.MultiGet(read_options_, db_.DefaultColumnFamily(), keys.size(), keys_.data(), pins_.data(), statuses_.data());
    for (std::size_t i = 0; i < keys.size(); ++i) take(i, values[i]);
  }

  bool erase(std::string_view key) override {
    check(db_.Delete(write_options_, slice(key)), "Delete");
    return true;
  }

 private:
  void take(std::size_t i, std::optional<std::string>& value) {
    if (statuses_[i].IsNotFound()) {
      value.reset();
      return;
    }
    check(statuses_[i], "MultiGet");
    if (!value) value.emplace();
    value->assign(pins_[i].data(), pins_[i].size());
    pins_[i].Reset();
  }

  rocksdb::DB& db_;
  rocksdb::WriteOptions write_options_;
  rocksdb::ReadOptions read_options_;
  rocksdb::PinnableSlice pinned_;
  std::vector<rocksdb::Slice> keys_;
  std::vector<rocksdb::PinnableSlice> pins_;
  std::vector<rocksdb::Status> statuses_;
};

class RocksEngine : public Engine {
 public:
  explicit RocksEngine(const EngineOptions& options) : logged_(options.durability != Durability::none) {
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(k_cache_bytes);
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    rocksdb::Options db_options;
    db_options.create_if_missing = true;
    db_options.compression = rocksdb::kNoCompression;
    db_options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    if (options.keep_in_log) db_options.write_buffer_size = db_options.db_write_buffer_size = k_memtable_bytes_unfilled;
    rocksdb::DB* db = nullptr;
    check(rocksdb::DB::Open(db_options, options.directory.string(), &db), "Open");
    db_.reset(db);
  }

  std::unique_ptr<Session> session(Durability durability) override {
    rocksdb::WriteOptions options;
    options.disableWAL = !logged_;
    options.sync = durability == Durability::sync;
    return std::make_unique<RocksSession>(*db_, options);
  }

  void settle() override {
    if (logged_) check(db_->FlushWAL(true), "FlushWAL");
  }

 private:
  bool logged_;
  std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace

EngineKind rocksdb_kind() {
  return {.name = "rocksdb",
          .about = rocksdb::GetRocksVersionAsString() + ", 1 GiB cache, bloom filters, no compression",
          .has_log = true,
          .key_bytes_max = k_no_limit,
          .open = [](const EngineOptions& options) -> std::unique_ptr<Engine> {
            return std::make_unique<RocksEngine>(options);
          }};
}

}  // namespace bench
