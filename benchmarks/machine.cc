#include "benchmarks/machine.h"

#include <stdlib.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <system_error>
#include <thread>

namespace bench {

namespace {

constexpr const char* k_unknown = "unknown";

/// The rest of the line after the first colon, of the first line that begins
/// with `name`.
std::string field_of(const char* file, const std::string& name) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(name)) continue;
    const std::size_t colon = line.find(':');
    const std::size_t begin = line.find_first_not_of(" \t", colon == std::string::npos ? line.size() : colon + 1);
    if (begin != std::string::npos) return line.substr(begin);
  }
  return k_unknown;
}

std::uint64_t memory_bytes() {
  return static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::uint64_t cache_bytes() {
  const long bytes = ::sysconf(_SC_LEVEL3_CACHE_SIZE);
  return bytes > 0 ? static_cast<std::uint64_t>(bytes) : 0;
}

std::string kernel() {
  utsname names{};
  return ::uname(&names) == 0 ? std::string(names.sysname) + " " + names.release : k_unknown;
}

/// The kernel writes the choice in brackets: "always [madvise] never".
std::string huge_pages() {
  std::ifstream in("/sys/kernel/mm/transparent_hugepage/enabled");
  std::string line;
  std::getline(in, line);
  const std::size_t begin = line.find('['), end = line.find(']');
  return begin == std::string::npos || end == std::string::npos ? k_unknown : line.substr(begin + 1, end - begin - 1);
}

bool is_below(const std::string& path, const std::string& mount) {
  return mount == "/" || path == mount || path.starts_with(mount + "/");
}

/// From the mount whose path is the longest that leads to the directory.
std::string file_system(const std::filesystem::path& directory) {
  std::error_code ignored;
  const std::string path = std::filesystem::weakly_canonical(directory, ignored).string();
  std::ifstream in("/proc/self/mounts");
  std::string found = k_unknown;
  std::size_t longest = 0;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string device, mount, type;
    words >> device >> mount >> type;
    if (mount.size() < longest || !is_below(path, mount)) continue;
    longest = mount.size();
    found = type + " on " + device;
  }
  return found;
}

std::string date() {
  const time_t now = ::time(nullptr);
  tm utc{};
  ::gmtime_r(&now, &utc);
  char text[32];
  ::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

double load() {
  double last_minute = 0;
  return ::getloadavg(&last_minute, 1) == 1 ? last_minute : 0;
}

std::string build_type() {
#if defined(__OPTIMIZE__)
  const bool optimized = true;
#else
  const bool optimized = false;
#endif
  const std::string name = ACTABLE_BENCH_BUILD_TYPE;
  return (name.empty() ? "no build type" : name) + (optimized ? "" : ", NOT OPTIMIZED");
}

}  // namespace

Machine this_machine(const std::filesystem::path& directory) {
  return {.processor = field_of("/proc/cpuinfo", "model name"),
          .cores = std::thread::hardware_concurrency(),
          .cache_bytes = cache_bytes(),
          .memory_bytes = memory_bytes(),
          .kernel = kernel(),
          .huge_pages = huge_pages(),
          .compiler = "GCC-compatible " __VERSION__,
          .build_type = build_type(),
          .load = load(),
          .file_system = file_system(directory),
          .date = date()};
}

std::uint64_t resident_bytes() {
  std::ifstream in("/proc/self/statm");
  std::uint64_t total_pages = 0, resident_pages = 0;
  in >> total_pages >> resident_pages;
  return resident_pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

double processor_seconds() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

}  // namespace bench
