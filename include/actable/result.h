#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

/// Errors as values. Absence of a key is never an error: it is `false` or an
/// empty `std::optional`.
namespace actable {

/// What went wrong. Every code but three is a *refusal*: nothing was changed,
/// neither in memory nor on disk. The exceptions are `indeterminate`, and
/// `io_error` and `corrupt` where the comment of the function says so.
enum class ErrorCode {
  /// An argument or option breaks a documented limit or rule.
  invalid_argument,
  /// A key, value or batch is longer than the limit.
  too_large,
  /// A named thing (a space, a file) does not exist and was not to be created.
  not_found,
  /// The disk is slower than the writers and the deadline passed, or more
  /// threads than `k_threads_max` use stores at once. Retry later.
  overloaded,
  /// An earlier write or sync of the log failed, or an actor of the store crashed
  /// too often. Reads go on; writes are refused until the store is opened again, or, after
  /// a failure of the log, until `Store::heal`.
  read_only,
  /// The write is visible in memory, and may or may not survive a restart:
  /// the log failed while the caller waited for the disk.
  indeterminate,
  /// The operating system refused an operation on a file.
  io_error,
  /// Bytes that were stored are not what was stored, or are not of the type
  /// asked for.
  corrupt,
  /// Another live process has the directory open.
  locked,
  /// This store or this build cannot do that: a sync without a directory, a
  /// newer file format.
  unsupported,
  /// The store was closed or the space was dropped.
  closed,
  /// Memory for the operation was not to be had.
  no_memory,
};

/// The enumerator's name, for logs: "invalid_argument".
[[nodiscard]] std::string_view to_string(ErrorCode code) noexcept;

/// Thread safety: *confined* to whoever holds it.
struct Error {
  ErrorCode code;
  /// What failed, on what, and what to do about it. For people; not parsed.
  std::string message;

  /// True when the operation that returned this changed nothing.
  [[nodiscard]] bool refused() const noexcept {
    return code != ErrorCode::indeterminate && code != ErrorCode::io_error && code != ErrorCode::corrupt;
  }
};

template <class T>
using Result = std::expected<T, Error>;

/// Shorthand for returning a failure: `return fail(ErrorCode::closed, "...")`.
[[nodiscard]] inline std::unexpected<Error> fail(ErrorCode code, std::string message) {
  return std::unexpected(Error{code, std::move(message)});
}

}  // namespace actable
