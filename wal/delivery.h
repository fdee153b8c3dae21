#pragma once

#include "base/read_ahead.h"
#include "wal/format.h"

#include <actable/result.h>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

namespace actable::wal {

/// Records that are handed over together, at most: as many as a core can have cache
/// misses under way for.
inline constexpr std::size_t k_run_records_max = 16;

/// Takes a run of records, never empty, good for the call only; fails to stop the replay
/// with that error.
using Apply = std::function<Result<void>(std::span<const LogRecord> run)>;

/// For who takes them one by one, and fails as an `Apply`.
using TakeRecord = std::function<Result<void>(const LogRecord&)>;
[[nodiscard]] Apply each_record(TakeRecord take);

/// Lets a thread take records: called on that thread, it calls `work` with what takes
/// them there, or returns without where there is no place for the thread.
using Help = std::function<void(const std::function<void(const Apply&)>& work)>;

/// A frame's records, those in [from, to) of which are to be delivered.
struct Piece {
  base::FileView records;
  Seq from;
  Seq to;
};

/// Hands the records of a log to those who take them: the calling thread, and helpers
/// once there is so much that they are worth it. Then a record goes to any of them, in
/// any order. They go in runs, so that who takes them can fetch what he needs for all
/// of a run at the same time.
///
/// What waits is at most `k_waiting_bytes_max` and one frame; with so much of it the
/// caller takes some itself.
///
/// Thread safety: *confined* to the reader of the log.
class Delivery {
 public:
  static constexpr std::size_t k_waiting_bytes_max = std::size_t{8} << 20;
  /// A batch of pieces that one thread takes: so much that the way to it costs nothing
  /// beside what is done with it.
  static constexpr std::size_t k_batch_bytes = std::size_t{64} << 10;

  /// Both outlive it.
  Delivery(const Apply& apply, const Help& help) : apply_(apply), help_(help) {}
  /// Helpers end with what they are at; what waits is forgotten.
  ~Delivery();
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;

  /// Has helpers from now on, as many as there are processors beside the caller's, and as
  /// far as there is a place for them and the system lets them start.
  void employ();

  /// Fails with what a record was refused with, some time after that. Others may have
  /// been delivered.
  [[nodiscard]] Result<void> take(Piece piece);

  /// Waits until all that was taken is delivered. Fails as `take`.
  [[nodiscard]] Result<void> finish();

  /// Records that were delivered by the last `finish`.
  [[nodiscard]] std::uint64_t applied() const noexcept { return applied_; }

 private:
  struct Batch {
    std::vector<Piece> pieces;
    std::size_t bytes = 0;
  };

  void help();
  void work(const Apply& apply);
  /// Counts the records in `applied`.
  [[nodiscard]] static Result<void> deliver(const Piece& piece, const Apply& apply, std::uint64_t& applied);
  [[nodiscard]] static Result<void> deliver(const Batch& batch, const Apply& apply, std::uint64_t& applied);
  /// Takes the first batch that waits and delivers it, without the lock meanwhile.
  void deliver_first(const Apply& apply, std::unique_lock<std::mutex>& lock);
  [[nodiscard]] Result<void> pass_on();
  [[nodiscard]] Result<void> so_far() const;

  const Apply& apply_;
  const Help& help_;
  Batch next_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> waiting_;
  std::size_t waiting_bytes_ = 0;
  unsigned busy_ = 0;
  bool over_ = false;
  std::optional<Error> failure_;
  std::uint64_t applied_ = 0;
  std::vector<std::jthread> helpers_;
};

}  // namespace actable::wal
