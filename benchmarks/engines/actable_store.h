#pragma once

#include "benchmarks/engine.h"

#include <actable/store.h>

#include <string_view>
#include <utility>

namespace bench {

/// Throws `Failure` with what the store says.
[[noreturn]] void fail_actable(std::string_view doing, const actable::Error& error);

template <class T>
T value_or_failure(actable::Result<T> result, std::string_view doing) {
  if (!result) fail_actable(doing, result.error());
  return *std::move(result);
}

[[nodiscard]] actable::Options actable_options(const EngineOptions& options);
[[nodiscard]] std::unique_ptr<Session> actable_session(const actable::Space& space, Durability durability);

/// What the engines over a store of Actable's have in common: sessions call its
/// one space.
///
/// Thread safety: as `Engine`.
class ActableStore : public Engine {
 public:
  static constexpr std::string_view k_space = "bench";

  std::unique_ptr<Session> session(Durability durability) override { return actable_session(*space_, durability); }
  void settle() override;
  std::optional<std::uint64_t> memory_bytes() override;
  Counters counters() override;
  void checkpoint() override;
  std::optional<std::uint64_t> opened_bytes() override;

 protected:
  explicit ActableStore(const EngineOptions& options) : logged_(options.durability != Durability::none) {}

  /// Once, before anything else; the store outlives this.
  void attach(actable::Store& store);
  [[nodiscard]] const actable::Space& space() const noexcept { return *space_; }

 private:
  const bool logged_;
  actable::Store* store_ = nullptr;
  std::optional<actable::Space> space_;
};

}  // namespace bench
