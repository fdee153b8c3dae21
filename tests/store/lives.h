#pragma once

#include "store/access.h"
#include "tests/support/results.h"
#include "tests/support/simulated_disk.h"

#include <actable/store.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace actable::test {

inline Options simulated_options() {
  Options options;
  options.directory = "/simulated";
  options.shards = 2;
  options.segment_bytes = std::uint64_t{1} << 20;
  return options;
}

/// A store on a simulated disk that is opened again and again.
///
/// Thread safety: *confined* to one thread.
class Lives {
 public:
  Store& reopen(const Options& options = simulated_options()) {
    if (store_) must(store_->close());
    store_.reset();
    return store_.emplace(must(store::Access::open(options, *disk_)));
  }

  /// As after the death of the process.
  Store& kill() {
    std::unique_ptr<SimulatedDisk> left = disk_->killed();
    store_.reset();
    disk_ = std::move(left);
    return store_.emplace(must(store::Access::open(simulated_options(), *disk_)));
  }

  SimulatedDisk& disk() { return *disk_; }

  [[nodiscard]] std::size_t files(std::string_view prefix) const {
    const auto names = disk_->names();
    return static_cast<std::size_t>(
        std::ranges::count_if(names, [prefix](const std::string& name) { return name.starts_with(prefix); }));
  }

 private:
  std::unique_ptr<SimulatedDisk> disk_ = std::make_unique<SimulatedDisk>();
  std::optional<Store> store_;
};

}  // namespace actable::test
