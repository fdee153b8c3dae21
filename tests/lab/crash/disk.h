#pragma once

#include "tests/support/scheduler.h"
#include "tests/support/simulated_disk.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
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

 private:
  test::Scheduler& scheduler_;
};

}  // namespace actable::lab
