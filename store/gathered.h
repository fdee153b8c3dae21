#pragma once

#include "checkpoint/file_writer.h"
#include "checkpoint/format.h"
#include "store/space_core.h"
#include "table/hash_table.h"

#include <actable/result.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace actable::store {

/// Records of a space, encoded for a checkpoint's file: as many as one short step reads.
///
/// Thread safety: *confined*.
class Gathered {
 public:
  /// In place of those before, 256 KiB of records from `at` on and the rest of a bucket; no
  /// more than so many buckets, so that an empty table is walked in short steps too.
  /// Pinned, with the space open.
  void gather(SpaceCore& space, table::ScanPosition& at) {
    constexpr std::size_t k_step_bytes = std::size_t{256} << 10;
    constexpr unsigned k_step_buckets = 256;
    clear();
    for (unsigned i = 0; i < k_step_buckets && encoded_.size() < k_step_bytes && !at.done; ++i) {
      space.table().scan(at, [&](const table::Record& record) {
        const std::size_t begin = encoded_.size();
        const std::size_t bytes = checkpoint::record_bytes(record.key().size(), record.value().size());
        encoded_.resize(begin + bytes);
        checkpoint::encode({record.seq(), space.id(), record.key(), record.value()},
                           reinterpret_cast<std::byte*>(encoded_.data()) + begin);
        found_.push_back({bytes, record.seq()});
      });
    }
  }

  void clear() noexcept {
    encoded_.clear();
    found_.clear();
  }
  [[nodiscard]] bool empty() const noexcept { return found_.empty(); }
  [[nodiscard]] std::size_t bytes() const noexcept { return encoded_.size(); }

  /// Fails as `FileWriter::append`.
  [[nodiscard]] Result<void> append_to(checkpoint::FileWriter& file) const {
    auto rest = std::as_bytes(std::span(encoded_));
    for (const Found& found : found_) {
      if (auto appended = file.append(rest.first(found.bytes), found.seq); !appended) return appended;
      rest = rest.subspan(found.bytes);
    }
    return {};
  }

 private:
  struct Found {
    std::size_t bytes;
    Seq seq;
  };
  std::string encoded_;
  std::vector<Found> found_;
};

}  // namespace actable::store
