#pragma once

#include "benchmarks/keys.h"
#include "benchmarks/random.h"
#include "benchmarks/workload.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace bench {

/// One operation, drawn and formatted beforehand. Keys that may be in the store
/// have even numbers, twice their index; the odd ones are always missing.
struct Step {
  std::uint32_t index;
  Kind kind;
  /// The digits of the key's number; set when the whole plan is drawn.
  std::uint64_t digits = 0;

  [[nodiscard]] std::uint32_t key_number() const noexcept { return 2 * index + (kind == Kind::read_missing ? 1u : 0u); }
};

/// What one thread does, in order; it begins again at the end.
///
/// Drawn before the clock starts, read front to back afterwards: 16 bytes an
/// operation that the processor prefetches. The memory is mapped and not taken
/// from the allocator, so that it does not mix with that of the engines.
///
/// Thread safety: *confined*.
class Plan {
 public:
  /// Throws `Failure` when there is no memory for it.
  explicit Plan(std::size_t steps);
  Plan(Plan&& other) noexcept;
  Plan& operator=(Plan&&) = delete;
  ~Plan();

  /// The kind of all steps, if they are of one.
  [[nodiscard]] std::optional<Kind> only() const noexcept { return only_; }
  void set_only(std::optional<Kind> only) noexcept { only_ = only; }

  [[nodiscard]] std::span<Step> steps() noexcept { return {steps_, size_}; }
  [[nodiscard]] std::span<const Step> steps() const noexcept { return {steps_, size_}; }

 private:
  Step* steps_ = nullptr;
  std::size_t size_ = 0;
  std::optional<Kind> only_;
};

/// What a plan is drawn for.
struct PlanRequest {
  const Workload& workload;
  /// Null: uniform.
  const Zipf* zipf;
  std::uint32_t keys;
  /// Operations that one thread will do; longer plans than
  /// `k_plan_steps_max` for all threads together are repeated instead.
  std::uint64_t steps;
  unsigned thread;
  unsigned threads;
  std::uint64_t seed;
};

/// 512 MiB for all threads together.
inline constexpr std::size_t k_plan_steps_max = (std::size_t{512} << 20) / sizeof(Step);

/// Draws a thread's plan. A pure function of the request.
[[nodiscard]] Plan draw_plan(const PlanRequest& request);

}  // namespace bench
