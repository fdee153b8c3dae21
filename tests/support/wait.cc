#include "tests/support/wait.h"

#include "tests/support/results.h"

#include <string>
#include <thread>

namespace actable::test {

using Clock = std::chrono::steady_clock;

void until(std::string_view what, const std::function<bool()>& condition) {
  if (!eventually(std::chrono::minutes(1), condition)) fail_test("waited in vain until " + std::string(what));
}

bool eventually(std::chrono::microseconds limit, const std::function<bool()>& condition) {
  const auto end = Clock::now() + limit;
  while (!condition()) {
    if (Clock::now() > end) return condition();
    std::this_thread::yield();
  }
  return true;
}

bool stays(std::chrono::milliseconds time, const std::function<bool()>& condition) {
  return !eventually(time, [&condition] { return !condition(); });
}

}  // namespace actable::test
