#pragma once

#include <actable/result.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

/// What a store's process and the debug shell say to each other, and how
/// (docs/debug-protocol.md). Knows nothing of stores.
namespace actable::debug {

/// Bytes that need not be text: a key, a value.
struct Bytes {
  std::string bytes;
  friend bool operator==(const Bytes&, const Bytes&) = default;
};

/// A value of msgpack: what requests and replies are made of. Fields of a map
/// keep their order; their names differ.
///
/// Thread safety: *confined* to whoever holds it.
class Document {
 public:
  struct Field;
  using List = std::vector<Document>;
  using Map = std::vector<Field>;

  Document();
  Document(bool value);
  Document(double value);
  template <std::unsigned_integral T>
  Document(T value);
  /// Of one that is not negative nobody can tell that it has a sign.
  template <std::signed_integral T>
  Document(T value);
  Document(std::string text);
  Document(std::string_view text);
  Document(const char* text);
  Document(Bytes bytes);
  Document(List list);
  Document(Map map);

  /// Null if it is of another kind.
  template <class T>
  [[nodiscard]] const T* as() const noexcept {
    return std::get_if<T>(&value_);
  }
  template <class T>
  [[nodiscard]] T* as() noexcept {
    return std::get_if<T>(&value_);
  }
  [[nodiscard]] bool null() const noexcept { return std::holds_alternative<std::monostate>(value_); }

  /// The field of that name; null if this is no map that has one.
  [[nodiscard]] const Document* find(std::string_view name) const noexcept;
  /// The same, or a null document: for who shows what is there.
  [[nodiscard]] const Document& operator[](std::string_view name) const noexcept;

  // What it is, or nothing of the kind: for who shows what is there.
  [[nodiscard]] std::uint64_t number() const noexcept;
  [[nodiscard]] double real() const noexcept;
  [[nodiscard]] bool truth() const noexcept;
  [[nodiscard]] std::string_view text() const noexcept;
  /// Of bytes, or of text.
  [[nodiscard]] std::string_view bytes() const noexcept;
  [[nodiscard]] const List& list() const& noexcept;
  [[nodiscard]] const Map& map() const& noexcept;
  // Loops over a part of a temporary would outlive it.
  const List& list() && = delete;
  const Map& map() && = delete;

  friend bool operator==(const Document&, const Document&) = default;

 private:
  std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string, Bytes, List, Map> value_;
};

struct Document::Field {
  std::string name;
  Document value;
  friend bool operator==(const Field&, const Field&) = default;
};

// Here, where a field is complete.
inline Document::Document() = default;
inline Document::Document(bool value) : value_(value) {}
inline Document::Document(double value) : value_(value) {}
template <std::unsigned_integral T>
inline Document::Document(T value) : value_(static_cast<std::uint64_t>(value)) {}
template <std::signed_integral T>
inline Document::Document(T value) {
  if (value < 0) {
    value_ = static_cast<std::int64_t>(value);
  } else {
    value_ = static_cast<std::uint64_t>(value);
  }
}
inline Document::Document(std::string text) : value_(std::move(text)) {}
inline Document::Document(std::string_view text) : value_(std::string(text)) {}
inline Document::Document(const char* text) : value_(std::string(text)) {}
inline Document::Document(Bytes bytes) : value_(std::move(bytes)) {}
inline Document::Document(List list) : value_(std::move(list)) {}
inline Document::Document(Map map) : value_(std::move(map)) {}

/// How much a packed document may hold. What unpacking takes of memory is in
/// proportion to the bytes in any case: some 60 bytes for each.
struct DocumentLimits {
  std::size_t depth_max;
  std::size_t elements_max;
  std::size_t fields_max;
};

/// Always what `unpack` takes, but for the limits: bytes of text that are no
/// UTF-8 become \xNN.
[[nodiscard]] std::string pack(const Document& document);

/// Fails with too_large where `unpack` would refuse the packed document for its limits.
[[nodiscard]] Result<void> check(const Document& document, const DocumentLimits& limits);

/// Unpacks all of `bytes`, strictly: one value, nothing behind it, text that is
/// UTF-8, maps whose keys are text and differ. Fails with
///   corrupt    they are not that
///   too_large  it is beyond the limits
[[nodiscard]] Result<Document> unpack(std::string_view bytes, const DocumentLimits& limits);

}  // namespace actable::debug
