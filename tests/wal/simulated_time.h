#pragma once

#include "tests/support/scheduler.h"
#include "tests/support/simulated_disk.h"
#include "tests/wal/log_fixture.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

/// The log in simulated time, which passes in waits alone: between them
/// everything happens at once. So what the log's thread does when can be
/// foretold to the nanosecond.
namespace actable::test {

/// Since the simulation began.
using Instant = std::chrono::nanoseconds;

/// How long a disk takes for each request, however many it has.
struct DiskTimes {
  std::chrono::nanoseconds write = std::chrono::microseconds(200);
  std::chrono::nanoseconds sync = std::chrono::milliseconds(3);
};

/// A write or a sync that the log's thread asked its disk for.
struct DiskRequest {
  Instant at;
  Instant done;
  bool is_sync;
};

/// A simulated disk that takes its time.
///
/// Thread safety: *confined* to whoever runs.
class PacedDisk final : public SimulatedDisk {
 public:
  PacedDisk(Scheduler& scheduler, DiskTimes times) : scheduler_(scheduler), times_(times) {}

  Result<std::unique_ptr<base::WriteQueue>> make_queue(LogIo kind) override;

  [[nodiscard]] Instant now() const noexcept { return scheduler_.now() - began_at_; }
  /// Those begun so far, in order.
  [[nodiscard]] const std::vector<DiskRequest>& requests() const noexcept { return requests_; }
  /// When the log's thread had nothing to do, each time.
  [[nodiscard]] const std::vector<Instant>& waits() const noexcept { return waits_; }
  /// How often it was told to look around.
  [[nodiscard]] std::uint64_t wakes() const noexcept { return wakes_; }

  /// For requests to come.
  void take(DiskTimes times) noexcept { times_ = times; }

 private:
  friend class PacedQueue;

  Scheduler& scheduler_;
  DiskTimes times_;
  const base::TimePoint began_at_ = scheduler_.now();
  std::vector<DiskRequest> requests_;
  std::vector<Instant> waits_;
  std::uint64_t wakes_ = 0;
};

/// What the log did in a part of the time, which began at `from`: the other
/// instants are counted from there.
struct Pace {
  Instant from{};
  std::uint64_t rounds = 0;
  /// When it began writes and syncs. Of what is begun together, once.
  std::vector<Instant> writes{};
  std::vector<Instant> syncs{};
  std::vector<Instant> waits{};
  std::uint64_t wakes = 0;
};

/// A log on a paced disk, and those who use it.
///
/// Thread safety: *confined* to whoever runs, but for the construction and `run`.
class TimedLog {
 public:
  explicit TimedLog(const Options& options, DiskTimes times = {});

  using Client = std::function<void(Life&)>;

  /// Opens the log, runs the clients side by side, and closes it. Each begins
  /// when the log is at rest.
  void run(std::vector<Client> clients);
  void run(Client client) { run(std::vector{std::move(client)}); }

  [[nodiscard]] Instant now() const noexcept { return disk_.now(); }
  void pause(std::chrono::nanoseconds time) { scheduler_.pause(time); }
  void pause_until(Instant instant) { scheduler_.pause(instant - now()); }
  /// Waits until it holds.
  void await(const std::function<bool()>& condition);
  /// When the write is on disk: waits for that and asks for nothing.
  Instant durable_at(const Life& life, Seq seq);
  /// What the log does meanwhile.
  Pace watch(const Life& life, const std::function<void()>& meanwhile);
  Pace watch(const Life& life, std::chrono::nanoseconds time) {
    return watch(life, [&] { pause(time); });
  }

  [[nodiscard]] PacedDisk& disk() noexcept { return disk_; }

 private:
  const Options options_;
  Scheduler scheduler_;
  PacedDisk disk_;
};

}  // namespace actable::test
