#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace actable::lab {

/// What the store can ask of the seam (base/file.h).
enum class Operation : std::uint8_t {
  prepare_directory,
  /// Lists the directory before it is locked.
  look,
  list,
  lock,
  make_queue,
  open,
  create,
  read,
  size,
  write,
  sync,
  allocate,
  rename,
  remove,
  sync_directory,
  queue_write,
  queue_sync,
};

/// What the store is about when it asks.
enum class Phase : std::uint8_t {
  /// There is no store in the directory yet.
  creating,
  recovering,
  running,
  closing,
  /// Running, and copied to another directory.
  backing_up,
  /// The log has failed, and is being replaced.
  healing,
};

/// How a call fails.
enum class Fault : std::uint8_t {
  /// EIO; nothing was done.
  io_error,
  /// ENOSPC; nothing was done.
  no_space,
  /// Half of the blocks were written.
  short_write,
  /// ECANCELED, for what went through a queue; nothing was done.
  cancelled,
  /// EIO, although all of it was done.
  done,
};

[[nodiscard]] std::string_view name_of(Operation operation) noexcept;
[[nodiscard]] std::string_view name_of(Fault fault) noexcept;

/// In how many ways such a call can fail.
[[nodiscard]] std::span<const Fault> faults_of(Operation operation) noexcept;
[[nodiscard]] bool can_fail(Operation operation, Fault fault) noexcept;

/// A call, for people: "recovering: sync segment".
[[nodiscard]] std::string site_name(Phase phase, Operation operation, std::string_view file, std::uint64_t offset);

/// What the store asks, and when. Each is made to fail at least once in a run
/// of the leg, and any other call is an error of the leg: add it. From which lines of the
/// sources they come is in source_calls.h.
[[nodiscard]] std::span<const std::string_view> all_sites() noexcept;

/// The site's place in `all_sites`; empty when it is not there.
[[nodiscard]] std::optional<std::size_t> site_number(std::string_view name) noexcept;

/// A call that a running log makes, at another time: a run comes to it only
/// after another failure, and it need not be hit.
[[nodiscard]] bool is_rare_site(std::string_view name) noexcept;

}  // namespace actable::lab
