#include <actable/result.h>

namespace actable {

std::string_view to_string(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalid_argument:
      return "invalid_argument";
    case ErrorCode::too_large:
      return "too_large";
    case ErrorCode::not_found:
      return "not_found";
    case ErrorCode::overloaded:
      return "overloaded";
    case ErrorCode::read_only:
      return "read_only";
    case ErrorCode::indeterminate:
      return "indeterminate";
    case ErrorCode::io_error:
      return "io_error";
    case ErrorCode::corrupt:
      return "corrupt";
    case ErrorCode::locked:
      return "locked";
    case ErrorCode::unsupported:
      return "unsupported";
    case ErrorCode::closed:
      return "closed";
    case ErrorCode::no_memory:
      return "no_memory";
  }
  return "unknown";
}

}  // namespace actable
