#include "benchmarks/scratch.h"

#include "benchmarks/engine.h"

#include <stdlib.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

namespace bench {

namespace {

std::filesystem::path usual_parent() {
  const char* chosen = std::getenv("TMPDIR");
  return chosen != nullptr && *chosen != '\0' ? chosen : "/var/tmp";
}

}  // namespace

Scratch::Scratch(const std::filesystem::path& parent) {
  std::string name = ((parent.empty() ? usual_parent() : parent) / "actable-bench-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    throw Failure("cannot make the directory " + name + ": " + std::strerror(errno) + "; choose another with --dir");
  }
  path_ = name;
}

Scratch::~Scratch() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace bench
