#pragma once

#include "table/hash_table.h"

#include <actable/space.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace actable::store {

/// A scan's place, and copies of the keys of its latest step.
///
/// Thread safety: *confined*.
class CursorCore {
 public:
  /// A null space ends the scan with `closed`.
  explicit CursorCore(std::shared_ptr<SpaceCore> space) : space_(std::move(space)) {}

  [[nodiscard]] Result<bool> next();
  [[nodiscard]] const Entry& entry() const noexcept { return entry_; }

 private:
  struct Found {
    std::size_t begin;
    std::size_t key_bytes;
    std::size_t value_bytes;
    Seq seq;
  };

  [[nodiscard]] Result<void> step();
  void copy_buckets();

  std::shared_ptr<SpaceCore> space_;
  table::ScanPosition position_;
  std::string bytes_;
  std::vector<Found> found_;
  // Before the first step, `next` moves it from here to 0.
  std::size_t current_ = static_cast<std::size_t>(-1);
  Entry entry_{};
};

}  // namespace actable::store
