#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace bench {

/// What figures depend on besides the program.
///
/// Thread safety: *immutable*.
struct Machine {
  std::string processor;
  unsigned cores;
  std::uint64_t cache_bytes;
  std::uint64_t memory_bytes;
  std::string kernel;
  std::string huge_pages;
  std::string compiler;
  std::string build_type;
  /// Threads that wanted a processor in the last minute; 0 is a quiet machine.
  double load;
  /// Type and device of the file system that files go to.
  std::string file_system;
  /// UTC, ISO 8601.
  std::string date;
};

/// Looks at the machine and at the file system below `directory`. What cannot
/// be found out is "unknown" or 0.
[[nodiscard]] Machine this_machine(const std::filesystem::path& directory);

/// Memory of this process that is in RAM.
[[nodiscard]] std::uint64_t resident_bytes();

/// Processor time that all threads of this process have used.
[[nodiscard]] double processor_seconds();

}  // namespace bench
