#include <actable/space.h>

#include "base/bytes.h"
#include "base/failure.h"
#include "store/space_operations.h"

#include <array>
#include <cstring>
#include <exception>

/// The operations on one key, over SpaceCore::read and SpaceCore::write.
namespace actable {

using store::SpaceCore;
using store::Verdict;
using table::Position;
using table::Record;

namespace {

[[nodiscard]] Verdict when(bool condition) noexcept { return condition ? Verdict::write : Verdict::leave; }

/// True when something was written.
[[nodiscard]] Result<bool> as_bool(Result<Seq> written) {
  if (!written) return std::unexpected(std::move(written.error()));
  return *written != 0;
}

[[nodiscard]] std::unexpected<Error> moved_from() {
  return base::failure(ErrorCode::closed, "this handle was moved from; use the one it was moved to");
}

[[nodiscard]] std::int64_t counter(std::string_view value) noexcept {
  return static_cast<std::int64_t>(base::load_le<std::uint64_t>(reinterpret_cast<const std::byte*>(value.data())));
}

}  // namespace

Space::Space(std::shared_ptr<SpaceCore> core) : core_(std::move(core)) {}
Space::Space(const Space&) noexcept = default;
Space::Space(Space&&) noexcept = default;
Space& Space::operator=(const Space&) noexcept = default;
Space& Space::operator=(Space&&) noexcept = default;
Space::~Space() = default;

const std::string& Space::name() const noexcept {
  static const std::string none;
  return core_ == nullptr ? none : core_->name();
}

Result<Seq> Space::put(std::string_view key, std::string_view value, WriteOptions options) {
  if (core_ == nullptr) [[unlikely]]
    return moved_from();
  return core_->write({key, value, false, options}, SpaceCore::Always{});
}

Result<bool> Space::get(std::string_view key, std::string& value) const {
  if (core_ == nullptr) [[unlikely]]
    return moved_from();
  return core_->read(key, [&value](const Record& record) { base::assign_bytes(value, record.value()); });
}

Result<std::optional<std::string>> Space::get(std::string_view key) const {
  if (core_ == nullptr) [[unlikely]]
    return moved_from();
  std::optional<std::string> value;
  auto found = core_->read(key, [&value](const Record& record) { value.emplace(record.value()); });
  if (!found) return std::unexpected(std::move(found.error()));
  return value;
}

Result<bool> Space::visit_with(std::string_view key, Visitor call, void* f) const {
  if (core_ == nullptr) [[unlikely]]
    return moved_from();
  return core_->read(key, [call, f](const Record& record) { call(f, {record.key(), record.value(), record.seq()}); });
}

Result<std::size_t> Space::multi_get(std::span<const std::string_view> keys,
                                     std::span<std::optional<std::string>> values) const {
  if (core_ == nullptr) [[unlikely]]
    return moved_from();
  if (keys.size() != values.size()) {
    return base::failure(ErrorCode::invalid_argument, [&] {
      return "multi_get takes as many values as keys; it was given " + std::to_string(keys.size()) + " keys and " +
             std::to_string(values.size()) + " values";
    });
  }
  for (const std::string_view key : keys) {
    if (!store::key_fits(key)) return store::bad_key(key);
  }
  auto context = core_->store().context();
  if (!context) return std::unexpected(std::move(context.error()));
  return core_->multi_read(**context, keys, values);
}

Result<bool> Space::erase(std::string_view key, WriteOptions options) {
  if (core_ == nullptr) [[unlikely]]
    return moved_from();
  return as_bool(
      core_->write({key, {}, true, options, OperationKind::erase}, [](const Position& at) { return when(at.live()); }));
}

Result<bool> Space::put_if_absent(std::string_view key, std::string_view value, WriteOptions options) {
  if (core_ == nullptr) [[unlikely]]
    return moved_from();
  return as_bool(core_->write({key, value, false, options, OperationKind::put_if_absent},
                              [](const Position& at) { return when(!at.live()); }));
}

Result<bool> Space::compare_and_set(std::string_view key, Seq expected, std::string_view value, WriteOptions options) {
  if (core_ == nullptr) [[unlikely]]
    return moved_from();
  return as_bool(core_->write({key, value, false, options, OperationKind::compare_and_set},
                              [expected](const Position& at) { return when(expected == (at.live() ? at.seq() : 0)); }));
}

Result<std::int64_t> Space::add(std::string_view key, std::int64_t delta, WriteOptions options) {
  if (core_ == nullptr) [[unlikely]]
    return moved_from();
  std::int64_t sum = 0;
  enum class Problem { none, not_a_counter, overflow } problem = Problem::none;
  const std::array<char, sizeof sum> room{};
  auto written = core_->write(
      {key, std::string_view(room.data(), room.size()), false, options, OperationKind::add},
      [&](const Position& at) {
        const bool live = at.live();
        problem = Problem::none;
        if (live && at.old->value().size() != sizeof sum) {
          problem = Problem::not_a_counter;
        } else if (__builtin_add_overflow(live ? counter(at.old->value()) : 0, delta, &sum)) {
          problem = Problem::overflow;
        }
        return when(problem == Problem::none);
      },
      [&sum](Record& fresh) { fresh.set_counter(static_cast<std::uint64_t>(sum)); });
  if (!written) return std::unexpected(std::move(written.error()));
  switch (problem) {
    case Problem::none:
      return sum;
    case Problem::overflow:
      return base::failure(ErrorCode::invalid_argument, [&] {
        return "adding " + std::to_string(delta) + " leaves the range of a 64-bit counter; nothing was changed";
      });
    case Problem::not_a_counter:
      break;
  }
  return base::failure(ErrorCode::invalid_argument,
                       "the value under this key is no counter: it is not 8 bytes long; nothing was changed");
}

Result<Seq> Space::update_with(std::string_view key, Updater call, void* f, WriteOptions options) {
  if (core_ == nullptr) [[unlikely]]
    return moved_from();
  while (true) {
    // The caller's function runs beside a reader's pin only: it may take long,
    // and it may write.
    Seq seen = 0;
    std::optional<std::string> value;
    auto found = core_->read(key, [&](const Record& record) {
      seen = record.seq();
      value = call(f, record.value());
    });
    if (!found) return std::unexpected(std::move(found.error()));
    if (!*found) {
      value = call(f, std::nullopt);
      if (!value) return Seq{0};
    }
    auto written = core_->write(
        {key, value ? std::string_view(*value) : std::string_view(), !value, options, OperationKind::compare_and_set},
        [seen](const Position& at) { return when(seen == (at.live() ? at.seq() : 0)); });
    if (!written) return std::unexpected(std::move(written.error()));
    if (*written != 0) return *written;
  }
}

Result<std::optional<std::string>> Space::take(std::string_view key, WriteOptions options) {
  if (core_ == nullptr) [[unlikely]]
    return moved_from();
  std::optional<std::string> value;
  // Copied before the erasure, so that running out of memory changes nothing.
  auto written = core_->write({key, {}, true, options, OperationKind::erase}, [&value](const Position& at) {
    if (!at.live()) return Verdict::leave;
    value.emplace(at.old->value());
    return Verdict::write;
  });
  if (!written) return std::unexpected(std::move(written.error()));
  if (*written == 0) value.reset();
  return value;
}

std::size_t Space::size() const noexcept {
  return core_ == nullptr || core_->state() != SpaceCore::State::open ? 0 : core_->keys();
}

SpaceStats Space::stats() const { return core_ == nullptr ? SpaceStats{} : core_->stats(); }

}  // namespace actable
