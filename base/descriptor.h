#pragma once

#include <unistd.h>

#include <cerrno>
#include <utility>

namespace actable::base {

/// Repeats a call that a signal ended before it did anything, which is what -1
/// with EINTR says. Not for syncs: those are never repeated.
template <class Call>
auto uninterrupted(Call call) {
  for (;;) {
    const auto result = call();
    if (result != -1 || errno != EINTR) return result;
  }
}

/// A number that the operating system gave for an open file or socket; closed by
/// the destructor.
///
/// Thread safety: *confined* to its owner.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) noexcept : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  // A failing close says nothing that a sync has not said.
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }

  [[nodiscard]] bool valid() const noexcept { return number_ >= 0; }
  [[nodiscard]] int number() const noexcept { return number_; }

 private:
  int number_ = -1;
};

}  // namespace actable::base
