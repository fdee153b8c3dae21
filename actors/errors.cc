#include <actable/actors.h>

#include <caf/exit_reason.hpp>
#include <caf/sec.hpp>

#include <utility>

namespace actable {
namespace {

// The category of our errors; CAF's are "system" and "exit".
constexpr caf::atom_value k_category = caf::atom("actable");
// CAF takes an error of code 0 for none.
constexpr std::uint8_t k_first = 1;
constexpr std::uint8_t k_last = static_cast<std::uint8_t>(ErrorCode::no_memory) + k_first;

Error of_system(caf::sec code) {
  switch (code) {
    case caf::sec::request_receiver_down:
    case caf::sec::runtime_error:
      return {ErrorCode::indeterminate, "the actor crashed meanwhile; what was asked for may have been done or not"};
    case caf::sec::request_timeout:
      return {ErrorCode::indeterminate,
              "there was no answer in the time that the request gave it; what was asked for may have been done or not"};
    case caf::sec::unexpected_message:
      return {ErrorCode::invalid_argument, "the actor has no such request; see its type in <actable/actors.h>"};
    default:
      return {ErrorCode::indeterminate, "the actor system says: " + to_string(code)};
  }
}

}  // namespace

caf::error make_error(ErrorCode code, std::string message) {
  return {static_cast<std::uint8_t>(static_cast<std::uint8_t>(code) + k_first), k_category,
          caf::make_message(std::move(message))};
}

Error to_error(const caf::error& error) {
  if (!error) return {ErrorCode::indeterminate, "no error was given"};
  if (error.category() == k_category) {
    if (error.code() > k_last) return {ErrorCode::indeterminate, "an error of a later version: " + to_string(error)};
    const caf::message& context = error.context();
    return {static_cast<ErrorCode>(error.code() - k_first),
            context.match_elements<std::string>() ? context.get_as<std::string>(0) : std::string()};
  }
  if (error.category() == caf::atom("system")) return of_system(static_cast<caf::sec>(error.code()));
  if (error.category() == caf::atom("exit")) {
    if (static_cast<caf::exit_reason>(error.code()) == caf::exit_reason::user_shutdown) {
      return {ErrorCode::closed, "the actor was stopped with its system"};
    }
    return {ErrorCode::indeterminate, "the actor was ended meanwhile; what was asked for may have been done or not"};
  }
  return {ErrorCode::indeterminate, "an error of another kind: " + to_string(error)};
}

}  // namespace actable
