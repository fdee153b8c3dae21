#pragma once

#include <caf/io/basp/message_type.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace actable::actors {

/// Why the payload of one of CAF's network messages is not for CAF to read;
/// nothing if it may. Takes next to no time whatever is in it.
///
/// CAF 0.17 makes the values of a message from the names of their types that come
/// with it, and calls itself for each message in a message: some thousand levels,
/// in as many times fifteen bytes, are more than its stack holds. Refused are
///   - types that may hold a message, or values of their own type: messages,
///     configuration values, and those of streams
///   - errors, and what holds one, whose context names such a type
///   - lengths, nodes and names that are not written as CAF does
/// A type that the host has made known to CAF itself is not looked into.
[[nodiscard]] std::optional<std::string> objection_to(caf::io::basp::message_type operation, std::string_view payload);

}  // namespace actable::actors
