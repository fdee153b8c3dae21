#pragma once

#include <actable/batch.h>
#include <actable/result.h>
#include <actable/space.h>

// Boost would be needed for adaptors of Boost types only.
#if !defined(MSGPACK_NO_BOOST)
#define MSGPACK_NO_BOOST
#endif
#include <msgpack.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace actable {

namespace typed {

/// Containers inside containers that a packed value may have. A recursive type
/// is converted by recursion, and this many steps fit the smallest stack in use.
inline constexpr std::size_t k_depth_max = 256;

/// The key between quotes as messages show it: bytes that are not printable
/// ASCII as \xNN, and no more than the first 48 bytes.
[[nodiscard]] inline std::string printable(std::string_view key) {
  constexpr std::size_t k_shown_bytes_max = 48;
  constexpr std::string_view k_digits = "0123456789abcdef";
  std::string text = "\"";
  for (const char c : key.substr(0, k_shown_bytes_max)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') text += '\\';
    if (byte >= 0x20 && byte < 0x7f) {
      text += c;
    } else {
      text += "\\x";
      text += k_digits[byte >> 4];
      text += k_digits[byte & 0xf];
    }
  }
  text += '"';
  if (key.size() > k_shown_bytes_max) text += "... (" + std::to_string(key.size()) + " bytes)";
  return text;
}

/// Goes over packed bytes before any memory is taken for them. Every element
/// that a container claims to have is at least one byte long, so claims of more
/// elements than there are bytes are refused, whatever their nesting: what
/// unpacking may then allocate is proportional to the bytes.
///
/// Thread safety: *confined*.
class Checker : public msgpack::null_visitor {
 public:
  explicit Checker(std::size_t bytes) : claims_left_(bytes) {}

  bool start_array(std::uint32_t elements) { return enter(elements); }
  bool start_map(std::uint32_t pairs) { return enter(std::uint64_t{pairs} * 2); }
  bool end_array() { return leave(); }
  bool end_map() { return leave(); }

  /// Elements in all containers together.
  [[nodiscard]] std::size_t claims() const noexcept { return claims_; }

 private:
  bool enter(std::uint64_t elements) {
    if (elements > claims_left_ || ++depth_ > k_depth_max) return false;
    claims_left_ -= elements;
    claims_ += elements;
    return true;
  }
  bool leave() {
    --depth_;
    return true;
  }

  std::uint64_t claims_left_;
  std::size_t claims_ = 0;
  std::size_t depth_ = 0;
};

/// Unpacks all of `bytes` to a T. Fails with a reason, without subject, as
///   corrupt    they are not one packed T, whole and nothing behind it
///   no_memory
template <class T>
[[nodiscard]] Result<T> unpack(std::string_view bytes) {
  try {
    Checker checker(bytes.size());
    std::size_t checked = 0;
    if (!msgpack::parse(bytes.data(), bytes.size(), checked, checker)) {
      return fail(ErrorCode::corrupt, "the bytes are cut short or are not msgpack");
    }
    if (checked != bytes.size()) return fail(ErrorCode::corrupt, "there are bytes behind the value");
    msgpack::zone zone(std::clamp<std::size_t>((checker.claims() + 1) * sizeof(msgpack::object), 64, 64 << 10));
    std::size_t offset = 0;
    // Strings stay where they are: the object does not outlive `bytes`.
    const auto refer = [](msgpack::type::object_type, std::size_t, void*) { return true; };
    return msgpack::unpack(zone, bytes.data(), bytes.size(), offset, refer).template as<T>();
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::no_memory, "no memory for the unpacked value");
  } catch (const std::exception& error) {
    return fail(ErrorCode::corrupt, std::string("they are of another type (") + error.what() + ")");
  } catch (...) {
    return fail(ErrorCode::corrupt, "they are of another type");
  }
}

/// Where msgpack packs to.
struct StringSink {
  std::string bytes;
  void write(const char* data, std::size_t size) { bytes.append(data, size); }

  /// A number of `Bits` as msgpack has it: its type, then the highest byte first.
  template <class Bits>
  void write_bits(unsigned char type, Bits bits) {
    bytes.push_back(static_cast<char>(type));
    for (std::size_t shift = sizeof bits * 8; shift > 0;) {
      shift -= 8;
      bytes.push_back(static_cast<char>(bits >> shift & 0xff));
    }
  }
};

}  // namespace typed
}  // namespace actable

// The library packs a floating-point number that happens to be whole as an
// integer. So -0.0 would come back as 0.0, and numbers at the end of the range
// of integers are converted beyond it, which C++ leaves undefined.
template <>
inline msgpack::packer<actable::typed::StringSink>& msgpack::packer<actable::typed::StringSink>::pack_float(float d) {
  m_stream.write_bits(0xca, std::bit_cast<std::uint32_t>(d));
  return *this;
}
template <>
inline msgpack::packer<actable::typed::StringSink>& msgpack::packer<actable::typed::StringSink>::pack_double(double d) {
  m_stream.write_bits(0xcb, std::bit_cast<std::uint64_t>(d));
  return *this;
}

namespace actable {
namespace typed {

/// Fails with a reason, without subject, as
///   invalid_argument  the type's own packing threw
///   no_memory
template <class T>
[[nodiscard]] Result<std::string> pack(const T& value) {
  try {
    StringSink sink;
    msgpack::pack(sink, value);
    return std::move(sink.bytes);
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::no_memory, "no memory for the packed value");
  } catch (const std::exception& error) {
    return fail(ErrorCode::invalid_argument, std::string("packing it threw: ") + error.what());
  } catch (...) {
    return fail(ErrorCode::invalid_argument, "packing it threw");
  }
}

/// Adds which value it was, and what can be done about it.
[[nodiscard]] inline std::unexpected<Error> about(const Space& space, std::string_view key, Error error) {
  std::string message = "space " + printable(space.name()) + ", key " + printable(key);
  if (error.code == ErrorCode::corrupt) {
    message += ": the stored value does not unpack to the type asked for: " + error.message +
               "; it was written as something else: read its bytes through TypedSpace::space(), and put or erase it";
  } else {
    message += ": " + error.message;
  }
  return fail(error.code, std::move(message));
}

/// Carries a failure out of the function that Space::update calls; it never
/// leaves TypedSpace.
struct Refusal {
  Error error;
};

}  // namespace typed

/// One key of a typed space. The views and the reference are valid where the
/// function that hands it out says so.
template <class T>
struct TypedEntry {
  std::string_view key;
  const T& value;
  Seq seq;
};

/// Walks a typed space as `Cursor` walks a space.
///
/// Thread safety: *confined* to one thread at a time.
template <class T>
class TypedCursor {
 public:
  /// Moves to the next key, the first one at first. False at the end. Fails as
  /// `Cursor::next`, and with
  ///   corrupt  the next key's value does not unpack to T; the message names
  ///            it. The call after this one goes on behind it
  [[nodiscard]] Result<bool> next() {
    value_.reset();
    const Result<bool> moved = cursor_.next();
    if (!moved || !*moved) return moved;
    const Entry& entry = cursor_.entry();
    Result<T> value = typed::unpack<T>(entry.value);
    if (!value) return typed::about(space_, entry.key, std::move(value.error()));
    value_.emplace(std::move(*value));
    return true;
  }

  /// Where the last `next` stopped; only after a `next` that returned true.
  /// Valid until the next call on this cursor, or until it is moved.
  [[nodiscard]] TypedEntry<T> entry() const noexcept {
    const Entry& entry = cursor_.entry();
    return {entry.key, *value_, entry.seq};
  }

 private:
  template <class>
  friend class TypedSpace;
  explicit TypedCursor(const Space& space) : space_(space), cursor_(space.scan()) {}

  Space space_;
  Cursor cursor_;
  std::optional<T> value_;
};

/// A space whose values are of one type, packed with msgpack.
///
/// T says how with `MSGPACK_DEFINE(fields...)`, or is a type that msgpack knows
/// already, and owns what it holds: no `std::string_view`, `msgpack::object` or
/// other reference to the packed bytes, which are gone when T is seen. Fields
/// may be added at the end of MSGPACK_DEFINE in a later version: a value
/// written before leaves them as T's constructor does, and a program of the
/// earlier version ignores them. Nesting goes to `typed::k_depth_max`.
///
/// Every function fails as the one of the same name in `Space`; besides, where
/// it reads a value, with
///   corrupt    the bytes do not unpack to T, or there are more of them than
///              T's; the message names the key. Nothing was changed
///   no_memory  for the unpacked value. Nothing was changed
/// and where it writes one, with
///   invalid_argument  T's own packing threw. Nothing was changed
/// A value that claims more than it has costs memory in proportion to its bytes.
///
/// Thread safety: *synchronized*, as Space is.
template <class T>
class TypedSpace {
 public:
  static_assert(std::is_object_v<T> && !std::is_const_v<T> && !std::is_volatile_v<T>);

  /// What is in the space already is looked at when it is read, not now.
  explicit TypedSpace(Space space) noexcept : space_(std::move(space)) {}

  /// The same keys with the packed bytes for values.
  [[nodiscard]] const Space& space() const noexcept { return space_; }
  [[nodiscard]] const std::string& name() const noexcept { return space_.name(); }

  [[nodiscard]] Result<Seq> put(std::string_view key, const T& value, WriteOptions options = {}) {
    const Result<std::string> bytes = packed(key, value);
    if (!bytes) return std::unexpected(bytes.error());
    return space_.put(key, *bytes, options);
  }

  /// Adds the write to a batch, as `Batch::put` does. `Batch::erase` with
  /// `space()` is its counterpart.
  [[nodiscard]] Result<void> put_in(Batch& batch, std::string_view key, const T& value) const {
    const Result<std::string> bytes = packed(key, value);
    if (!bytes) return std::unexpected(bytes.error());
    return batch.put(space_, key, *bytes);
  }

  /// Empty when the key is absent.
  [[nodiscard]] Result<std::optional<T>> get(std::string_view key) const {
    Seq seq = 0;
    return read(key, seq);
  }

  /// Calls `f(const TypedEntry<T>&)` once, on a value unpacked for this call
  /// and valid only inside `f`; `f` may take its time. False, without calling,
  /// when the key is absent.
  template <class F>
  [[nodiscard]] Result<bool> visit(std::string_view key, F&& f) const {
    Seq seq = 0;
    const Result<std::optional<T>> value = read(key, seq);
    if (!value) return std::unexpected(value.error());
    if (!value->has_value()) return false;
    std::forward<F>(f)(TypedEntry<T>{key, **value, seq});
    return true;
  }

  /// Each of `values`, as many as `keys`, becomes the key's value, or empty
  /// where it is absent. Returns how many were found. On failure, one corrupt
  /// value included, none of `values` was touched.
  [[nodiscard]] Result<std::size_t> multi_get(std::span<const std::string_view> keys,
                                              std::span<std::optional<T>> values) const {
    if (values.size() != keys.size()) {
      return fail(ErrorCode::invalid_argument, "space " + typed::printable(name()) + ": multi_get was given " +
                                                   std::to_string(keys.size()) + " keys and " +
                                                   std::to_string(values.size()) + " values: give as many of each");
    }
    std::vector<std::optional<std::string>> bytes(keys.size());
    const Result<std::size_t> found = space_.multi_get(keys, bytes);
    if (!found) return found;
    std::vector<std::optional<T>> unpacked(keys.size());
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (!bytes[i]) continue;
      Result<T> value = typed::unpack<T>(*bytes[i]);
      if (!value) return typed::about(space_, keys[i], std::move(value.error()));
      unpacked[i].emplace(std::move(*value));
    }
    std::ranges::move(unpacked, values.begin());
    return found;
  }

  /// Does not look at the value, so it also removes a corrupt one.
  [[nodiscard]] Result<bool> erase(std::string_view key, WriteOptions options = {}) {
    return space_.erase(key, options);
  }

  [[nodiscard]] Result<bool> put_if_absent(std::string_view key, const T& value, WriteOptions options = {}) {
    const Result<std::string> bytes = packed(key, value);
    if (!bytes) return std::unexpected(bytes.error());
    return space_.put_if_absent(key, *bytes, options);
  }

  /// `expected` is the `seq` of the entry that `visit` or `scan` showed, or 0:
  /// if the key is absent. Does not look at the present value.
  [[nodiscard]] Result<bool> compare_and_set(std::string_view key, Seq expected, const T& value,
                                             WriteOptions options = {}) {
    const Result<std::string> bytes = packed(key, value);
    if (!bytes) return std::unexpected(bytes.error());
    return space_.compare_and_set(key, expected, *bytes, options);
  }

  /// Replaces the value by `f(old)`, atomically: `f` takes a
  /// `std::optional<T>` (empty: absent) and returns one (empty: erase). It may
  /// be called again, and may throw, as in `Space::update`; what it throws
  /// reaches the caller and nothing is changed. It is not called for a corrupt
  /// value. Returns the write's number, 0 if the key was absent and stays so.
  template <class F>
  [[nodiscard]] Result<Seq> update(std::string_view key, F&& f, WriteOptions options = {}) {
    const auto change = [&](std::optional<std::string_view> bytes) -> std::optional<std::string> {
      std::optional<T> old;
      if (bytes) old.emplace(or_refuse(unpacked(key, *bytes)));
      const std::optional<T> value = f(std::move(old));
      if (!value) return std::nullopt;
      return or_refuse(packed(key, *value));
    };
    try {
      return space_.update(key, change, options);
    } catch (typed::Refusal& refusal) {
      return std::unexpected(std::move(refusal.error));
    }
  }

  /// Erases the key and returns what it held, to exactly one caller. Empty, and
  /// nothing written, when the key was absent. A corrupt value stays.
  [[nodiscard]] Result<std::optional<T>> take(std::string_view key, WriteOptions options = {}) {
    std::optional<T> taken;
    const auto keep_and_erase = [&taken](std::optional<T> old) -> std::optional<T> {
      taken = std::move(old);
      return std::nullopt;
    };
    const Result<Seq> erased = update(key, keep_and_erase, options);
    if (!erased) return std::unexpected(erased.error());
    return taken;
  }

  [[nodiscard]] TypedCursor<T> scan() const { return TypedCursor<T>(space_); }

  [[nodiscard]] std::size_t size() const noexcept { return space_.size(); }

  [[nodiscard]] SpaceStats stats() const { return space_.stats(); }

 private:
  /// Unpacks where the record lies; only T outlives the visit.
  [[nodiscard]] Result<std::optional<T>> read(std::string_view key, Seq& seq) const {
    std::optional<Result<T>> value;
    const Result<bool> found = space_.visit(key, [&](const Entry& entry) {
      value.emplace(unpacked(key, entry.value));
      seq = entry.seq;
    });
    if (!found) return std::unexpected(found.error());
    if (!*found) return std::nullopt;
    if (!*value) return std::unexpected(std::move(value->error()));
    return std::optional<T>(std::move(**value));
  }

  [[nodiscard]] Result<T> unpacked(std::string_view key, std::string_view bytes) const {
    Result<T> value = typed::unpack<T>(bytes);
    if (!value) return typed::about(space_, key, std::move(value.error()));
    return value;
  }

  [[nodiscard]] Result<std::string> packed(std::string_view key, const T& value) const {
    Result<std::string> bytes = typed::pack(value);
    if (!bytes) return typed::about(space_, key, std::move(bytes.error()));
    return bytes;
  }

  template <class V>
  [[nodiscard]] static V or_refuse(Result<V> result) {
    if (!result) throw typed::Refusal{std::move(result.error())};
    return std::move(*result);
  }

  Space space_;
};

}  // namespace actable
