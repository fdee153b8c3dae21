#pragma once

#include <actable/batch.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace actable::store {

class SpaceCore;

/// What a batch holds: the operations, and the bytes of all keys and values.
///
/// Thread safety: *confined*.
class BatchOps {
 public:
  struct Op {
    SpaceCore* space;
    std::size_t begin;
    std::size_t key_bytes;
    std::size_t value_bytes;
    bool tombstone;
  };

  [[nodiscard]] Result<void> add(const std::shared_ptr<SpaceCore>& space, std::string_view key, std::string_view value,
                                 bool tombstone);
  void clear() noexcept {
    ops_.clear();
    bytes_.clear();
    spaces_.clear();
  }

  [[nodiscard]] const std::vector<Op>& ops() const noexcept { return ops_; }
  [[nodiscard]] std::string_view key(const Op& op) const noexcept {
    return std::string_view(bytes_).substr(op.begin, op.key_bytes);
  }
  [[nodiscard]] std::string_view value(const Op& op) const noexcept {
    return std::string_view(bytes_).substr(op.begin + op.key_bytes, op.value_bytes);
  }

 private:
  std::vector<Op> ops_;
  std::string bytes_;
  // Keeps those of the operations: one for each change of the space from one
  // operation to the next, so that most batches count one reference.
  std::vector<std::shared_ptr<SpaceCore>> spaces_;
};

}  // namespace actable::store
