#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace actable::lab::kills {

/// When a life comes to a fail point.
enum class When : std::uint8_t {
  /// Only in a directory that holds no store yet; in the order of `fail_points`.
  creating,
  /// While the store opens.
  recovering,
  /// While it is written, or stands still after that.
  writing,
  /// While it is closed.
  closing,
};

/// A named place in the product (base/park.h) at which a life ends itself.
struct FailPoint {
  std::string_view name;
  When when;
  /// A life ends at one of its first so many passages. Few where there are few.
  unsigned passages_max;
  /// It is there only behind a life that ended at this one; empty: always.
  std::string_view behind{};
};

/// All of them: a test reads the sources for others.
[[nodiscard]] std::span<const FailPoint> fail_points();

/// Null for the empty name. Throws when there is none of that name.
[[nodiscard]] const FailPoint* fail_point(std::string_view name);

}  // namespace actable::lab::kills
