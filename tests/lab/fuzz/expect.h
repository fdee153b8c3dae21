#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

namespace actable::lab::fuzz {

/// Ends the process unless `holds`: what the fuzzer takes for a finding.
inline void expect(bool holds, const std::string& what) {
  if (holds) return;
  std::fprintf(stderr, "fuzz: FOUND: %s\n", what.c_str());
  std::abort();
}

}  // namespace actable::lab::fuzz
