#include "benchmarks/engines/kinds.h"

#include <lmdb.h>

namespace bench {

namespace {

/// Of any build of LMDB that was not told otherwise.
constexpr std::size_t k_lmdb_key_bytes_max = 511;
constexpr std::size_t k_readers_max = 8'192;

void check(int status, std::string_view doing) {
  if (status != MDB_SUCCESS) throw Failure("lmdb: " + std::string(doing) + ": " + mdb_strerror(status));
}

/// LMDB's views are not const, though it writes to none that come in.
MDB_val view(std::string_view text) { return {text.size(), const_cast<char*>(text.data())}; }

/// A transaction of its own for every write, as a service without a queue in
/// front has it. A read transaction is kept and renewed for each read, which is
/// LMDB's cheapest way to a fresh view.
class LmdbSession final : public LoopingSession<LmdbSession> {
 public:
  LmdbSession(MDB_env* env, MDB_dbi table) : env_(env), table_(table) {
    check(mdb_txn_begin(env_, nullptr, MDB_RDONLY, &reading_), "mdb_txn_begin");
    mdb_txn_reset(reading_);
  }
  ~LmdbSession() override { mdb_txn_abort(reading_); }

  void put(std::string_view key, std::string_view value) override {
    MDB_txn* writing = begin();
    MDB_val k = view(key), v = view(value);
    finish(writing, mdb_put(writing, table_, &k, &v, 0), "mdb_put");
  }

  bool get(std::string_view key, std::string& value) override {
    check(mdb_txn_renew(reading_), "mdb_txn_renew");
    const bool found = read(key, value);
    mdb_txn_reset(reading_);
    return found;
  }

  void multi_get(std::span<const std::string_view> keys, Values values) override {
    check(mdb_txn_renew(reading_), "mdb_txn_renew");
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (!values[i]) values[i].emplace();
      if (!read(keys[i], *values[i])) values[i].reset();
    }
    mdb_txn_reset(reading_);
  }

  bool erase(std::string_view key) override {
    MDB_txn* writing = begin();
    MDB_val k = view(key);
    const int status = mdb_del(writing, table_, &k, nullptr);
    if (status == MDB_NOTFOUND) {
      mdb_txn_abort(writing);
      return false;
    }
    finish(writing, status, "mdb_del");
    return true;
  }

 private:
  MDB_txn* begin() {
    MDB_txn* writing = nullptr;
    check(mdb_txn_begin(env_, nullptr, 0, &writing), "mdb_txn_begin");
    return writing;
  }

  static void finish(MDB_txn* writing, int status, std::string_view doing) {
    if (status != MDB_SUCCESS) mdb_txn_abort(writing);
    check(status, doing);
    check(mdb_txn_commit(writing), "mdb_txn_commit");
  }

  bool read(std::string_view key, std::string& value) {
    MDB_val k = view(key), v{};
    const int status = mdb_get(reading_, table_, &k, &v);
    if (status == MDB_NOTFOUND) return false;
    check(status, "mdb_get");
    value.assign(static_cast<const char*>(v.mv_data), v.mv_size);
    return true;
  }

  MDB_env* env_;
  MDB_dbi table_;
  MDB_txn* reading_ = nullptr;
};

class LmdbEngine : public Engine {
 public:
  explicit LmdbEngine(const EngineOptions& options) {
    check(mdb_env_create(&env_), "mdb_env_create");
    try {
      open(options);
    } catch (...) {
      mdb_env_close(env_);
      throw;
    }
  }
  ~LmdbEngine() override { mdb_env_close(env_); }

  std::unique_ptr<Session> session(Durability durability) override {
    check(mdb_env_set_flags(env_, MDB_NOSYNC, durability == Durability::sync ? 0 : 1), "mdb_env_set_flags");
    return std::make_unique<LmdbSession>(env_, table_);
  }

  /// There is nothing to load: its file is its memory.
  void checkpoint() override { settle(); }

  void settle() override { check(mdb_env_sync(env_, 1), "mdb_env_sync"); }

 private:
  void open(const EngineOptions& options) {
    check(mdb_env_set_mapsize(env_, map_bytes(options)), "mdb_env_set_mapsize");
    check(mdb_env_set_maxreaders(env_, k_readers_max), "mdb_env_set_maxreaders");
    const unsigned flags = MDB_NOSYNC | MDB_WRITEMAP | MDB_NOTLS | MDB_NORDAHEAD;
    check(mdb_env_open(env_, options.directory.c_str(), flags, 0600), "mdb_env_open");
    MDB_txn* opening = nullptr;
    check(mdb_txn_begin(env_, nullptr, 0, &opening), "mdb_txn_begin");
    check(mdb_dbi_open(opening, nullptr, 0, &table_), "mdb_dbi_open");
    check(mdb_txn_commit(opening), "mdb_txn_commit");
  }

  /// Pages are half full after splits, and replaced pages wait for readers; the
  /// file is sparse, so that room to spare costs nothing.
  static std::size_t map_bytes(const EngineOptions& options) {
    const std::size_t entry_bytes = 8 * (options.key_bytes + options.value_bytes) + 256;
    return (std::size_t{1} << 30) + static_cast<std::size_t>(options.keys_max) * entry_bytes;
  }

  MDB_env* env_ = nullptr;
  MDB_dbi table_ = 0;
};

}  // namespace

EngineKind lmdb_kind() {
  return {.name = "lmdb",
          .about = std::to_string(MDB_VERSION_MAJOR) + "." + std::to_string(MDB_VERSION_MINOR) + "." +
                   std::to_string(MDB_VERSION_PATCH) +
                   ", MDB_WRITEMAP, a transaction a write; MDB_NOSYNC unless durability is sync",
          .has_log = true,
          .has_checkpoint = true,
          .key_bytes_max = k_lmdb_key_bytes_max,
          .open = [](const EngineOptions& options) -> std::unique_ptr<Engine> {
            return std::make_unique<LmdbEngine>(options);
          }};
}

}  // namespace bench
