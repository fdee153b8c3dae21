#pragma once

#include <actable/result.h>

#include <cstddef>
#include <memory>
#include <string_view>

namespace actable {

class Space;
namespace store {
class BatchOps;
}

/// Writes to several keys, in one or several spaces of one store, that are
/// made durable together: after a crash all are there or none.
///
/// A batch is not isolated from what others do at the same moment. A reader on
/// another thread may see some of its writes before the others. And a key that
/// another call writes while the batch is under way may keep that call's value,
/// as if the batch's write had come just before it, even where the call (`add`,
/// `update`, `take`) worked on what was there before the batch. Who needs both
/// keeps other writers from the batch's keys.
///
/// Where a key is named more than once, the last one counts. The bytes are
/// copied in, so the caller's may go at once. A batch may be written again.
///
/// Thread safety: *confined* to one thread at a time.
class Batch {
 public:
  Batch();
  ~Batch();
  Batch(Batch&&) noexcept;
  Batch& operator=(Batch&&) noexcept;
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  /// Adds a write. Fails, with the batch as it was, with
  ///   invalid_argument  the key is empty, or the space is of another store
  ///                     than those before
  ///   too_large         key, value, or the batch as a whole
  [[nodiscard]] Result<void> put(const Space& space, std::string_view key, std::string_view value);

  /// Adds an erasure. Of an absent key it is no error, and a write like others:
  /// later writes of the key have higher numbers. Fails as `put`.
  [[nodiscard]] Result<void> erase(const Space& space, std::string_view key);

  void clear() noexcept;

  /// Operations added since the last `clear`.
  [[nodiscard]] std::size_t size() const noexcept;

 private:
  friend class Store;
  std::unique_ptr<store::BatchOps> ops_;
};

}  // namespace actable
