#pragma once

#include <actable/result.h>

#include <cstdint>
#include <filesystem>
#include <span>

namespace packages {

inline constexpr const char* k_usage =
    "usage: packages-job --index=FILE --dir=DIRECTORY [--seed=NUMBER]\n"
    "\n"
    "  --index  the output of `apt-cache dumpavail`\n"
    "  --dir    for the store and the journals, made where it is missing, and\n"
    "           without a store in it; up to 900 MB are written there, and stay\n"
    "  --seed   repeats the random choices of an earlier run\n";

struct Arguments {
  std::filesystem::path index{};
  std::filesystem::path directory{};
  std::uint64_t seed = 0;
  /// Journal of the writer that this process is to be; empty: it is the job.
  std::filesystem::path writer_journal{};
  bool help = false;

  [[nodiscard]] std::filesystem::path store_directory() const { return directory / "store"; }
};

/// The seed is random where none is given. Fails with invalid_argument.
[[nodiscard]] actable::Result<Arguments> parse_arguments(std::span<char* const> arguments);

}  // namespace packages
