#include "examples/service/limiter.h"

#include <string>

namespace service {

namespace {

/// What the keys of a second's counters begin with.
std::string second_of(Limiter::Clock::time_point now) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count()) + "/";
}

}  // namespace

actable::Result<bool> Limiter::admit(std::string_view subject, Clock::time_point now) {
  const auto requests = counters_.add(second_of(now).append(subject), 1);
  if (!requests) return std::unexpected(requests.error());
  return *requests <= requests_per_second_max_;
}

actable::Result<std::uint64_t> Limiter::sweep(Clock::time_point now) {
  const std::string current = second_of(now);
  std::uint64_t swept = 0;
  auto cursor = counters_.scan();
  for (;;) {
    const auto more = cursor.next();
    if (!more) return std::unexpected(more.error());
    if (!*more) return swept;
    if (cursor.entry().key.starts_with(current)) continue;
    const auto erased = counters_.erase(cursor.entry().key);
    if (!erased) return std::unexpected(erased.error());
    ++swept;
  }
}

}  // namespace service
