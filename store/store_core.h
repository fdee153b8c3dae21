#pragma once

#include "base/epoch.h"
#include "base/file.h"
#include "base/record_memory.h"
#include "base/simulation.h"
#include "routing/shard_map.h"
#include "store/checkpointer.h"
#include "store/maintenance.h"
#include "store/recovery_meter.h"
#include "store/sampler.h"
#include "store/space_core.h"
#include "store/thread_context.h"
#include "wal/log.h"

#include <actable/batch.h>
#include <actable/options.h>
#include <actable/result.h>
#include <actable/stats.h>

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace actable::store {

/// `skipped`: for tests, whose segments may be smaller than users' may.
enum class OptionChecks { full, skipped };

/// The store itself; `actable::Store` owns one, and every handle to a space
/// keeps it alive, though empty once closed.
///
/// Thread safety: *synchronized*.
class StoreCore : public std::enable_shared_from_this<StoreCore> {
 public:
  /// `files` outlives the store.
  [[nodiscard]] static Result<std::shared_ptr<StoreCore>> open(Options options, base::FileSystem& files,
                                                               OptionChecks checks = OptionChecks::full);
  ~StoreCore();
  StoreCore(const StoreCore&) = delete;
  StoreCore& operator=(const StoreCore&) = delete;

  /// With `no_wait` a space that would have to be made while another call makes
  /// or drops one, or while the log has no room, is refused with overloaded.
  [[nodiscard]] Result<std::shared_ptr<SpaceCore>> space(std::string_view name, SpaceOptions options,
                                                         bool no_wait = false);
  /// The space of that name, whatever its options; makes none. Fails with not_found and closed.
  [[nodiscard]] Result<std::shared_ptr<SpaceCore>> existing_space(std::string_view name) const;
  [[nodiscard]] Result<bool> drop_space(std::string_view name);
  [[nodiscard]] std::vector<std::string> spaces() const;

  [[nodiscard]] Result<Seq> write(const BatchOps& batch, WriteOptions options);

  [[nodiscard]] Seq last_seq() const noexcept;
  [[nodiscard]] Seq durable_seq() const noexcept;
  [[nodiscard]] Result<void> wait_durable(Seq seq);
  [[nodiscard]] Result<Seq> sync();

  /// For those who cannot wait: `watcher` is called as Durable::watch says
  /// whenever the durable number may have changed, until the store closes or
  /// another replaces it. False where there is no log.
  bool watch_durable(std::function<void()> watcher);
  /// As `wait_durable`, without waiting: true when that is so already, else the
  /// log has been told to hurry.
  [[nodiscard]] Result<bool> want_durable(Seq seq);
  /// True once nothing more becomes durable.
  [[nodiscard]] bool log_failed() const noexcept;
  /// Writes that the log would hold are refused from now on, as after its failure;
  /// those that were taken become durable.
  void refuse_writes(std::string_view reason);
  [[nodiscard]] StoreStats stats();
  [[nodiscard]] Result<void> close();

  [[nodiscard]] base::Epochs& epochs() noexcept { return epochs_; }
  [[nodiscard]] base::RecordMemory& memory() noexcept { return *memory_; }
  /// Null in a pure-memory store. Both are for pinned callers that have seen
  /// an open space: closing takes the log away once no such pin is left.
  [[nodiscard]] wal::Log* log() noexcept { return log_.get(); }
  [[nodiscard]] std::shared_ptr<wal::Log> share_log() const noexcept { return log_; }
  /// A share of the log for a caller that is not pinned; null when closed or pure memory.
  [[nodiscard]] std::shared_ptr<wal::Log> find_log() const noexcept;

  /// One bounded step of a shard's maintenance; see Maintenance. Fails with closed,
  /// overloaded (more than `k_threads_max` threads) and no_memory; it may be called
  /// again then.
  [[nodiscard]] Result<Maintained> maintain(unsigned shard);

  /// The number of the pass that was begun last. The one who drives shard 0 sees it
  /// grow, and has the others' steps done.
  [[nodiscard]] std::uint64_t maintenance_pass() const noexcept { return maintenance_.pass(); }
  /// Has the next steps give all memory back that they can.
  void ask_for_compaction() noexcept { maintenance_.ask_for_compaction(); }

  /// Writes a checkpoint, or waits for the one that is under way. Fails as `Store::checkpoint`.
  [[nodiscard]] Result<void> checkpoint();
  /// The same if one is due by the rules of `Options`, and none is being written; false otherwise.
  [[nodiscard]] Result<bool> checkpoint_if_due();
  /// What a checkpoint of the logged spaces would take, but for the blocks' headers.
  [[nodiscard]] std::uint64_t checkpoint_bytes() const;
  /// As `Store::heal` (healing.cc).
  [[nodiscard]] Result<Healed> heal();
  /// One bounded step; see Checkpointer. Fails with closed, overloaded, and as the
  /// checkpoint does that it ends.
  [[nodiscard]] Result<Checkpointed> step_checkpoint();
  [[nodiscard]] Checkpointer& checkpointer() noexcept { return checkpointer_; }

  /// Fails as `Store::backup`.
  [[nodiscard]] Result<BackupStats> backup(const std::filesystem::path& directory);

  /// True from opening to closing. For pinned callers: while it is, what they use
  /// stays.
  [[nodiscard]] bool is_open() const noexcept { return state_.load(std::memory_order_acquire) == State::open; }
  [[nodiscard]] std::unexpected<Error> closed_error() const;
  /// All there are, the catalog too.
  [[nodiscard]] std::vector<std::shared_ptr<SpaceCore>> all_spaces() const;
  /// The same, if there is no table beside theirs: no space is being made or dropped,
  /// and none that was is still in use. The caller is not pinned.
  [[nodiscard]] std::optional<std::vector<std::shared_ptr<SpaceCore>>> settled_spaces();
  /// All spaces, where none is being made or dropped, and which numbers have not been
  /// given to any.
  struct Unchanging {
    std::vector<std::shared_ptr<SpaceCore>> spaces;
    std::uint32_t next_space_id;
  };
  [[nodiscard]] std::optional<Unchanging> unchanging_spaces();
  /// Gives back a part of what spaces held that were dropped; false where there is
  /// nothing to give back, somebody is still in it, or spaces are being made or
  /// dropped. The caller is not pinned.
  [[nodiscard]] bool reclaim_some_at_once();

  /// Unpinned, between two writes of a thread whose cache says `budget_due`:
  /// lets other threads run while retired memory is over its budget, for one of
  /// them may be stopped where it holds that memory back.
  void let_others_run(ThreadContext& context) noexcept;

  /// False in a child that was forked while the store was open: it has no log's
  /// thread, and the parent's files.
  [[nodiscard]] bool in_opening_process() const noexcept { return ::getpid() == process_; }

  [[nodiscard]] Sampler& sampler() noexcept { return sampler_; }
  /// Gives the sampler's sink what all threads have gathered, full or not.
  void collect_samples() noexcept;
  /// The names of the spaces by their numbers.
  [[nodiscard]] std::unordered_map<std::uint32_t, std::string> space_names() const;

  /// As the store was opened.
  [[nodiscard]] const Options& options() const noexcept { return options_; }

  /// The options that may change while the store is open, as they are now.
  struct Tuning {
    std::chrono::milliseconds write_interval;
    std::chrono::milliseconds sync_interval;
    std::chrono::milliseconds write_deadline;
    std::size_t retired_bytes;
    std::uint64_t checkpoint_bytes_per_second;
  };
  [[nodiscard]] Tuning tuning() const;
  /// Fails with invalid_argument where one is out of its range, and with closed.
  [[nodiscard]] Result<void> tune(const Tuning& tuning);
  [[nodiscard]] std::uint64_t hash_seed() const noexcept { return hash_seed_; }
  [[nodiscard]] const routing::ShardMap& shard_map() const noexcept { return shard_map_; }

  /// The calling thread's context, or null where `context` must make it first.
  [[nodiscard]] ThreadContext* find_context() const noexcept { return contexts_.find(base::thread_index_so_far()); }

  /// The calling thread's context. Fails with overloaded (more than
  /// `k_threads_max` threads) or no_memory.
  [[nodiscard]] Result<ThreadContext*> context() {
    const unsigned index = base::thread_index();
    if (index == base::k_no_thread_index) [[unlikely]]
      return no_context();
    if (ThreadContext* const found = contexts_.find(index); found != nullptr) [[likely]]
      return found;
    return new_context(index);
  }

 private:
  StoreCore(Options options, base::FileSystem& files);

  enum class State : std::uint8_t { opening, open, closed };

  // Opening (recovery.cc).
  [[nodiscard]] Result<void> start();
  [[nodiscard]] Result<void> start_log(bool is_backup);
  /// What a thread that takes the log's records has at hand.
  struct Replaying {
    ThreadContext& context;
    // Of the last record.
    std::uint32_t space_id = 0;
    SpaceCore* space = nullptr;
    // Records that the checkpoint has.
    std::uint64_t passed_over = 0;
  };
  /// By any thread that takes part in the replay.
  [[nodiscard]] Result<void> apply(Replaying& thread, std::span<const wal::LogRecord> run);
  [[nodiscard]] Result<SpaceCore*> space_of(Replaying& thread, const wal::LogRecord& record);
  void help_to_replay(const std::function<void(const wal::Apply&)>& work);
  void end_replaying(const Replaying& thread);
  /// A key's version that was found, unless the table holds a newer one.
  [[nodiscard]] Result<void> put_recovered(ThreadContext& context, SpaceCore& space, std::uint64_t hash,
                                           const wal::LogRecord& record);
  [[nodiscard]] Result<void> check_catalog_entry(Seq seq, std::string_view value);
  [[nodiscard]] Result<void> adopt_spaces(ThreadContext& context);
  [[nodiscard]] Result<SpaceCore*> recovered_space(std::uint32_t id);

  // The checkpoint before the log (restore.cc).
  // (checkpoints.cc)
  [[nodiscard]] Result<void> expect_directory() const;
  void checkpoint_before_closing() noexcept;

  [[nodiscard]] Result<wal::Basis> restore(const wal::Identity& identity, bool fresh);
  [[nodiscard]] Result<void> read_checkpoint();
  [[nodiscard]] Result<void> read_checkpoint_file(ThreadContext& context, const checkpoint::FileEntry& file);
  [[nodiscard]] Result<void> restore(ThreadContext& context, std::uint64_t file, const checkpoint::Record& record);
  [[nodiscard]] Result<std::set<std::uint64_t>> checkpoint_files_there();
  void remove_checkpoint_leftovers() noexcept;

  // The catalog (catalog.cc): space 0, whose keys are the names of the others.
  [[nodiscard]] Result<std::shared_ptr<SpaceCore>> make_space(std::uint32_t id, std::string_view name,
                                                              SpaceOptions options);
  [[nodiscard]] Result<std::shared_ptr<SpaceCore>> create_space(std::string_view name, SpaceOptions options,
                                                                bool no_wait);
  [[nodiscard]] bool reclaim_some();
  /// True when the calling thread is inside a function of the user's that the store called.
  [[nodiscard]] bool inside_visitor() noexcept;
  /// A part of what the space's table holds goes back, and at the end the table; nobody
  /// uses it any more.
  void clear_some(SpaceCore& space, ThreadContext& context, table::ScanPosition& position) noexcept;
  void clear_table(SpaceCore& space, ThreadContext& context) noexcept;
  [[nodiscard]] std::shared_ptr<SpaceCore> find_space(std::string_view name) const;

  [[nodiscard]] Result<ThreadContext*> new_context(unsigned index);
  [[nodiscard]] static Result<ThreadContext*> no_context();
  void watch_pins();
  /// The log, to ask whether a write of that number is on disk. Fails as wait_durable.
  [[nodiscard]] Result<std::shared_ptr<wal::Log>> log_for(Seq seq) const;
  void report(LogLevel level, const std::string& message) const;

  const Options options_;
  const pid_t process_ = ::getpid();
  base::FileSystem& files_;
  const routing::ShardMap shard_map_;
  std::uint64_t hash_seed_ = 0;
  mutable base::Epochs epochs_;
  // Let go of at closing, so that a handle kept for long keeps no data.
  std::unique_ptr<base::RecordMemory> memory_;
  base::PerThread<ThreadContext> contexts_;
  Sampler sampler_;

  std::atomic<State> state_{State::opening};
  // Held while a space is created or dropped, a wait for the log included;
  // taken before `catalog_mutex_`.
  std::mutex changes_mutex_;
  // Held for looks at the members below.
  mutable std::mutex catalog_mutex_;
  std::shared_ptr<SpaceCore> catalog_;
  std::map<std::string, std::shared_ptr<SpaceCore>, std::less<>> spaces_;
  std::uint32_t next_space_id_ = 1;
  struct Dropped {
    std::shared_ptr<SpaceCore> space;
    /// Whoever is pinned in this epoch or a later one has seen the drop.
    base::Epoch seen_from;
    /// What was given back of its table.
    table::ScanPosition cleared{};
  };
  std::vector<Dropped> dropped_;
  // Held by those who replay the log, for looks at what follows, and at
  // `next_space_id_`.
  std::mutex recovering_mutex_;
  // Only while recovering: tables by space number, in use or not.
  std::unordered_map<std::uint32_t, std::shared_ptr<SpaceCore>> recovering_;
  // Only while recovering: the checkpoint, without files if there is none.
  checkpoint::Manifest restoring_;
  RecoveryStats restored_;
  RecoveryMeter recovery_meter_{options_.progress};

  // Held while options change.
  mutable std::mutex tuning_mutex_;
  Tuning tuning_{options_.write_interval, options_.sync_interval, options_.write_deadline, options_.retired_bytes,
                 options_.checkpoint_bytes_per_second};
  // relaxed: nothing else hangs on it.
  std::atomic<std::size_t> retired_bytes_max_{options_.retired_bytes};

  std::mutex pins_mutex_;
  base::Epoch pin_watched_ = 0;
  base::TimePoint pin_watched_since_{};
  bool pin_counted_ = false;
  std::uint64_t pins_long_ = 0;

  std::unique_ptr<base::DirectoryLock> lock_;
  // Shared with those who wait in it while the store closes.
  std::shared_ptr<wal::Log> log_;
  std::atomic<Seq> durable_at_close_{0};
  Maintenance maintenance_;
  Checkpointer checkpointer_;
  // Held alone by who heals, together by who makes backups.
  std::shared_mutex healing_mutex_;
  // relaxed: for statistics.
  std::atomic<std::uint64_t> heals_{0};
};

}  // namespace actable::store
