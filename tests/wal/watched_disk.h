#pragma once

#include "tests/support/results.h"
#include "tests/support/simulated_disk.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace actable::test {

/// Counts how often it is waited for, and the writes that come from memory which
/// it was not told of.
///
/// Thread safety: *confined* to the log's thread.
class WatchingQueue final : public base::WriteQueue {
 public:
  WatchingQueue(std::unique_ptr<base::WriteQueue> below, std::atomic<std::uint64_t>& unknown,
                std::atomic<std::uint64_t>& waits)
      : below_(std::move(below)), unknown_(unknown), waits_(waits) {}

  void add_memory(std::span<std::byte> memory) override {
    known_.emplace_back(memory);
    below_->add_memory(memory);
  }
  void submit_write(base::File& file, std::uint64_t offset, std::span<const std::byte> bytes,
                    std::uint64_t tag) override {
    const auto holds = [bytes](std::span<const std::byte> memory) {
      return memory.data() <= bytes.data() && bytes.data() + bytes.size() <= memory.data() + memory.size();
    };
    if (std::ranges::none_of(known_, holds)) ++unknown_;
    below_->submit_write(file, offset, bytes, tag);
  }
  void submit_sync(base::File& file, std::uint64_t tag) override { below_->submit_sync(file, tag); }
  void wait(std::optional<std::chrono::nanoseconds> timeout, std::vector<base::Completion>& done) override {
    ++waits_;
    below_->wait(timeout, done);
  }
  void wake() noexcept override { below_->wake(); }
  [[nodiscard]] std::string name() const override { return below_->name(); }
  [[nodiscard]] bool memory_registered() const noexcept override { return below_->memory_registered(); }

 private:
  std::unique_ptr<base::WriteQueue> below_;
  std::atomic<std::uint64_t>& unknown_;
  std::atomic<std::uint64_t>& waits_;
  std::vector<std::span<const std::byte>> known_;
};

/// A disk that watches what the log asks of its queue.
///
/// Thread safety: *synchronized*.
class WatchedDisk final : public SimulatedDisk {
 public:
  Result<std::unique_ptr<base::WriteQueue>> make_queue(LogIo kind) override {
    return std::make_unique<WatchingQueue>(must(SimulatedDisk::make_queue(kind)), unknown_, waits_);
  }
  /// Writes from memory that the queue was not told of.
  [[nodiscard]] std::uint64_t unknown() const noexcept { return unknown_; }
  /// Times that the log's thread waited.
  [[nodiscard]] std::uint64_t waits() const noexcept { return waits_; }

 private:
  std::atomic<std::uint64_t> unknown_{0};
  std::atomic<std::uint64_t> waits_{0};
};

}  // namespace actable::test
