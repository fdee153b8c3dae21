#pragma once

#include "tests/support/results.h"
#include "tests/support/threads.h"
#include "tests/support/wait.h"

#include <actable/store.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What the tests of this floor are written in. No word of it asserts through
/// Catch2: failures are exceptions, so that any thread, and the programs that
/// tests start, may use it.
namespace actable::test {

/// Options of a store in `directory`, with little memory and small files.
[[nodiscard]] Options small_store(const std::filesystem::path& directory, LogIo io = LogIo::automatic);

/// Each way to the disk that this machine offers.
[[nodiscard]] std::vector<LogIo> every_log_io();

inline constexpr WriteOptions k_sync{.durability = Durability::sync};

struct Held {
  std::string value;
  Seq seq = 0;
  bool operator==(const Held&) const = default;
};
using Content = std::map<std::string, Held>;

/// What a scan of the space finds. Throws when a key comes twice.
[[nodiscard]] Content content(const Space& space);

/// How two contents differ, for people; empty if they do not. Numbers count.
[[nodiscard]] std::string difference(const Content& found, const Content& due);

/// The record under `key`, read through `visit`.
[[nodiscard]] std::optional<Held> held(const Space& space, std::string_view key);

/// A value of `bytes` (at least 8) that is determined by a number and tells
/// when a part of it is missing or of another value.
[[nodiscard]] std::string sealed(std::uint64_t number, std::size_t bytes);

/// The number of a sealed value; empty when it is not whole.
[[nodiscard]] std::optional<std::uint64_t> unseal(std::string_view value);

/// Memory of this process that is in use (RSS).
[[nodiscard]] std::size_t resident_bytes();

}  // namespace actable::test
