#include "wal/log.h"

#include "base/failure.h"
#include "base/park.h"
#include "base/planted.h"
#include "base/signals.h"
#include "wal/frame_reader.h"

#include <algorithm>
#include <new>
#include <utility>

namespace actable::wal {
namespace {

// After a crash the numbers continue this many epochs above all that the log
// shows, because threads may have been given numbers that never reached it. An
// epoch begins with each round and, when threads retire memory, at most once a
// millisecond or once for 8 MiB that a thread retired; the log's thread writes a
// marker at least every minute in which they do. So the log is never that many
// epochs behind, unless it has failed or the disk stands still for half an hour
// in which 10 GB are retired each second. 2^40 epochs allow for a quarter of a
// million crashes, or 30 years of an epoch each millisecond.
constexpr base::Epoch k_epochs_skipped = base::Epoch{1} << 22;

std::unexpected<Error> no_store(const std::filesystem::path& directory) {
  return fail(ErrorCode::not_found,
              directory.string() + ": there is no store here; set Options::create_if_missing to make one");
}

}  // namespace

Log::Log(const Options& options, base::FileSystem& files, base::Epochs& epochs, const base::DirectoryLock* lock)
    : options_(options),
      files_(files),
      epochs_(epochs),
      lock_(lock),
      pool_(options.staging_bytes, buffer_bytes_for(options)) {}

Log::~Log() {
  (void)close();
  writer_.reset();
  stagers_.for_each([this](Stager& stager) {
    Buffer* buffer = stager.reading != nullptr ? stager.reading : stager.first.load(std::memory_order_acquire);
    while (buffer != nullptr) {
      Buffer* const next = buffer->next.load(std::memory_order_acquire);
      if (buffer->oversize) pool_.give_back(buffer);
      buffer = next;
    }
  });
}

Result<std::unique_ptr<Log>> Log::open(const Options& options, base::FileSystem& files, base::Epochs& epochs,
                                       const Recovery& recovery, const base::DirectoryLock* lock) {
  std::unique_ptr<Log> log(new Log(options, files, epochs, lock));
  if (auto started = log->start(recovery); !started) return std::unexpected(started.error());
  return log;
}

/// A directory without an identity may hold what a crash during creation left:
/// one segment without records, whose path is returned. Anything else is a store that has lost its identity.
Result<std::optional<std::filesystem::path>> Log::check_unidentified() {
  auto names = files_.list(options_.directory);
  if (!names) return std::unexpected(names.error());
  const auto is_segment = [](const std::string& name) { return name.starts_with("log-"); };
  const auto count = std::ranges::count_if(*names, is_segment);
  if (count == 0) return std::nullopt;
  const auto lost = fail(ErrorCode::corrupt, (options_.directory / k_identity_file).string() +
                                                 ": offset 0: the file is missing, and the directory holds a log; "
                                                 "restore it from a backup, or open an empty directory");
  const std::string first = segment_file_name(1);
  if (count != 1 || std::ranges::find(*names, first) == names->end()) return lost;
  auto file = files_.open(options_.directory / first, {});
  if (!file) return std::unexpected(file.error());
  auto size = (*file)->size();
  if (!size) return std::unexpected(size.error());
  FrameReader reader(**file, *size, 0);
  // At most the first frame, which holds no records, was written.
  auto blank = reader.blank_at(2 * base::k_block_bytes);
  if (!blank) return std::unexpected(blank.error());
  if (!*blank) return lost;
  return options_.directory / first;
}

Result<LogEnd> Log::recover(std::span<SegmentFile> segments, const Recovery& recovery, const Basis& basis) {
  auto end = replay(options_.directory, identity_, segments, recovery.apply, recovery.help, recovery.passed);
  if (!end) return end;
  // No life's numbers go further than that beyond what its log shows.
  const Seq numbers_max = base::first_seq_of(base::epoch_of(std::max(end->numbers_end, end->cut)) + k_epochs_skipped);
  if (end->cut < basis.cut_min || basis.numbers_min > numbers_max) {
    return fail(ErrorCode::corrupt, segments[end->segment].path.string() + ": offset " + std::to_string(end->offset) +
                                        ": the log ends before what the checkpoint holds (it reads back up to number " +
                                        std::to_string(end->cut - 1) + ", and was on disk up to " +
                                        std::to_string(std::max(basis.cut_min, basis.numbers_min) - 1) +
                                        "); restore the directory from a backup");
  }
  // All is read; nothing has been changed.
  ACTABLE_FAIL_POINT("recovery.replayed");
  recovery_.cut = end->cut;
  recovery_.records_applied = end->records_applied;
  recovery_.records_discarded = end->records_discarded;
  recovery_.log_bytes = end->bytes;
  recovery_.clean = end->clean;
  // What was read may be known to the disk's cache only; what the recovery
  // frame builds on must not be.
  for (const std::size_t i : end->live) {
    auto file = segments[i].opened();
    if (!file) return std::unexpected(file.error());
    if (auto synced = (*file)->sync(); !synced) return std::unexpected(synced.error());
    if (i != end->segment) segments[i].close();
  }
  // So may names be that the life before had changed and not synced: what they say is
  // built on, too, and files that they do not name are used again or removed.
  if (auto synced = files_.sync_directory(options_.directory); !synced) return std::unexpected(synced.error());
  // What was read is on disk; that it is all is not.
  ACTABLE_FAIL_POINT("recovery.synced");
  return end;
}

Result<void> Log::expect_in(base::FileSystem& files, const std::filesystem::path& directory) {
  auto names = files.list(directory);
  if (!names) return std::unexpected(names.error());
  const auto is_log = [](const std::string& name) { return name == k_identity_file || name.starts_with("log-"); };
  if (std::ranges::any_of(*names, is_log)) return {};
  return no_store(directory);
}

Result<void> Log::start(const Recovery& recovery) {
  const auto began_at = Clock::now();
  const base::FileSizeSignalBlocked blocked;
  auto found = read_identity(files_, options_.directory);
  if (!found) return std::unexpected(found.error());
  const bool fresh = !found->has_value();
  if (fresh) {
    auto leftover = check_unidentified();
    if (!leftover) return std::unexpected(leftover.error());
    if (!options_.create_if_missing) {
      return no_store(options_.directory);
    }
    if (*leftover) {
      if (auto removed = files_.remove(**leftover); !removed) return removed;
      // A creation that begins for the second time.
      ACTABLE_FAIL_POINT("recovery.leftover_removed");
    }
  }
  identity_ = fresh ? make_identity() : **found;
  std::vector<SegmentFile> listed;
  if (!fresh) {
    auto segments_there = list_segments(files_, options_.directory, identity_.store_id);
    if (!segments_there) return std::unexpected(segments_there.error());
    listed = std::move(*segments_there);
    if (recovery.found) recovery.found(log_bytes_max(identity_, listed));
  }
  epochs_.begin_replay();
  const auto basis = recovery.begin(identity_, fresh);
  if (!basis) return std::unexpected(basis.error());
  if (basis->generation > identity_.first_generation) {
    identity_.first_generation = basis->generation;
    identity_.first_frame = basis->first_frame;
  }

  Segments segments(files_, options_.directory, identity_.store_id, options_.segment_bytes);
  LogEnd end;
  end.next_frame = 1;
  Seq continue_at = base::first_seq_of(1);
  if (!fresh) {
    auto recovered = recover(listed, recovery, *basis);
    if (!recovered) return std::unexpected(recovered.error());
    end = std::move(*recovered);
    continue_at = end.clean || ACTABLE_PLANTED(numbers_continue_at_cut)
                      ? end.cut
                      : base::first_seq_of(base::epoch_of(std::max(end.numbers_end, end.cut)) + k_epochs_skipped);
    // Above those of segments that are no part of the log, too; see wal/beginning.h.
    era_last_ = end.era;
    for (const SegmentFile& segment : listed) {
      if (segment.state == HeaderState::whole) era_last_ = std::max(era_last_, segment.header.era);
    }
    std::vector<SegmentFile> live;
    std::vector<SegmentFile> spare;
    std::vector<bool> goes_on(listed.size(), false);
    for (const std::size_t i : end.live) {
      goes_on[i] = true;
      live.push_back(std::move(listed[i]));
      if (i == end.segment) break;
    }
    for (std::size_t i = 0; i < listed.size(); ++i) {
      if (goes_on[i]) continue;
      listed[i].close();
      spare.push_back(std::move(listed[i]));
    }
    segments.take_over(std::move(live), end.offset, std::move(spare), era_last_ + 1);
  }
  ++era_last_;

  if (recovery.changing) {
    if (auto may = recovery.changing(); !may) return may;
  }
  auto queue = files_.make_queue(options_.log_io);
  if (!queue) return std::unexpected(queue.error());
  if (lock_ != nullptr) (*queue)->hold(*lock_);
  continue_at = epochs_.restart_at(std::max(continue_at, basis->numbers_min));
  durable_.begin_at(continue_at);
  WriterConfig config{identity_.store_id,     era_last_,         end.next_frame, options_.write_interval,
                      options_.sync_interval, options_.log_nice, options_.log,   recovery.aside};
  writer_ = std::make_unique<Writer>(std::move(config), epochs_, stagers_, pool_, std::move(segments),
                                     std::move(*queue), durable_);
  auto marked = writer_->write_recovery_frame(continue_at, end.cut);
  if (marked && fresh) marked = write_identity(files_, options_.directory, identity_);
  if (!marked) {
    writer_.reset();
    return marked;
  }
  if (auto begun = writer_->start(); !begun) {
    writer_.reset();
    return begun;
  }
  started_ = true;
  recovery_.duration = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began_at);
  return {};
}

std::unexpected<Error> Log::read_only_error() const {
  if (!durable_.failed()) {
    return base::failure(ErrorCode::read_only, [this] {
      return "the store takes no more writes (" + failure() + "); reads go on; open the store again to write";
    });
  }
  return base::failure(ErrorCode::read_only, [this] {
    return "the log failed earlier and the store takes no more writes (" + failure() +
           "); reads go on; mend the disk and heal the store, or open it again";
  });
}

Result<void> Log::reserve(Stager& stager, std::size_t bytes, bool no_wait) {
  if (durable_.refuses()) [[unlikely]]
    return read_only_error();
  if (has_room(stager, bytes)) [[likely]]
    return {};
  if (!stager.counted) pool_.add_thread();
  stager.counted = true;
  bool waited = false;
  const std::chrono::milliseconds write_deadline(write_deadline_ms_.load(std::memory_order_relaxed));
  const Deadline deadline = Clock::now() + write_deadline;
  Buffer* buffer = pool_.try_take(k_frame_header_bytes + bytes);
  if (buffer == nullptr && !no_wait) {
    buffer = pool_.take(k_frame_header_bytes + bytes, deadline, waited, [this] { writer_->wake(); });
  }
  if (waited) waits_.fetch_add(1, std::memory_order_relaxed);
  if (buffer == nullptr) {
    if (durable_.refuses()) return read_only_error();
    overloads_.fetch_add(1, std::memory_order_relaxed);
    if (no_wait) {
      writer_->wake();
      return base::failure(ErrorCode::overloaded,
                           "the disk does not keep up with the writers, and this write may not wait "
                           "(WriteOptions::no_wait); nothing was changed, try again later");
    }
    return base::failure(ErrorCode::overloaded, [write_deadline] {
      return "the disk did not keep up with the writers for " + std::to_string(write_deadline.count()) +
             " ms (Options::write_deadline); nothing was changed, try again later";
    });
  }
  if (buffer->oversize) {
    stager.reserved = buffer;
    return {};
  }
  adopt(stager, buffer);
  const std::size_t handoffs_per_wake = k_wake_bytes / pool_.buffer_bytes();
  if (handoffs_.fetch_add(1, std::memory_order_relaxed) % handoffs_per_wake == 0) writer_->wake();
  return {};
}

Result<void> Log::wait_durable(Seq number) {
  if (durable_.number() >= number) return {};
  want_durable(number);
  if (durable_.wait_for(number)) return {};
  return base::failure(ErrorCode::indeterminate, [this] {
    return "the log failed before the write was known to be on disk (" + failure() +
           "); it is visible now and may or may not be there after the store is opened again";
  });
}

void Log::release_before(std::uint64_t frame_number, std::uint64_t spare_bytes_max) {
  auto publish = [this](std::uint64_t generation, std::uint64_t first_frame) -> Result<void> {
    if (generation == identity_.first_generation) return {};
    Identity next = identity_;
    next.first_generation = generation;
    next.first_frame = first_frame;
    auto written = write_identity(files_, options_.directory, next);
    if (written) identity_ = next;
    return written;
  };
  writer_->release_before(frame_number, spare_bytes_max, std::move(publish));
}

Result<Beginning> Log::prepare_anew(Seq cut) {
  // The same frame for each attempt: so none goes on where another ends.
  return write_beginning(files_, options_.directory, options_.segment_bytes,
                         {identity_.store_id, ++era_last_, writer_->next_frame() + 1, cut});
}

void Log::begin_anew(Beginning beginning) noexcept {
  identity_.first_generation = beginning.generation;
  identity_.first_frame = beginning.first_frame;
  try {
    // The manifest says so already; where this fails it goes on to do so alone.
    (void)write_identity(files_, options_.directory, identity_);
  } catch (const std::bad_alloc&) {
    // As above.
  }
  writer_->begin_anew(std::move(beginning))->remove_all();
}

Result<void> Log::close() {
  if (closed_ || !started_) return {};
  closed_ = true;
  // All numbers handed out so far; the writer need not know that it is the end.
  Result<void> synced = wait_durable(epochs_.next_seq());
  writer_->stop();
  // Whoever waits for room learns at once that there is none to come.
  pool_.shut();
  if (synced && durable_.failed()) {
    return base::failure(ErrorCode::indeterminate, [this] {
      return "the log failed while closing (" + failure() +
             "); all writes were on disk before, but the log is not marked as closed";
    });
  }
  return synced;
}

LogStats Log::stats() const {
  LogStats stats = writer_->stats();
  stats.waits = waits_.load(std::memory_order_relaxed);
  stats.overloads = overloads_.load(std::memory_order_relaxed);
  return stats;
}

}  // namespace actable::wal
