#pragma once

#include "tests/support/scheduler.h"
#include "tests/support/simulated_disk.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace actable::lab {

/// A simulated disk whose requests are carried out when the scheduler says so,
/// in any order.
///
/// Thread safety: *confined* to whoever runs.
class Disk final : public test::SimulatedDisk {
 public:
  explicit Disk(test::Scheduler& scheduler) : scheduler_(scheduler) {}
  Disk(test::Scheduler& scheduler, const Image& image) : SimulatedDisk(image), scheduler_(scheduler) {}

  Result<std::unique_ptr<base::WriteQueue>> make_queue(LogIo kind) override;

  /// Has the next write that comes through a queue fail, and nothing of it be done.
  void fail_next_write() noexcept { fails_next_write_ = true; }
  [[nodiscard]] bool take_failure() noexcept { return std::exchange(fails_next_write_, false); }

 private:
  test::Scheduler& scheduler_;
  bool fails_next_write_ = false;
};

}  // namespace actable::lab
