#pragma once

#include "tests/lab/models/model.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <source_location>
#include <spanstream>
#include <string>

#include <relacy/relacy.hpp>
// Relacy turns these words into macros of its own.
#undef new
#undef delete
#undef assert

/// What the models are written in: Relacy's atomics and variables under names
/// that read like the code they stand for.
///
/// A model's program is a struct that derives from `rl::test_suite`. Relacy
/// runs its threads one step at a time and chooses at each atomic operation who
/// goes on, and at each load which of the values that the memory model allows
/// is read. Plain members are *ghosts*: they belong to the check, cost no step
/// and are seen by all at once.
namespace actable::lab::models {

using rl::mo_acq_rel;
using rl::mo_acquire;
using rl::mo_relaxed;
using rl::mo_release;
using rl::mo_seq_cst;

/// What the fences of base/fence.h are.
enum class Machine {
  /// Both are full fences, and a read-modify-write is no more than its order says.
  portable,
  /// The light one is nothing, the heavy one reaches every thread, and a
  /// read-modify-write is a full fence: `membarrier` on x86-64.
  x86_64,
};

// Set before a search and not changed by it. No template parameter: a program
// would be compiled once for each weakening.
inline int present_weakening = 0;
inline Machine present_machine = Machine::portable;
inline const char* present_fault = "";

template <class W>
[[nodiscard]] bool weakened(W w) {
  return present_weakening == static_cast<int>(w);
}

/// The order, or relaxed when `w` is the weakening under test.
template <class W>
[[nodiscard]] rl::memory_order order(W w, rl::memory_order sound, rl::memory_order weak = mo_relaxed) {
  return weakened(w) ? weak : sound;
}

[[nodiscard]] inline rl::debug_info at(const std::source_location& where) {
  return {where.function_name(), where.file_name(), where.line()};
}

using Where = std::source_location;

inline void check(bool holds, const char* fault, const Where& where = Where::current()) {
  if (holds) return;
  present_fault = fault;
  rl::ctx().fail_test(fault, rl::test_result_user_assert_failed, at(where));
}

/// Several accesses as one step: to memory that no other thread can reach.
class Unobserved {
 public:
  Unobserved() { rl::ctx().disable_preemption(); }
  ~Unobserved() { rl::ctx().enable_preemption(); }
  Unobserved(const Unobserved&) = delete;
  Unobserved& operator=(const Unobserved&) = delete;
};

inline void full_fence(const Where& where = Where::current()) { rl::atomic_thread_fence(mo_seq_cst, at(where)); }

inline void light_fence(const Where& where = Where::current()) {
  if (present_machine == Machine::portable) full_fence(where);
}

inline void heavy_fence(const Where& where = Where::current()) {
  if (present_machine == Machine::portable) {
    full_fence(where);
  } else {
    rl::ctx().sched();
    rl::systemwide_fence(at(where));
  }
}

template <class T>
class Atomic {
 public:
  [[nodiscard]] T load(rl::memory_order mo, const Where& where = Where::current()) const {
    return value_.load(mo, at(where));
  }
  void store(T value, rl::memory_order mo, const Where& where = Where::current()) {
    value_.store(value, mo, at(where));
  }
  T fetch_add(T by, rl::memory_order mo, const Where& where = Where::current()) {
    return change([&] { return value_.fetch_add(by, mo, at(where)); });
  }
  T fetch_or(T bits, rl::memory_order mo, const Where& where = Where::current()) {
    return change([&] { return value_.fetch_or(bits, mo, at(where)); });
  }
  /// Strong. A failure is relaxed: the code looks again with a load of its own.
  bool compare_exchange(T expected, T desired, rl::memory_order mo, const Where& where = Where::current()) {
    return change(
        [&] { return value_.compare_exchange(rl::bool_t<false>(), expected, desired, mo, mo_relaxed, at(where)); });
  }

 private:
  template <class F>
  static auto change(F&& f) {
    if (present_machine == Machine::portable) return f();
    rl::ctx().sched();
    const Unobserved one_step;
    full_fence();
    const auto result = f();
    full_fence();
    return result;
  }

  rl::atomic<T> value_;
};

/// Memory that is not atomic: two accesses that are not ordered, one of them a
/// write, are a data race.
template <class T>
class Plain {
 public:
  [[nodiscard]] T get(const Where& where = Where::current()) const { return value_(at(where)).load(); }
  void set(T value, const Where& where = Where::current()) { value_(at(where)).store(value); }

 private:
  rl::var<T> value_;
};

/// How a program is searched.
struct Plan {
  enum class Kind { full, preemptions, random } kind;
  /// Preemptions at most, or how many random interleavings.
  unsigned amount = 0;
};
inline constexpr Plan k_full{Plan::Kind::full};

/// Searches one program. Goes on where the search has found nothing yet.
template <class Program>
void explore(Search& search, Plan plan, Machine machine = Machine::portable) {
  if (!search.fault.empty()) return;
  if (search.depth == Depth::certain && plan.kind == Plan::Kind::random) return;
  present_weakening = search.weakening;
  present_machine = machine;
  present_fault = "";
  // Relacy takes over `operator new` while it searches: the stream must not grow then.
  static std::array<char, 1 << 18> room;
  std::ospanstream said(room);
  rl::test_params params;
  params.output_stream = &said;
  params.progress_stream = &said;
  std::uint64_t first = 1;
  if (plan.kind == Plan::Kind::random) {
    // Each random interleaving is made from its own number.
    first = 1 + (search.seed << 24 & 0xff'ffff'ffff'ffff);
    params.search_type = rl::sched_random;
    params.initial_state = std::to_string(first).c_str();
    params.iteration_count = first + plan.amount - 1;
  } else {
    params.search_type = plan.kind == Plan::Kind::full ? rl::sched_full : rl::sched_bound;
    params.context_bound = plan.amount;
  }
  const bool sound = rl::simulate<Program>(params);
  search.interleavings += params.stop_iteration - first + 1;
  if (sound) return;
  search.fault = *present_fault != '\0' ? present_fault : rl::test_result_str(params.test_result);
  std::ranges::transform(search.fault, search.fault.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  // Behind the steps in their order come the same by thread.
  const std::string_view trace(said.span().data(), said.span().size());
  search.trace = trace.substr(0, trace.find("\nthread 0:"));
}

}  // namespace actable::lab::models
