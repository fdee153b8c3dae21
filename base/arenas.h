#pragma once

#include <atomic>
#include <cstddef>

namespace actable::base {

/// What several `Arenas` have together.
///
/// Thread safety: *synchronized*.
struct ArenaUsage {
  std::atomic<std::size_t> reserved_bytes{0};
  std::atomic<std::size_t> carved_bytes{0};
  /// No longer carved; grows only.
  std::atomic<std::size_t> returned_bytes{0};
};

/// Memory from the operating system, in large pieces that are carved by one
/// atomic addition. What was carved goes back with the whole only.
///
/// Thread safety: *synchronized*, but for `give_back`, which is for one thread
/// once nobody else carves or uses what was carved.
class Arenas {
 public:
  explicit Arenas(ArenaUsage& usage) noexcept : usage_(usage) {}
  ~Arenas();
  Arenas(const Arenas&) = delete;
  Arenas& operator=(const Arenas&) = delete;

  /// Has at least so much follow the last carving before more is mapped. False when
  /// that cannot be had. Before anybody carves.
  ///
  /// What it guarantees: address space, and where the system commits strictly
  /// (vm.overcommit_memory = 2) the memory as well, for there MAP_NORESERVE is
  /// ignored. Elsewhere pages are found when they are touched, as all others.
  [[nodiscard]] bool reserve(std::size_t bytes) noexcept;

  /// Null when memory is exhausted.
  [[nodiscard]] void* carve(std::size_t bytes) noexcept;

  /// Has the system find the page that will be carved next but one, unless so many
  /// are there ahead already. True when it should be called again. For one thread at
  /// a time, beside those who carve.
  ///
  /// Who touches a huge page first waits until it is cleared, 0.2 ms, and where the
  /// machine is virtual and gets its memory only then, 5 ms: as long as it takes to
  /// fill it. Hence another thread, and not the page that is being filled.
  [[nodiscard]] bool populate_ahead() noexcept;

  /// Whether a block was carved here: one that the calling thread carved or was
  /// handed, by way of a release and an acquire.
  [[nodiscard]] bool hold(const void* block) const noexcept;

  /// Returns the pages of at most `bytes_max` to the system, by and by all of
  /// them. False when nothing is left.
  [[nodiscard]] bool give_back(std::size_t bytes_max) noexcept;

 private:
  struct Arena;

  [[nodiscard]] Arena* map_arena(std::size_t bytes_min) noexcept;
  void unmap(Arena* arena) noexcept;

  ArenaUsage& usage_;
  std::atomic<Arena*> newest_{nullptr};
  std::atomic<std::size_t> reserved_{0};
};

}  // namespace actable::base
