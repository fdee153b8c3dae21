#pragma once

#include <actable/store.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

/// What the tests of this floor are written in. No word of it asserts through
/// Catch2: failures are exceptions, so that any thread, and the programs that
/// tests start, may use it.
namespace actable::test {

/// The value of a result that has to be there. Throws with its code and message.
void fail_test(const std::string& why);
[[nodiscard]] std::string describe(const Error& error);
template <class T>
T must(Result<T> result) {
  if (!result) fail_test(describe(result.error()));
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

/// Throws unless `holds`; for threads, which cannot use Catch2's assertions.
inline void expect(bool holds, std::string_view what) {
  if (!holds) fail_test(std::string(what));
}

/// "ok", or the name of the error's code.
template <class T>
std::string outcome(const Result<T>& result) {
  return result ? "ok" : std::string(to_string(result.error().code));
}

/// The error's message; empty when there was none.
template <class T>
std::string message(const Result<T>& result) {
  return result ? std::string{} : result.error().message;
}

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

/// Runs `work(0)` to `work(threads - 1)`, each on its own thread, from one
/// starting shot, and joins them. Throws what the first failing one threw.
void together(unsigned threads, const std::function<void(unsigned)>& work);

/// True as soon as `condition` holds, false when it does not within `limit`.
/// The limit bounds a failure; a success takes only as long as it must.
[[nodiscard]] bool eventually(std::chrono::microseconds limit, const std::function<bool()>& condition);

/// Memory of this process that is in use (RSS).
[[nodiscard]] std::size_t resident_bytes();

}  // namespace actable::test
