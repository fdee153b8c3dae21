#pragma once

#include "debug/document.h"

#include <string>
#include <vector>

namespace shell {

/// What a process said of itself at one moment: answers to `stats`, `actors` and
/// `config`.
struct Moment {
  actable::debug::Document stats;
  actable::debug::Document actors;
  actable::debug::Document config;
};

/// Something that makes a store slow, and what can be done about it.
struct Finding {
  enum class Weight { remark, slow, bad };
  Weight weight = Weight::slow;
  std::string what;
  std::string advice;
};

/// What is slow, in plain words, the worst first; from two moments that lie
/// `seconds` apart. Nothing, where nothing is.
[[nodiscard]] std::vector<Finding> diagnose(const Moment& before, const Moment& after, double seconds);

/// The time that this share of the syncs took at most, in microseconds, from the
/// log's histogram, whose steps are powers of two; 0 without any.
[[nodiscard]] double sync_quantile_us(const actable::debug::Document& durations, double share);

}  // namespace shell
