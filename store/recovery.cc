#include "base/assert.h"
#include "base/park.h"
#include "base/planted.h"
#include "base/simulation.h"
#include "store/backup_record.h"
#include "store/catalog.h"
#include "store/checks.h"
#include "store/space_operations.h"
#include "store/store_core.h"

#include <algorithm>
#include <array>
#include <span>

/// Opening: what the checkpoint holds (store/restore.cc) and the log's records go into tables by the number of their
/// space, in any order, a record where the table holds none of a higher number. Once all are in, the catalog says which
/// of the tables are spaces.
namespace actable::store {

Result<std::shared_ptr<StoreCore>> StoreCore::open(Options options, base::FileSystem& files, OptionChecks checks) {
  if (checks == OptionChecks::full) {
    if (auto checked = check_options(options); !checked) return std::unexpected(checked.error());
  }
  std::shared_ptr<StoreCore> store(new StoreCore(std::move(options), files));
  Result<void> started = no_memory("opening the store");
  try {
    started = store->start();
  } catch (const std::bad_alloc&) {
    // As it was made: nothing of the log was changed but by its own steps.
  }
  if (started) return store;
  // Spaces and store hold each other; closing parts them.
  (void)store->close();
  return std::unexpected(started.error());
}

Result<void> StoreCore::start() {
  if (options_.directory.empty()) {
    hash_seed_ = base::random_word();
    state_ = State::open;
    return {};
  }
  if (auto prepared = files_.prepare_directory(options_.directory, options_.create_if_missing); !prepared) {
    return std::unexpected(prepared.error());
  }
  if (!options_.create_if_missing) {
    if (auto there = wal::Log::expect_in(files_, options_.directory); !there) return there;
  }
  auto locked = files_.lock(options_.directory);
  if (!locked) return std::unexpected(locked.error());
  lock_ = std::move(*locked);
  auto is_backup = holds_backup(files_, options_.directory);
  if (!is_backup) return std::unexpected(std::move(is_backup.error()));
  if (auto logged = start_log(*is_backup); !logged) return logged;
  // The new era has begun; nobody has been let in.
  ACTABLE_FAIL_POINT("recovery.log_opened");
  // The thread's context for replaying was made without a log.
  contexts_.forget(base::thread_index());
  remove_checkpoint_leftovers();
  auto own = context();
  if (!own) return std::unexpected(own.error());
  if (auto adopted = adopt_spaces(**own); !adopted) return adopted;
  recovery_meter_.finish();
  state_ = State::open;
  // Open, and not a write taken.
  ACTABLE_FAIL_POINT("recovery.recovered");
  const RecoveryStats& recovered = log_->recovery();
  if (recovered.records_applied > restored_.records_applied) checkpointer_.recovered_more();
  const std::uint64_t records = recovered.records_applied - restored_.records_applied + restored_.checkpoint_records;
  report(LogLevel::info, "opened " + options_.directory.string() + ": " + std::to_string(records) +
                             " records recovered, " + std::to_string(recovered.records_discarded) +
                             " beyond the cut discarded, in " + std::to_string(recovered.duration.count()) + " us");
  return {};
}

Result<void> StoreCore::start_log(bool is_backup) {
  wal::Recovery recovery;
  std::optional<Replaying> own;
  recovery.begin = [this, &own](const wal::Identity& identity, bool fresh) -> Result<wal::Basis> {
    hash_seed_ = identity.hash_seed;
    auto found = context();
    if (!found) return std::unexpected(found.error());
    own.emplace(**found);
    auto catalog = recovered_space(k_catalog_id);
    if (!catalog) return std::unexpected(catalog.error());
    return restore(identity, fresh);
  };
  if (is_backup) recovery.changing = [this] { return forget_backup(files_, options_.directory); };
  recovery.apply = [this, &own](std::span<const wal::LogRecord> run) { return apply(*own, run); };
  recovery.found = [this](std::uint64_t bytes) { recovery_meter_.expect(bytes); };
  recovery.passed = [this](std::uint64_t bytes) { recovery_meter_.pass(bytes); };
  recovery.help = [this](const std::function<void(const wal::Apply&)>& work) { help_to_replay(work); };
  // The memory outlives the log's thread.
  recovery.aside = [memory = memory_.get()] { return memory->populate_ahead(); };
  auto log = wal::Log::open(options_, files_, epochs_, recovery, lock_.get());
  if (!log) return std::unexpected(log.error());
  if (own) end_replaying(*own);
  const std::lock_guard lock(catalog_mutex_);
  log_ = std::move(*log);
  return {};
}

void StoreCore::help_to_replay(const std::function<void(const wal::Apply&)>& work) {
  auto own = context();
  // Where there is no place for it, those there are do it.
  if (!own) return;
  Replaying thread{**own};
  work([this, &thread](std::span<const wal::LogRecord> run) { return apply(thread, run); });
  end_replaying(thread);
  // It was made without a log, and its place may go to a thread that writes.
  contexts_.forget(base::thread_index());
}

void StoreCore::end_replaying(const Replaying& thread) {
  const std::lock_guard lock(recovering_mutex_);
  restored_.records_applied += thread.passed_over;
}

Result<SpaceCore*> StoreCore::recovered_space(std::uint32_t id) {
  const std::lock_guard lock(recovering_mutex_);
  next_space_id_ = std::max(next_space_id_, id + 1);
  if (const auto found = recovering_.find(id); found != recovering_.end()) return found->second.get();
  auto made = make_space(id, {}, {});
  if (!made) return std::unexpected(made.error());
  return recovering_.emplace(id, std::move(*made)).first->second.get();
}

/// The log has its keys in no order, so each of them is a cache miss, and its old record
/// another: those of a run are fetched at the same time.
Result<void> StoreCore::apply(Replaying& thread, std::span<const wal::LogRecord> run) {
  struct Put {
    SpaceCore* space;
    std::uint64_t hash;
    const wal::LogRecord* record;
  };
  std::array<Put, wal::k_run_records_max> memory;
  ACTABLE_ASSERT(run.size() <= memory.size());
  std::size_t count = 0;
  for (const wal::LogRecord& record : run) {
    auto space = space_of(thread, record);
    if (!space) return std::unexpected(std::move(space.error()));
    const std::uint64_t hash = (*space)->hash(record.key);
    // The checkpoint has what became of it (rule 8): an erased key must not come back.
    if (record.seq < restoring_.groups[checkpoint::group_of(hash)].cut && !ACTABLE_PLANTED(log_below_cut_applied)) {
      ++thread.passed_over;
      continue;
    }
    (*space)->table().prefetch_bucket(hash);
    memory[count++] = {*space, hash, &record};
  }
  const auto puts = std::span(memory).first(count);
  {
    const base::ReadPin pin(epochs_, thread.context.slot);
    for (const Put& put : puts) put.space->table().prefetch_record(put.hash);
  }
  for (const Put& put : puts) {
    if (auto done = put_recovered(thread.context, *put.space, put.hash, *put.record); !done) return done;
  }
  return {};
}

Result<SpaceCore*> StoreCore::space_of(Replaying& thread, const wal::LogRecord& record) {
  if (record.space > k_space_id_max) {
    return fail(ErrorCode::corrupt, "the log's record number " + std::to_string(record.seq) +
                                        " is of a space whose number no space can have");
  }
  if (record.space == k_catalog_id && !record.tombstone) {
    if (auto checked = check_catalog_entry(record.seq, record.value); !checked) return std::unexpected(checked.error());
  }
  if (thread.space == nullptr || thread.space_id != record.space) {
    auto space = recovered_space(record.space);
    if (!space) return space;
    thread.space = *space;
    thread.space_id = record.space;
  }
  return thread.space;
}

Result<void> StoreCore::check_catalog_entry(Seq seq, std::string_view value) {
  const auto id = decode_space(value);
  if (!id || *id == k_catalog_id || *id > k_space_id_max)
    return fail(ErrorCode::corrupt, "the log's record number " + std::to_string(seq) +
                                        " names a space in a way that this version cannot read");
  const std::lock_guard lock(recovering_mutex_);
  next_space_id_ = std::max(next_space_id_, *id + 1);
  return {};
}

Result<void> StoreCore::put_recovered(ThreadContext& context, SpaceCore& space, std::uint64_t hash,
                                      const wal::LogRecord& record) {
  // A pin for each record: what is replaced can be used again on the way.
  const base::WritePin pin(epochs_, context.slot);
  table::Position position{};
  table::HashTable& table = space.table();
  table::Record* fresh = nullptr;
  // Other threads may be putting the file's other records into the same bucket.
  while (true) {
    if (!table.locate(context.cache(), hash, record.key, position)) return no_memory("the recovered table");
    if (position.seq() >= record.seq) break;
    if (fresh == nullptr) {
      fresh = table::Record::make(*memory_, context.cache(), record.key, record.value, record.tombstone);
      if (fresh == nullptr) return no_memory("a recovered record");
      fresh->number(record.seq);
    }
    if (!table.publish(position, hash, fresh)) continue;
    space.replaced(context, hash, position, *fresh);
    return {};
  }
  if (fresh != nullptr) memory_->retire(context.cache(), fresh, fresh->bytes());
  return {};
}

Result<void> StoreCore::adopt_spaces(ThreadContext& context) {
  catalog_ = recovering_.at(k_catalog_id);
  std::vector<std::pair<std::string, std::uint32_t>> entries;
  {
    const base::ReadPin pin(epochs_, context.slot);
    for (table::ScanPosition at; !at.done;) {
      catalog_->table().scan(at, [&entries](const table::Record& record) {
        entries.emplace_back(record.key(), *decode_space(record.value()));
      });
    }
  }
  // Those of the checkpoint have not been looked at one by one.
  for (const auto& [name, id] : entries) {
    if (id == k_catalog_id || id > k_space_id_max) {
      return fail(ErrorCode::corrupt, "the checkpoint gives the space '" + name +
                                          "' a number that no space can have; "
                                          "restore the directory from a backup");
    }
    next_space_id_ = std::max(next_space_id_, id + 1);
  }
  std::ranges::sort(entries, {}, &decltype(entries)::value_type::second);
  const auto twice = std::ranges::adjacent_find(entries, {}, &decltype(entries)::value_type::second);
  if (twice != entries.end()) {
    return fail(ErrorCode::corrupt, "the log gives the spaces '" + twice->first + "' and '" + std::next(twice)->first +
                                        "' the same number, " + std::to_string(twice->second));
  }
  for (const auto& [name, id] : entries) {
    if (auto known = recovered_space(id); !known) return std::unexpected(known.error());
    std::shared_ptr<SpaceCore> space = recovering_.extract(id).mapped();
    space->rename(name);
    spaces_.emplace(name, std::move(space));
  }
  // What is left was dropped.
  for (const auto& [id, space] : recovering_) {
    if (id != k_catalog_id) clear_table(*space, context);
  }
  recovering_.clear();
  return {};
}

}  // namespace actable::store
