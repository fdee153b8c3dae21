#include "base/control_record.h"

#include "base/bytes.h"
#include "base/hash.h"

#include <algorithm>

namespace actable::base {
namespace {

// With the record's length, so that none passes for a part of another.
constexpr std::uint64_t k_salt = 0;

}  // namespace

std::vector<std::byte> seal_control_record(std::uint64_t magic, std::span<const char> fields) {
  std::vector<std::byte> bytes(k_control_head_bytes + fields.size());
  const auto body = std::as_bytes(fields);
  std::ranges::copy(body, bytes.begin() + k_control_head_bytes);
  store_le(bytes.data(), magic);
  store_le(bytes.data() + 8, std::uint64_t{body.size()});
  store_le(bytes.data() + 16, checksum(body, k_salt + body.size()));
  return bytes;
}

std::expected<std::span<const std::byte>, ControlDamage> open_control_record(std::uint64_t magic,
                                                                             std::span<const std::byte> bytes) {
  const auto damaged = [](std::string_view what, std::size_t offset) {
    return std::unexpected(ControlDamage{what, offset});
  };
  if (bytes.size() < k_control_head_bytes || load_le<std::uint64_t>(bytes.data()) != magic) {
    return damaged("not what this file begins with", 0);
  }
  const auto body_bytes = load_le<std::uint64_t>(bytes.data() + 8);
  if (body_bytes != bytes.size() - k_control_head_bytes) return damaged("damaged length", 8);
  const auto body = bytes.subspan(k_control_head_bytes);
  if (load_le<std::uint64_t>(bytes.data() + 16) != checksum(body, k_salt + body_bytes)) {
    return damaged("checksum does not match", 16);
  }
  return body;
}

}  // namespace actable::base
