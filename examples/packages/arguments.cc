#include "examples/packages/arguments.h"

#include <charconv>
#include <random>
#include <string>
#include <string_view>
#include <system_error>

namespace packages {

using actable::ErrorCode;
using actable::Result;

namespace {

Result<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return actable::fail(ErrorCode::invalid_argument, "not a number: " + std::string(text));
  }
  return number;
}

Result<void> parse_one(std::string_view argument, Arguments& parsed) {
  const auto value_of = [argument](std::string_view name) { return argument.substr(name.size()); };
  if (argument == "--help") {
    parsed.help = true;
  } else if (argument.starts_with("--index=")) {
    parsed.index = value_of("--index=");
  } else if (argument.starts_with("--dir=")) {
    parsed.directory = value_of("--dir=");
  } else if (argument.starts_with("--writer=")) {
    parsed.writer_journal = value_of("--writer=");
  } else if (argument.starts_with("--seed=")) {
    const Result<std::uint64_t> seed = parse_number(value_of("--seed="));
    if (!seed) return std::unexpected(seed.error());
    parsed.seed = *seed;
  } else {
    return actable::fail(ErrorCode::invalid_argument, "unknown argument: " + std::string(argument));
  }
  return {};
}

}  // namespace

Result<Arguments> parse_arguments(std::span<char* const> arguments) {
  Arguments parsed;
  parsed.seed = std::random_device{}();
  for (const char* argument : arguments) {
    const Result<void> one = parse_one(argument, parsed);
    if (!one) return std::unexpected(one.error());
  }
  if (!parsed.help && (parsed.index.empty() || parsed.directory.empty())) {
    return actable::fail(ErrorCode::invalid_argument, "--index and --dir are needed");
  }
  return parsed;
}

}  // namespace packages
