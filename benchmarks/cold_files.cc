#include "benchmarks/cold_files.h"

#include "benchmarks/engine.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

namespace bench {

namespace {

constexpr std::uint64_t k_stat_block_bytes = 512;

/// Pages of the file in the system's cache; none where it cannot be told.
std::uint64_t pages_cached(int fd, std::size_t bytes, std::size_t page_bytes) {
  void* const mapped = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) return 0;
  std::vector<unsigned char> pages((bytes + page_bytes - 1) / page_bytes);
  std::uint64_t cached = 0;
  if (::mincore(mapped, bytes, pages.data()) == 0) {
    cached =
        static_cast<std::uint64_t>(std::ranges::count_if(pages, [](unsigned char page) { return (page & 1) != 0; }));
  }
  ::munmap(mapped, bytes);
  return cached;
}

}  // namespace

ColdFiles forget_files(const std::filesystem::path& directory) {
  const auto page_bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  ColdFiles files;
  std::uint64_t pages = 0, cached = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file()) continue;
    const int fd = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) throw Failure("cannot open " + entry.path().string() + ": " + std::strerror(errno));
    struct stat found {};
    const bool known = ::fstat(fd, &found) == 0;
    // What is not on disk yet cannot be forgotten.
    (void)::fdatasync(fd);
    (void)::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    if (known && found.st_size > 0) {
      const auto bytes = static_cast<std::size_t>(found.st_size);
      files.bytes += std::min<std::uint64_t>(bytes, static_cast<std::uint64_t>(found.st_blocks) * k_stat_block_bytes);
      pages += (bytes + page_bytes - 1) / page_bytes;
      cached += pages_cached(fd, bytes, page_bytes);
    }
    ::close(fd);
  }
  if (pages > 0) files.cached = static_cast<double>(cached) / static_cast<double>(pages);
  return files;
}

}  // namespace bench
