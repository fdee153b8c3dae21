#pragma once

#include <actable/options.h>
#include <actable/result.h>
#include <actable/stats.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace actable {

namespace store {
class SpaceCore;
class CursorCore;
struct Access;
}  // namespace store

/// One key as it is in the table. The views are valid where the function that
/// hands it out says so.
struct Entry {
  std::string_view key;
  std::string_view value;
  Seq seq;
};

/// Walks a space: every key that is there from beginning to end comes exactly
/// once, no key comes twice, whatever others write and however the table grows
/// meanwhile. Keys written or erased on the way may or may not come. The order
/// is that of the hashes.
///
/// Each step copies a few buckets out (64 KiB or one bucket's records,
/// whichever is more), so a cursor may be kept for as long as one likes: it
/// holds nothing back between steps.
///
/// Thread safety: *confined* to one thread at a time.
class Cursor {
 public:
  ~Cursor();
  Cursor(Cursor&&) noexcept;
  Cursor& operator=(Cursor&&) noexcept;

  /// Moves to the next key, the first one at first. False at the end.
  /// Fails with
  ///   closed      the store was closed or the space dropped
  ///   overloaded  more threads than `k_threads_max`
  ///   no_memory   the next call goes on where this one would have
  [[nodiscard]] Result<bool> next();

  /// Where the last `next` that returned true stopped. The views are valid
  /// until the next call on this cursor.
  [[nodiscard]] const Entry& entry() const noexcept;

 private:
  friend class Space;
  explicit Cursor(std::unique_ptr<store::CursorCore> core);
  std::unique_ptr<store::CursorCore> core_;
};

/// A handle to a named table of binary keys and values.
///
/// Cheap to copy; works from any thread until its store is closed or the space
/// is dropped, and fails with `closed` from then on, also after the store is
/// gone.
///
/// Every function can fail with
///   closed      the store was closed or the space dropped
///   overloaded  more threads than `k_threads_max` use stores
///   no_memory   nothing changed
/// and every one that takes a key with
///   invalid_argument  the key is empty
///   too_large         the key is longer than `k_key_bytes_max`
/// Every function that writes can also fail with
///   overloaded     the disk is slower than the writers and
///                  `Options::write_deadline` passed; nothing changed
///   read_only      an earlier write or sync of the log failed; nothing changed
///   unsupported    `Durability::sync` asked of a space without a log; nothing
///                  changed
///   indeterminate  with `Durability::sync` only: the log failed while this
///                  call waited; the write is visible, and may or may not be
///                  there after a restart
///
/// Reads take no lock, write no shared memory and never wait. Writes take no
/// lock; one thread stopped inside a write stops no other.
///
/// Thread safety: *synchronized*.
class Space {
 public:
  Space(const Space&) noexcept;
  Space(Space&&) noexcept;
  Space& operator=(const Space&) noexcept;
  Space& operator=(Space&&) noexcept;
  ~Space();

  [[nodiscard]] const std::string& name() const noexcept;

  /// Stores `value` under `key`, whatever was there. Returns the write's
  /// number. Fails with too_large for a value over `k_value_bytes_max`.
  [[nodiscard]] Result<Seq> put(std::string_view key, std::string_view value, WriteOptions options = {});

  /// Copies the value into `value`, reusing its memory. False, and `value`
  /// untouched, when the key is absent.
  [[nodiscard]] Result<bool> get(std::string_view key, std::string& value) const;
  [[nodiscard]] Result<std::optional<std::string>> get(std::string_view key) const;

  /// Calls `f(const Entry&)` on the stored bytes themselves, without copying;
  /// they are valid only inside `f`. False, without calling, when the key is
  /// absent. `f` may use the store, writing included, and should be short:
  /// replaced records are not reused while it runs.
  template <class F>
  [[nodiscard]] Result<bool> visit(std::string_view key, F&& f) const;

  /// Looks up many keys at once, overlapping their cache misses. `values` must
  /// be as long as `keys` (else invalid_argument); each becomes the value, or
  /// empty where the key is absent, reusing its memory. Returns how many were
  /// found. Not a snapshot: each key is read at its own moment. On failure the
  /// values are of no use.
  [[nodiscard]] Result<std::size_t> multi_get(std::span<const std::string_view> keys,
                                              std::span<std::optional<std::string>> values) const;

  /// False, and nothing written, when the key was absent.
  [[nodiscard]] Result<bool> erase(std::string_view key, WriteOptions options = {});

  /// False, and nothing written, when the key was there.
  [[nodiscard]] Result<bool> put_if_absent(std::string_view key, std::string_view value, WriteOptions options = {});

  /// Stores `value` if the key's present record has the number `expected`
  /// (0: if the key is absent). False, and nothing written, otherwise.
  [[nodiscard]] Result<bool> compare_and_set(std::string_view key, Seq expected, std::string_view value,
                                             WriteOptions options = {});

  /// Adds to a counter, which is a value of 8 bytes, little-endian, two's
  /// complement; an absent key counts from 0. Returns the sum. Fails with
  /// invalid_argument, nothing changed, when the value is not 8 bytes long or
  /// the sum does not fit.
  [[nodiscard]] Result<std::int64_t> add(std::string_view key, std::int64_t delta, WriteOptions options = {});

  /// Replaces the value by `f(old)`, atomically: `f` takes a
  /// `std::optional<std::string_view>` (empty: absent) and returns a
  /// `std::optional<std::string>` (empty: erase). It is called again when
  /// another thread wrote the key meanwhile, so it should have no effects of
  /// its own. It may throw, and nothing is changed then. Returns the write's
  /// number, 0 if the key was absent and stays so.
  template <class F>
  [[nodiscard]] Result<Seq> update(std::string_view key, F&& f, WriteOptions options = {});

  /// Erases the key and returns what it held, to exactly one caller. Empty,
  /// and nothing written, when the key was absent.
  [[nodiscard]] Result<std::optional<std::string>> take(std::string_view key, WriteOptions options = {});

  [[nodiscard]] Cursor scan() const;

  /// Keys in the space: exact when nobody writes. 0 when closed or dropped.
  [[nodiscard]] std::size_t size() const noexcept;

  /// All zero when closed or dropped.
  [[nodiscard]] SpaceStats stats() const;

 private:
  friend class Store;
  friend class Batch;
  friend struct store::Access;
  explicit Space(std::shared_ptr<store::SpaceCore> core);

  using Visitor = void (*)(void* f, const Entry& entry);
  using Updater = std::optional<std::string> (*)(void* f, std::optional<std::string_view> old);
  [[nodiscard]] Result<bool> visit_with(std::string_view key, Visitor call, void* f) const;
  [[nodiscard]] Result<Seq> update_with(std::string_view key, Updater call, void* f, WriteOptions options);

  std::shared_ptr<store::SpaceCore> core_;
};

template <class F>
Result<bool> Space::visit(std::string_view key, F&& f) const {
  using Function = std::remove_reference_t<F>;
  return visit_with(
      key, [](void* g, const Entry& entry) { (*static_cast<Function*>(g))(entry); },
      const_cast<void*>(static_cast<const void*>(std::addressof(f))));
}

template <class F>
Result<Seq> Space::update(std::string_view key, F&& f, WriteOptions options) {
  using Function = std::remove_reference_t<F>;
  return update_with(
      key,
      [](void* g, std::optional<std::string_view> old) -> std::optional<std::string> {
        return (*static_cast<Function*>(g))(old);
      },
      const_cast<void*>(static_cast<const void*>(std::addressof(f))), options);
}

}  // namespace actable
