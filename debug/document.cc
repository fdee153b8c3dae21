#include "debug/document.h"

#include "base/utf8.h"
#include "debug/printable.h"

#define MSGPACK_NO_BOOST
#include <msgpack.hpp>

#include <algorithm>
#include <bit>
#include <optional>
#include <type_traits>

namespace actable::debug {
namespace {

/// Where msgpack packs to.
struct Sink {
  std::string bytes{};
  void write(const char* data, std::size_t size) { bytes.append(data, size); }
};

/// The library makes integers of floating-point numbers that are whole, and of
/// those beyond the range of integers something undefined.
void pack_real(Sink& sink, double value) {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  sink.bytes += '\xcb';
  for (int shift = 56; shift >= 0; shift -= 8) sink.bytes += static_cast<char>(bits >> shift & 0xff);
}

void pack_into(Sink& sink, const Document& document);

struct PackVisitor {
  Sink& sink;
  msgpack::packer<Sink> to{sink};
  void operator()(std::monostate) { to.pack_nil(); }
  void operator()(bool value) { to.pack(value); }
  void operator()(std::int64_t value) { to.pack_int64(value); }
  void operator()(std::uint64_t value) { to.pack_uint64(value); }
  void operator()(double value) { pack_real(sink, value); }
  // A path in a message may be any bytes, and text is UTF-8: who reads this takes
  // nothing else.
  void operator()(const std::string& text) { base::is_utf8(text) ? to.pack(text) : to.pack(as_utf8(text)); }
  void operator()(const Bytes& bytes) {
    to.pack_bin(static_cast<std::uint32_t>(bytes.bytes.size()));
    to.pack_bin_body(bytes.bytes.data(), static_cast<std::uint32_t>(bytes.bytes.size()));
  }
  void operator()(const Document::List& list) {
    to.pack_array(static_cast<std::uint32_t>(list.size()));
    for (const Document& element : list) pack_into(sink, element);
  }
  void operator()(const Document::Map& map) {
    to.pack_map(static_cast<std::uint32_t>(map.size()));
    for (const Document::Field& field : map) {
      (*this)(field.name);
      pack_into(sink, field.value);
    }
  }
};

void pack_into(Sink& sink, const Document& document) {
  PackVisitor visitor{sink};
  const auto try_as = [&]<class T>(std::type_identity<T>) {
    const T* const value = document.as<T>();
    if (value != nullptr) visitor(*value);
    return value != nullptr;
  };
  (void)(try_as(std::type_identity<std::monostate>{}) || try_as(std::type_identity<bool>{}) ||
         try_as(std::type_identity<std::int64_t>{}) || try_as(std::type_identity<std::uint64_t>{}) ||
         try_as(std::type_identity<double>{}) || try_as(std::type_identity<std::string>{}) ||
         try_as(std::type_identity<Bytes>{}) || try_as(std::type_identity<Document::List>{}) ||
         try_as(std::type_identity<Document::Map>{}));
}

/// Builds the document while msgpack walks over the bytes. Takes no memory for
/// elements that are claimed and have not come.
///
/// Thread safety: *confined*.
class Builder : public msgpack::null_visitor {
 public:
  explicit Builder(const DocumentLimits& limits) : limits_(limits) {}

  bool visit_nil() { return add(Document()); }
  bool visit_boolean(bool value) { return add(value); }
  bool visit_positive_integer(std::uint64_t value) { return add(value); }
  bool visit_negative_integer(std::int64_t value) { return add(value); }
  bool visit_float32(float value) { return add(static_cast<double>(value)); }
  bool visit_float64(double value) { return add(value); }
  bool visit_str(const char* data, std::uint32_t size) {
    const std::string_view text(data, size);
    if (!base::is_utf8(text)) return refuse(ErrorCode::corrupt, "it holds text that is not UTF-8");
    if (!at_key_) return add(text);
    const Document::Map& map = *open_.back()->as<Document::Map>();
    const auto same = [text](const Document::Field& field) { return field.name == text; };
    if (std::ranges::any_of(map, same)) return refuse(ErrorCode::corrupt, "it holds a map with a field twice");
    open_.back()->as<Document::Map>()->push_back({std::string(text), {}});
    return count();
  }
  bool visit_bin(const char* data, std::uint32_t size) { return add(Bytes{{data, size}}); }
  bool visit_ext(const char*, std::uint32_t) { return refuse(ErrorCode::corrupt, "it holds an extension type"); }

  bool start_array(std::uint32_t elements) {
    if (elements > limits_.elements_max) return too_many();
    return open(Document::List());
  }
  bool end_array() { return close(); }
  bool start_map(std::uint32_t pairs) {
    if (pairs > limits_.fields_max) return refuse(ErrorCode::too_large, "it holds a map of too many fields");
    return open(Document::Map());
  }
  bool start_map_key() {
    at_key_ = true;
    return true;
  }
  bool end_map_key() {
    at_key_ = false;
    return true;
  }
  bool end_map() { return close(); }

  [[nodiscard]] Error error() const {
    return error_.value_or(Error{ErrorCode::corrupt, "it is cut short or is not msgpack"});
  }
  [[nodiscard]] Document take() { return std::move(root_); }

 private:
  bool refuse(ErrorCode code, const char* what) {
    error_ = Error{code, what};
    return false;
  }
  bool too_many() { return refuse(ErrorCode::too_large, "it holds too many elements"); }
  bool count() { return ++elements_ <= limits_.elements_max || too_many(); }

  /// Where the next value belongs; null where none may be.
  Document* place() {
    if (open_.empty()) return &root_;
    if (Document::List* const list = open_.back()->as<Document::List>()) return &list->emplace_back();
    return &open_.back()->as<Document::Map>()->back().value;
  }

  bool add(Document value) {
    if (at_key_) return refuse(ErrorCode::corrupt, "it holds a map with a key that is not text");
    *place() = std::move(value);
    return count();
  }

  /// Elements of a list move while it grows, but not those that are open: only
  /// the last one is.
  bool open(Document container) {
    if (at_key_) return refuse(ErrorCode::corrupt, "it holds a map with a key that is not text");
    if (open_.size() == limits_.depth_max) return refuse(ErrorCode::too_large, "it is nested too deep");
    Document* const at = place();
    *at = std::move(container);
    open_.push_back(at);
    return count();
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  const DocumentLimits limits_;
  Document root_;
  std::vector<Document*> open_;
  std::size_t elements_ = 0;
  bool at_key_ = false;
  std::optional<Error> error_;
};

/// Measures a document against limits, as `Builder` does with packed ones.
///
/// Thread safety: *confined*.
class Measure {
 public:
  explicit Measure(const DocumentLimits& limits) : limits_(limits) {}

  void take(const Document& document) {
    ++elements_;
    const auto* const list = document.as<Document::List>();
    const auto* const map = document.as<Document::Map>();
    if (list == nullptr && map == nullptr) return;
    if (depth_ == limits_.depth_max) {
      too_deep_ = true;
      return;
    }
    ++depth_;
    if (list != nullptr) std::ranges::for_each(*list, [this](const Document& element) { take(element); });
    if (map != nullptr) {
      fields_ = std::max(fields_, map->size());
      // Names count.
      elements_ += map->size();
      std::ranges::for_each(*map, [this](const Document::Field& field) { take(field.value); });
    }
    --depth_;
  }

  [[nodiscard]] Result<void> result() const {
    if (too_deep_) return fail(ErrorCode::too_large, "it is nested deeper than " + std::to_string(limits_.depth_max));
    if (fields_ > limits_.fields_max) return more_than("fields of one map", fields_, limits_.fields_max);
    if (elements_ > limits_.elements_max) return more_than("elements", elements_, limits_.elements_max);
    return {};
  }

 private:
  [[nodiscard]] static std::unexpected<Error> more_than(const char* what, std::size_t held, std::size_t most) {
    return fail(ErrorCode::too_large,
                "it holds " + std::to_string(held) + ' ' + what + ", and may hold " + std::to_string(most));
  }

  const DocumentLimits limits_;
  std::size_t depth_ = 0;
  std::size_t elements_ = 0;
  std::size_t fields_ = 0;
  bool too_deep_ = false;
};

const Document k_null;
const Document::List k_empty_list;
const Document::Map k_empty_map;

}  // namespace

const Document* Document::find(std::string_view name) const noexcept {
  const Map* const fields = as<Map>();
  if (fields == nullptr) return nullptr;
  const auto found = std::ranges::find(*fields, name, &Field::name);
  return found == fields->end() ? nullptr : &found->value;
}

const Document& Document::operator[](std::string_view name) const noexcept {
  const Document* const found = find(name);
  return found == nullptr ? k_null : *found;
}

std::uint64_t Document::number() const noexcept {
  if (const auto* value = as<std::uint64_t>()) return *value;
  return 0;
}

double Document::real() const noexcept {
  if (const auto* value = as<double>()) return *value;
  if (const auto* value = as<std::int64_t>()) return static_cast<double>(*value);
  return static_cast<double>(number());
}

bool Document::truth() const noexcept {
  const bool* const value = as<bool>();
  return value != nullptr && *value;
}

std::string_view Document::text() const noexcept {
  const std::string* const value = as<std::string>();
  return value == nullptr ? std::string_view() : *value;
}

std::string_view Document::bytes() const noexcept {
  const Bytes* const value = as<Bytes>();
  return value == nullptr ? text() : std::string_view(value->bytes);
}

const Document::List& Document::list() const& noexcept {
  const List* const value = as<List>();
  return value == nullptr ? k_empty_list : *value;
}

const Document::Map& Document::map() const& noexcept {
  const Map* const value = as<Map>();
  return value == nullptr ? k_empty_map : *value;
}

std::string pack(const Document& document) {
  Sink sink;
  pack_into(sink, document);
  return std::move(sink.bytes);
}

Result<void> check(const Document& document, const DocumentLimits& limits) {
  Measure measure(limits);
  measure.take(document);
  return measure.result();
}

Result<Document> unpack(std::string_view bytes, const DocumentLimits& limits) {
  Builder builder(limits);
  std::size_t taken = 0;
  if (!msgpack::parse(bytes.data(), bytes.size(), taken, builder)) return std::unexpected(builder.error());
  if (taken != bytes.size()) return fail(ErrorCode::corrupt, "there are bytes behind it");
  return builder.take();
}

}  // namespace actable::debug
