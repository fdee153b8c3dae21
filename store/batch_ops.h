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
    // Null: `bytes_` has the key and, right behind it, the value.
    const char* outside;
    std::size_t begin;
    std::size_t key_bytes;
    std::size_t value_bytes;
    bool tombstone;
  };

  [[nodiscard]] Result<void> add(const std::shared_ptr<SpaceCore>& space, std::string_view key, std::string_view value,
                                 bool tombstone);
  /// As `add` of a write, of bytes that are not copied: they stay where they are until
  /// `clear`, and the value stands right behind the key.
  [[nodiscard]] Result<void> refer(const std::shared_ptr<SpaceCore>& space, std::string_view key,
                                   std::string_view value);
  void clear() noexcept {
    ops_.clear();
    bytes_.clear();
    payload_bytes_ = 0;
    spaces_.clear();
  }

  [[nodiscard]] const std::vector<Op>& ops() const noexcept { return ops_; }
  [[nodiscard]] std::string_view key(const Op& op) const noexcept { return {at(op), op.key_bytes}; }
  [[nodiscard]] std::string_view value(const Op& op) const noexcept { return {at(op) + op.key_bytes, op.value_bytes}; }

 private:
  [[nodiscard]] Result<void> check(const std::shared_ptr<SpaceCore>& space, std::string_view key,
                                   std::string_view value) const;
  void append(const std::shared_ptr<SpaceCore>& space, const Op& op);
  [[nodiscard]] const char* at(const Op& op) const noexcept {
    return op.outside != nullptr ? op.outside : bytes_.data() + op.begin;
  }

  std::vector<Op> ops_;
  std::string bytes_;
  // Of all keys and values, wherever they are.
  std::size_t payload_bytes_ = 0;
  // Keeps those of the operations: one for each change of the space from one
  // operation to the next, so that most batches count one reference.
  std::vector<std::shared_ptr<SpaceCore>> spaces_;
};

}  // namespace actable::store
