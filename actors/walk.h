#pragma once

#include "debug/document.h"

#include <actable/result.h>
#include <actable/space.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace actable::actors {

/// A look at many keys of a space, in steps so short that the actor which makes
/// them holds up nobody. Goes in the order of hashes.
///
/// Thread safety: *confined* to the debug actor.
class Walk {
 public:
  /// Looks at keys that begin with `prefix` only.
  Walk(const Space& space, std::string prefix) : prefix_(std::move(prefix)), cursor_(space.scan()) {}
  virtual ~Walk() = default;
  Walk(const Walk&) = delete;
  Walk& operator=(const Walk&) = delete;

  /// The result so far, as the protocol has it. Fails as `Cursor::next`.
  [[nodiscard]] Result<debug::Document> step();
  [[nodiscard]] bool over() const noexcept { return over_; }

 protected:
  /// A key that begins with the prefix. False: no more of them are wanted.
  [[nodiscard]] virtual bool see(const Entry& entry) = 0;
  /// What the step has come to, but for `more`. The step may end for this: true
  /// once that is as much as one reply should carry.
  [[nodiscard]] virtual bool full() const noexcept { return false; }
  [[nodiscard]] virtual debug::Document::Map result() = 0;
  [[nodiscard]] std::uint64_t looked_at() const noexcept { return looked_at_; }

 private:
  const std::string prefix_;
  Cursor cursor_;
  std::uint64_t looked_at_ = 0;
  bool over_ = false;
};

/// The entries themselves.
class ScanWalk final : public Walk {
 public:
  ScanWalk(const Space& space, std::string prefix, std::uint64_t limit)
      : Walk(space, std::move(prefix)), left_(limit) {}

 protected:
  bool see(const Entry& entry) override;
  bool full() const noexcept override;
  debug::Document::Map result() override;

 private:
  std::uint64_t left_;
  std::size_t bytes_ = 0;
  debug::Document::List entries_;
};

/// How many there are.
class CountWalk final : public Walk {
 public:
  using Walk::Walk;

 protected:
  bool see(const Entry&) override {
    ++count_;
    return true;
  }
  debug::Document::Map result() override;

 private:
  std::uint64_t count_ = 0;
};

/// The `top` largest values among the first `sample` keys of the walk, which are
/// a fair sample, since hashes have nothing to do with sizes.
class BigWalk final : public Walk {
 public:
  BigWalk(const Space& space, std::uint64_t sample, std::size_t top) : Walk(space, {}), left_(sample), top_(top) {}

 protected:
  bool see(const Entry& entry) override;
  debug::Document::Map result() override;

 private:
  struct Big {
    // No more than its first bytes: keys may have 64 KiB, and every step gives all.
    std::string key;
    std::size_t key_bytes;
    std::size_t value_bytes;
  };
  std::uint64_t left_;
  const std::size_t top_;
  // Of the largest value first.
  std::vector<Big> found_;
};

}  // namespace actable::actors
