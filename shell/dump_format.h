#pragma once

#include "shell/failure.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

/// The content of a space as a file: what `dump` writes and `load` reads.
namespace shell {

enum class DumpFormat : std::uint8_t {
  /// One line for each entry: {"key": ..., "value": ...}. What is no UTF-8 is
  /// base64, and its field is called key_base64 or value_base64.
  json,
  /// A map that names format and version, then an array of two bin for each entry,
  /// then a map that says how many there were and what their checksum is. So one
  /// that was cut short anywhere is told from a whole one; lines are not.
  msgpack,
};

/// None where that is the name of no format.
[[nodiscard]] std::optional<DumpFormat> dump_format(std::string_view name) noexcept;

/// What is in a file: a key and its value.
struct KeyValue {
  std::string key{};
  std::string value{};
  friend bool operator==(const KeyValue&, const KeyValue&) = default;
};

/// What the end of a file says of the entries before it.
struct DumpSum {
  std::uint64_t entries = 0;
  /// XXH3 with 64 bits over each entry's bytes, salted with that of those before
  /// it; it starts at 0.
  std::uint64_t checksum = 0;

  /// Another entry, as it is in the file.
  void add(std::string_view bytes) noexcept;
  friend bool operator==(const DumpSum&, const DumpSum&) = default;
};

/// What a file begins with; JSON lines with nothing.
[[nodiscard]] std::string dump_header(DumpFormat format);
/// An entry of the file; a line ends with its new line.
[[nodiscard]] std::string dump_entry(DumpFormat format, std::string_view key, std::string_view value);

/// What a file ends with; JSON lines with nothing.
[[nodiscard]] std::string dump_end(DumpFormat format, const DumpSum& sum);

/// Makes entries of the bytes of a file, piece by piece. Keeps no more of them
/// than one entry may have and the piece that came last. Strict: nothing is
/// passed over, and keys and values have the sizes that a store takes.
///
/// Thread safety: *confined*.
class DumpReader {
 public:
  [[nodiscard]] static std::unique_ptr<DumpReader> make(DumpFormat format);
  virtual ~DumpReader() = default;
  DumpReader(const DumpReader&) = delete;
  DumpReader& operator=(const DumpReader&) = delete;

  /// The next piece.
  void append(std::string_view bytes);
  /// There is no more.
  void end() noexcept { ended_ = true; }

  /// The next entry. None where more bytes are needed for it; after `end`, where
  /// there is none. Fails with what is wrong and where, after which nothing more
  /// can be read.
  [[nodiscard]] virtual Got<std::optional<KeyValue>> take() = 0;

 protected:
  DumpReader() = default;

  [[nodiscard]] std::string_view rest() const noexcept { return std::string_view(bytes_).substr(begin_); }
  [[nodiscard]] bool ended() const noexcept { return ended_; }
  /// Of the file's bytes, how many are before `rest`.
  [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }
  void drop(std::size_t bytes) noexcept;

 private:
  std::string bytes_;
  std::size_t begin_ = 0;
  std::uint64_t offset_ = 0;
  bool ended_ = false;
};

/// What is wrong with the entry's sizes; empty where nothing is.
[[nodiscard]] std::string wrong_with(const KeyValue& entry);

// Of each format.
[[nodiscard]] std::string json_line(std::string_view key, std::string_view value);
[[nodiscard]] std::unique_ptr<DumpReader> json_lines_reader();
[[nodiscard]] std::string msgpack_header();
[[nodiscard]] std::string msgpack_entry(std::string_view key, std::string_view value);
[[nodiscard]] std::unique_ptr<DumpReader> msgpack_reader();
[[nodiscard]] std::string msgpack_end(const DumpSum& sum);

}  // namespace shell
