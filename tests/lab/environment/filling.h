#pragma once

#include "tests/lab/environment/scenario.h"
#include "tests/lab/environment/shared.h"

#include <actable/store.h>

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace actable::lab::environment {

/// How long the values of a filling are.
enum class Lengths { short_ones, mixed };

/// Writes of new keys by several threads until something runs out, noted in
/// memory that survives the process, before and after each. It takes no memory
/// itself once it is made.
///
/// Thread safety: *external*; `write` by one thread for each `thread`.
class Filling {
 public:
  static constexpr unsigned k_threads = 3;
  static constexpr std::uint64_t k_writes_max = 300'000;  // a thread

  Filling(std::uint64_t seed, Lengths lengths);

  /// Makes `writes` writes, or fewer when `stops` says so of an error. An
  /// exception out of a write is a fault.
  void write(Store& store, unsigned thread, std::uint64_t writes, const std::function<bool(const Error&)>& stops);

  /// How many writes succeeded.
  [[nodiscard]] std::uint64_t written() const noexcept;

  /// Throws unless each write that succeeded is there. Takes no memory.
  void check_readable(Space& space) const;

  /// Throws unless what the opened store holds is a prefix of the writes by
  /// number, with all that was acknowledged. `cut` is that of the first recovery
  /// after the writes: later ones have others.
  void check_prefix(Store& store, Seq cut, Scenario& scenario) const;

  [[nodiscard]] static constexpr std::string_view space_name() { return "filled"; }

 private:
  static constexpr Seq k_none = 0;
  static constexpr Seq k_begun = ~Seq{0};
  static constexpr Seq k_refused = ~Seq{0} - 1;

  struct Told {
    /// Of each thread's writes; 0, as the memory comes, for those that were not begun.
    std::array<std::array<Seq, k_writes_max>, k_threads> numbers;
    /// The highest that was reported to be on disk.
    std::uint64_t durable;
  };
  /// A key's text.
  struct Key {
    std::array<char, 24> text;
    std::size_t length;
    [[nodiscard]] std::string_view view() const { return {text.data(), length}; }
  };

  [[nodiscard]] static Key key(unsigned thread, std::uint64_t i) noexcept;
  [[nodiscard]] std::string_view value(unsigned thread, std::uint64_t i) const noexcept;
  [[nodiscard]] bool holds(const Space& space, unsigned thread, std::uint64_t i) const;
  void promised(Seq durable) const noexcept;

  Lengths lengths_;
  std::string text_;
  Shared<Told> told_;
};

}  // namespace actable::lab::environment
