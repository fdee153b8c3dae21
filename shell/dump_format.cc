#include "shell/dump_format.h"

#include "base/hash.h"
#include "store/checks.h"

#include <span>

namespace shell {

std::optional<DumpFormat> dump_format(std::string_view name) noexcept {
  if (name == "json") return DumpFormat::json;
  if (name == "msgpack") return DumpFormat::msgpack;
  return std::nullopt;
}

std::string dump_header(DumpFormat format) { return format == DumpFormat::json ? std::string() : msgpack_header(); }

std::string dump_entry(DumpFormat format, std::string_view key, std::string_view value) {
  return format == DumpFormat::json ? json_line(key, value) : msgpack_entry(key, value);
}

std::string dump_end(DumpFormat format, const DumpSum& sum) {
  return format == DumpFormat::json ? std::string() : msgpack_end(sum);
}

void DumpSum::add(std::string_view bytes) noexcept {
  ++entries;
  checksum = actable::base::checksum(std::as_bytes(std::span(bytes)), checksum);
}

std::unique_ptr<DumpReader> DumpReader::make(DumpFormat format) {
  return format == DumpFormat::json ? json_lines_reader() : msgpack_reader();
}

void DumpReader::append(std::string_view bytes) {
  // Here, and not with each entry: many may lie in one piece.
  bytes_.erase(0, begin_);
  begin_ = 0;
  bytes_.append(bytes);
}

void DumpReader::drop(std::size_t bytes) noexcept {
  begin_ += bytes;
  offset_ += bytes;
}

std::string wrong_with(const KeyValue& entry) {
  namespace store = actable::store;
  if (!store::key_fits(entry.key)) return store::bad_key(entry.key).error().message;
  if (!store::value_fits(entry.value)) return store::bad_value(entry.value).error().message;
  return {};
}

}  // namespace shell
