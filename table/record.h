#pragma once

#include "base/assert.h"
#include "base/bytes.h"
#include "base/record_memory.h"

#include <actable/options.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace actable::table {

/// One version of a key: a header of 14 bytes, then key and value. Written
/// once, before it is published; immutable from then on.
///
/// A tombstone is the version of an erased key. It keeps the number of the
/// erasure, so that a later write of that key gets a higher one (rule 1), and
/// may be dropped when no thread can hold a lower lease.
///
/// Thread safety: *immutable* once published.
class Record {
 public:
  /// Bytes that a record takes.
  [[nodiscard]] static std::size_t bytes_for(std::size_t key_bytes, std::size_t value_bytes) noexcept {
    return k_header_bytes + key_bytes + value_bytes;
  }

  /// Makes a record in memory of its own; its number comes later. Null when
  /// memory is exhausted. The caller is pinned.
  [[nodiscard, gnu::always_inline]] static Record* make(base::RecordMemory& memory, base::RecordMemory::Cache& cache,
                                                        std::string_view key, std::string_view value,
                                                        bool tombstone) noexcept {
    void* const at = memory.allocate(cache, bytes_for(key.size(), value.size()));
    if (at == nullptr) return nullptr;
    auto* const record = static_cast<Record*>(at);
    // Both in one store; the two bytes behind them are the key's first, or not used.
    const std::uint64_t value_and_flags = value.size() | (tombstone ? k_tombstone_flag : 0);
    base::store_le(static_cast<std::byte*>(at) + sizeof(Seq), value_and_flags | key.size() << 32);
    char* const bytes = record->data();
    base::copy_bytes(bytes, key.data(), key.size());
    if (!value.empty()) std::memcpy(bytes + key.size(), value.data(), value.size());
    return record;
  }

  /// As `make`: a record that says the same, number and all.
  [[nodiscard]] static Record* copy(base::RecordMemory& memory, base::RecordMemory::Cache& cache,
                                    const Record& of) noexcept {
    void* const at = memory.allocate(cache, of.bytes());
    if (at != nullptr) std::memcpy(at, static_cast<const void*>(&of), of.bytes());
    return static_cast<Record*>(at);
  }

  /// Before publishing only.
  void number(Seq seq) noexcept { seq_ = seq; }

  /// Before publishing only: the value, which is 8 bytes long, as a counter.
  void set_counter(std::uint64_t value) noexcept { std::memcpy(data() + key_bytes_, &value, sizeof value); }

  [[nodiscard]] Seq seq() const noexcept { return seq_; }
  [[nodiscard]] bool tombstone() const noexcept { return (value_and_flags_ & k_tombstone_flag) != 0; }
  [[nodiscard]] std::string_view key() const noexcept { return {data(), key_bytes_}; }
  [[nodiscard]] std::string_view value() const noexcept {
    return {data() + key_bytes_, value_and_flags_ & k_value_mask};
  }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_for(key_bytes_, value_and_flags_ & k_value_mask); }

  /// Whether it is live and as long as `other`, a record of the same key.
  [[nodiscard]] bool live_and_as_long_as(const Record& other) const noexcept {
    return value_and_flags_ == other.value_and_flags_ && !tombstone();
  }

  /// Whether it is live, with a value of so many bytes.
  [[nodiscard]] bool live_with(std::size_t value_bytes) const noexcept { return value_and_flags_ == value_bytes; }

  [[nodiscard, gnu::always_inline]] bool has_key(std::string_view key) const noexcept {
    return key.size() == key_bytes_ && base::equal_bytes(data(), key.data(), key.size());
  }

 private:
  static constexpr std::size_t k_header_bytes = 14;
  // The upper byte holds flags; six are left for expiry, compression, a stub of
  // a colder tier, history.
  static constexpr std::uint32_t k_value_mask = (std::uint32_t{1} << 24) - 1;
  static constexpr std::uint32_t k_tombstone_flag = std::uint32_t{1} << 24;
  static_assert(k_value_bytes_max <= k_value_mask);

  [[nodiscard]] const char* data() const noexcept { return reinterpret_cast<const char*>(this) + k_header_bytes; }
  [[nodiscard]] char* data() noexcept { return reinterpret_cast<char*>(this) + k_header_bytes; }

  Seq seq_;
  std::uint32_t value_and_flags_;
  std::uint16_t key_bytes_;
};

}  // namespace actable::table
