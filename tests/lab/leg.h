#pragma once

#include "tests/support/seed.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

/// What the legs of the laboratory share: their command line, their seeds, and
/// the line that says what they did. A leg is a program `lab_NAME` that
/// `tests/lab/run NAME` builds and starts.
namespace actable::lab {

/// How much a leg does.
enum class Amount {
  /// What continuous integration runs: minutes.
  usual,
  /// What does not fit there.
  nightly,
  /// Until `--seconds` have passed, or for ever.
  soak,
};

/// A leg's command line.
///
/// Thread safety: *immutable*.
struct LegOptions {
  std::uint64_t seed = 0;
  /// Zero: no limit but the amount.
  std::chrono::seconds limit{0};
  Amount amount = Amount::usual;
  /// Repeat the one case of `seed`, and print its trace.
  bool replay = false;
};

/// Something is wrong with the store. Its text says what.
struct Found : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Throws `Found` unless `holds`.
inline void require(bool holds, const std::string& what) {
  if (!holds) throw Found(what);
}

/// When to stop. A soak says each ten seconds how far it is.
///
/// Thread safety: *confined*, but for `in_time`.
class Budget {
 public:
  Budget(const LegOptions& options, std::uint64_t usual, std::uint64_t nightly)
      : amount_(options.replay                      ? 1
                : options.amount == Amount::soak    ? ~std::uint64_t{0}
                : options.amount == Amount::nightly ? nightly
                                                    : usual),
        limit_(options.limit),
        tells_(options.amount == Amount::soak) {}

  /// True while the `done` pieces of work so far are not enough. Called before
  /// each seed.
  [[nodiscard]] bool goes_on(std::uint64_t done) const {
    if (tells_) tell(done);
    ++seeds_;
    return done < amount_ && in_time();
  }
  [[nodiscard]] bool in_time() const { return limit_.count() == 0 || elapsed() < limit_; }
  [[nodiscard]] std::chrono::duration<double> elapsed() const { return std::chrono::steady_clock::now() - began_at_; }

 private:
  void tell(std::uint64_t done) const;

  const std::uint64_t amount_;
  const std::chrono::seconds limit_;
  const bool tells_;
  mutable std::uint64_t seeds_ = 0;
  mutable std::chrono::duration<double> told_at_{0};
  const std::chrono::steady_clock::time_point began_at_ = std::chrono::steady_clock::now();
};

/// Runs a leg: reads the command line, calls `work`, which returns what it did
/// in words ("102,334 crashes …"), and prints `NAME: ok, WORDS, SECONDS s`. When
/// `work` throws, prints what it threw and how to repeat it. Returns the
/// program's exit status: 0, 1 (found something), 2 (bad command line).
[[nodiscard]] int run_leg(int argc, char** argv, std::string_view name, std::string_view description,
                          const std::function<std::string(const LegOptions&)>& work);

/// 1234567 as 1,234,567.
[[nodiscard]] std::string with_commas(std::uint64_t number);

}  // namespace actable::lab
