#include "tests/support/model.h"

#include <utility>

namespace actable::test {
namespace {

std::optional<std::int64_t> counter_number(std::string_view bytes) {
  if (bytes.size() != 8) return std::nullopt;
  std::uint64_t number = 0;
  for (unsigned i = 0; i < 8; ++i) {
    number |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  return static_cast<std::int64_t>(number);
}

}  // namespace

std::string counter_bytes(std::int64_t number) {
  std::string bytes(8, '\0');
  for (unsigned i = 0; i < 8; ++i) bytes[i] = static_cast<char>(static_cast<std::uint64_t>(number) >> (8 * i));
  return bytes;
}

std::optional<std::string> Model::get(const std::string& key) const {
  const auto at = live_.find(key);
  return at == live_.end() ? std::nullopt : std::optional(at->second.value);
}

Seq Model::seq(const std::string& key) const {
  const auto at = live_.find(key);
  return at == live_.end() ? 0 : at->second.seq;
}

void Model::put(const std::string& key, std::string value) { live_[key].value = std::move(value); }

bool Model::erase(const std::string& key) { return live_.erase(key) != 0; }

bool Model::put_if_absent(const std::string& key, std::string value) {
  if (live_.contains(key)) return false;
  put(key, std::move(value));
  return true;
}

bool Model::compare_and_set(const std::string& key, Seq expected, std::string value) {
  if (seq(key) != expected) return false;
  put(key, std::move(value));
  return true;
}

std::optional<std::int64_t> Model::add(const std::string& key, std::int64_t delta) {
  const std::optional<std::string> old = get(key);
  const std::optional<std::int64_t> number = old ? counter_number(*old) : std::optional<std::int64_t>(0);
  std::int64_t sum = 0;
  if (!number || __builtin_add_overflow(*number, delta, &sum)) return std::nullopt;
  put(key, counter_bytes(sum));
  return sum;
}

std::optional<std::string> Model::take(const std::string& key) {
  std::optional<std::string> old = get(key);
  live_.erase(key);
  return old;
}

bool Model::numbered(const std::string& key, Seq seq) {
  Seq& last = numbers_[key];
  const bool higher = seq > last;
  last = seq;
  if (const auto at = live_.find(key); at != live_.end()) at->second.seq = seq;
  return higher;
}

}  // namespace actable::test
