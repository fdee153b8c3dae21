#include "actors/message_check.h"

#include <caf/atom.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace actable::actors {
namespace {

using caf::io::basp::message_type;

// Of those that CAF knows by itself (`numbered_type_names`).
constexpr std::array<std::string_view, 5> k_deep{"@message", "@config_value", "@open_stream_msg", "@downstream_msg",
                                                 "@upstream_msg"};
// An error has a message for its context; the others have an error.
constexpr std::array<std::string_view, 3> k_of_errors{"@error", "@exit", "@down"};

/// Takes apart what CAF's binary serializer has written. Once something was not
/// there, or not as it writes it, all that follows is empty.
///
/// Thread safety: *confined*.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  [[nodiscard]] bool failed() const noexcept { return failed_; }
  [[nodiscard]] std::string_view rest() const noexcept { return rest_; }

  [[nodiscard]] std::uint64_t number(std::size_t bytes) {
    std::uint64_t number = 0;
    for (const char byte : take(bytes)) number = number << 8 | static_cast<unsigned char>(byte);
    return number;
  }

  /// Seven bits in a byte. CAF reads more bytes than a length has, and shifts
  /// them by more bits than there are, which may come out as anything.
  [[nodiscard]] std::size_t length() {
    constexpr unsigned k_bytes_max = 5;
    std::uint64_t length = 0;
    for (unsigned i = 0; i < k_bytes_max; ++i) {
      const std::uint64_t byte = number(1);
      length |= (byte & 0x7f) << (7 * i);
      if ((byte & 0x80) == 0) return length <= UINT32_MAX ? static_cast<std::size_t>(length) : fail();
    }
    return fail();
  }

  [[nodiscard]] std::string_view text() { return take(length()); }

  void skip_node() {
    constexpr std::size_t k_process_and_host_bytes = 4 + 20;
    const auto kind = static_cast<caf::atom_value>(number(8));
    if (kind == caf::atom("")) return;
    if (kind != caf::atom("default")) {
      fail();
      return;
    }
    (void)take(k_process_and_host_bytes);
  }

  void skip_actors() {
    constexpr std::size_t k_number_bytes = 8;
    for (std::size_t left = length(); left != 0 && !failed_; --left) {
      (void)take(k_number_bytes);
      skip_node();
    }
  }

 private:
  std::size_t fail() {
    failed_ = true;
    rest_ = {};
    return 0;
  }

  std::string_view take(std::size_t bytes) {
    if (bytes > rest_.size()) fail();
    const std::string_view taken = rest_.substr(0, bytes);
    rest_.remove_prefix(taken.size());
    return taken;
  }

  std::string_view rest_;
  bool failed_ = false;
};

[[nodiscard]] std::string unreadable() { return "cannot be read"; }

[[nodiscard]] std::string holds(std::string_view type) { return "holds a value of type " + std::string(type); }

/// Of the bytes of an error: what is in its context has its type's name there.
[[nodiscard]] std::optional<std::string> objection_to_error(std::string_view bytes) {
  for (const auto& names :
       {std::span<const std::string_view>(k_deep), std::span<const std::string_view>(k_of_errors)}) {
    for (const std::string_view name : names) {
      if (bytes.find(name) != std::string_view::npos) return holds(name) + " in an error";
    }
  }
  return std::nullopt;
}

/// Of a message: the names of its values' types in one, and then the values.
[[nodiscard]] std::optional<std::string> objection_to_content(Reader& reader) {
  constexpr std::string_view k_none = "@<>";
  const bool of_names = reader.number(2) == 0;
  std::string_view names = reader.text();
  if (reader.failed() || !of_names || !names.starts_with(k_none)) return unreadable();
  names.remove_prefix(k_none.size());
  bool of_errors = false;
  while (!names.empty()) {
    if (names.front() != '+') return unreadable();
    names.remove_prefix(1);
    const std::string_view name = names.substr(0, names.find('+'));
    names.remove_prefix(name.size());
    if (std::ranges::find(k_deep, name) != k_deep.end()) return holds(name);
    if (std::ranges::find(k_of_errors, name) != k_of_errors.end()) of_errors = true;
  }
  return of_errors ? objection_to_error(reader.rest()) : std::nullopt;
}

}  // namespace

std::optional<std::string> objection_to(message_type operation, std::string_view payload) {
  Reader reader(payload);
  switch (operation) {
    case message_type::routed_message:
      reader.skip_node();
      reader.skip_node();
      [[fallthrough]];
    case message_type::direct_message:
      reader.skip_actors();
      return objection_to_content(reader);
    case message_type::down_message:
      reader.skip_node();
      reader.skip_node();
      return reader.failed() ? unreadable() : objection_to_error(reader.rest());
    default:
      // Nodes, names of actors' types, or nothing at all.
      return std::nullopt;
  }
}

}  // namespace actable::actors
