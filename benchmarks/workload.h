#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace bench {

/// What is done with one key.
enum class Kind : std::uint8_t {
  read,
  /// Reads a key that is not there.
  read_missing,
  put,
  erase,
  /// Reads, then writes: two operations of the engine, counted as one.
  read_modify_write,
};

/// Which keys the operations of a thread go to.
enum class Order {
  /// Each key once, in the order of the keys; a thread has a range.
  sequential,
  /// Each key once, in random order; a thread has every n-th key.
  shuffled,
  /// By the distribution asked for.
  drawn,
  /// Mostly the keys that were inserted last (YCSB D).
  latest,
  /// A key that is not there is put, the one put longest ago is erased.
  pairs,
};

/// What a benchmark does with the engine.
enum class Task {
  /// Threads go through their plans.
  operations,
  /// The loaded store is closed and opened again: it has its log alone to read, or
  /// has just written a checkpoint.
  recovery_from_log,
  recovery_from_checkpoint,
  /// The loaded store is left alone.
  idling,
  /// An empty store is made and closed, again and again.
  opening,
  /// No engine at all: the disk is written to.
  disk_writes,
  disk_reads,
  disk_syncs,
};

/// How operations come to the store.
enum class Way : std::uint8_t {
  /// Threads call the engine.
  calls,
  /// Actors call it: they hold a handle to the space.
  calls_of_actors,
  /// Actors send messages to those of the engine: writes one-way, several writes
  /// in one, or requests, each after the answer to the one before.
  one_way,
  batches,
  requests,
};

/// What the store holds when a benchmark begins, and after it.
enum class Content {
  /// Nothing: a store just opened.
  nothing,
  /// Exactly the keys 0 to num - 1.
  loaded,
  /// Something else.
  other,
};

/// One benchmark: what its threads do, and what it begins and ends with.
///
/// Thread safety: *immutable*.
struct Workload {
  std::string_view name;
  std::string_view what;
  /// What follows is of operations, but for what it begins with.
  Task task = Task::operations;
  Order order = Order::drawn;
  Kind read = Kind::read;
  Kind write = Kind::put;
  /// The others write.
  unsigned reads_percent = 100;
  Content begins = Content::loaded;
  Content ends = Content::loaded;
  /// Zipf unless told otherwise, as YCSB has it.
  bool prefers_zipf = false;
  /// Keys of one call or message where nothing else is asked for: reads go
  /// through `multi_get`. 0: one key a call.
  unsigned batch = 0;
  /// `--writers` threads more overwrite as long as the others read.
  bool writer_beside = false;
  /// Every write is on disk before the next, whatever durability was asked for.
  bool sync = false;
  /// Why it cannot be run; empty when it can.
  std::string_view unavailable{};
  /// All but `calls` need an engine with actors, which do the threads' part.
  Way way = Way::calls;

  /// It goes over its keys exactly once: neither `--ops` nor `--duration`
  /// applies.
  [[nodiscard]] bool each_key_once() const noexcept { return order == Order::sequential || order == Order::shuffled; }

  /// It measures actors, which only some engines have.
  [[nodiscard]] bool of_actors() const noexcept { return way != Way::calls; }

  /// It measures the disk, once and not for each engine.
  [[nodiscard]] bool of_the_disk() const noexcept {
    return task == Task::disk_writes || task == Task::disk_reads || task == Task::disk_syncs;
  }

  [[nodiscard]] bool of_recovery() const noexcept {
    return task == Task::recovery_from_log || task == Task::recovery_from_checkpoint;
  }
};

/// All benchmarks, in the order of the documentation.
[[nodiscard]] std::span<const Workload> workloads() noexcept;

/// Null when there is none of that name.
[[nodiscard]] const Workload* find_workload(std::string_view name) noexcept;

/// How stores are loaded when nothing else has: fillrandom.
[[nodiscard]] const Workload& loading() noexcept;

}  // namespace bench
