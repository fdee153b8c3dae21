#pragma once

#include "benchmarks/engine.h"
#include "benchmarks/plan.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

namespace bench {

struct Outcome;

/// What one thread is to do there.
struct RemotePart {
  Plan plan;
  /// Operations; the plan is repeated as often as it takes.
  std::uint64_t limit;
};

/// What all threads, or actors, are to do, together.
struct RemoteWork {
  Way way = Way::calls;
  Durability durability = Durability::async;
  std::vector<RemotePart> parts;
  /// The last so many go on until the others have ended.
  std::size_t helpers = 0;
  /// Keys of one call; 0: one key a call.
  std::size_t batch = 0;
  /// One operation in so many is timed.
  std::uint64_t sample_every = 1;
  /// 0: until the operations are done.
  double duration_s = 0;
};

/// An engine that cannot be asked key by key from here, because the way to it
/// would be what is measured, or is what is to be measured: it takes whole plans
/// and does them where it is.
///
/// Thread safety: *confined*.
class Remote {
 public:
  static constexpr std::uint64_t k_no_limit = std::numeric_limits<std::uint64_t>::max();

  Remote() = default;
  Remote(const Remote&) = delete;
  Remote& operator=(const Remote&) = delete;
  virtual ~Remote() = default;

  /// Returns when all are done; calls `waiting` a few times a second until then.
  /// Throws `Failure` when the engine failed or had wrong data, and `Interrupted`.
  [[nodiscard]] virtual Outcome run(RemoteWork work, const std::function<void(double seconds)>& waiting) = 0;
};

}  // namespace bench
