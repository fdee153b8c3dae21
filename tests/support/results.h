#pragma once

#include <actable/result.h>

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

/// Results in tests. No word of it asserts through Catch2: failures are
/// exceptions, so that any thread, and the programs that tests start, may use it.
namespace actable::test {

/// Throws a `std::runtime_error` that says `why`.
[[noreturn]] void fail_test(const std::string& why);

/// Throws unless `holds`.
inline void expect(bool holds, std::string_view what) {
  if (!holds) fail_test(std::string(what));
}

/// The error's code and message.
[[nodiscard]] std::string describe(const Error& error);

/// The value of a result that has to be there. Throws what `describe` says.
template <class T>
T must(Result<T> result) {
  if (!result) fail_test(describe(result.error()));
  if constexpr (!std::is_void_v<T>) return *std::move(result);
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

}  // namespace actable::test
