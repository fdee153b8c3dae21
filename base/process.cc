#include "base/process.h"

#include "base/descriptor.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

namespace actable::base {

bool has_died(pid_t process) noexcept {
  if (process == 0) return false;
  if (kill(process, 0) != 0) return errno == ESRCH;
  std::array<char, 32> name{};
  std::snprintf(name.data(), name.size(), "/proc/%ld/stat", static_cast<long>(process));
  const Descriptor file(::open(name.data(), O_RDONLY | O_CLOEXEC));
  std::array<char, 512> text{};
  const ssize_t got = file.valid() ? ::read(file.number(), text.data(), text.size()) : 0;
  // "1234 (name) S …", where the name may hold anything.
  const std::string_view line(text.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  const std::size_t name_end = line.rfind(") ");
  if (name_end == std::string_view::npos || name_end + 2 >= line.size()) return false;
  return line[name_end + 2] == 'Z' || line[name_end + 2] == 'X';
}

}  // namespace actable::base
