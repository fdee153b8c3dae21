#include "benchmarks/engines/kinds.h"
#include "benchmarks/keys.h"

#include <cstring>

namespace bench {

namespace {

class EmptySession final : public LoopingSession<EmptySession> {
 public:
  explicit EmptySession(std::size_t value_bytes) : value_bytes_(value_bytes) {}

  void put(std::string_view, std::string_view) override {}

  bool get(std::string_view key, std::string& value) override {
    if (value.size() != value_bytes_) value.resize(value_bytes_);
    std::memcpy(value.data(), key.data() + key.size() - KeyBlock::k_stamp_bytes, KeyBlock::k_stamp_bytes);
    return is_even(key.back());
  }

  bool erase(std::string_view) override { return true; }

 private:
  /// Of a hexadecimal digit; keys with an odd number are the missing ones.
  static bool is_even(char digit) { return ((digit ^ (digit >> 6)) & 1) == 0; }

  std::size_t value_bytes_;
};

class EmptyEngine : public Engine {
 public:
  explicit EmptyEngine(std::size_t value_bytes) : value_bytes_(value_bytes) {}
  std::unique_ptr<Session> session(Durability) override { return std::make_unique<EmptySession>(value_bytes_); }

 private:
  std::size_t value_bytes_;
};

}  // namespace

EngineKind empty_kind() {
  return {.name = "empty",
          .about = "does nothing",
          .has_log = false,
          .key_bytes_max = k_no_limit,
          .open = [](const EngineOptions& options) -> std::unique_ptr<Engine> {
            return std::make_unique<EmptyEngine>(options.value_bytes);
          }};
}

}  // namespace bench
