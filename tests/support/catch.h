#pragma once

/// Catch2, version 2 (Debian 12) or 3 (Debian 13, Ubuntu 24.04), under one set
/// of names. Tests include this and no header of Catch2's own; what differs
/// between the versions is in namespace `actable::test`.
///
/// Assertions may be made from one thread at a time only: a thread of a test
/// collects what it saw, and the test asserts on it after joining.

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include <string>

namespace actable::test {

#if defined(CATCH_VERSION_MAJOR) && CATCH_VERSION_MAJOR >= 3

using Catch::Approx;
using Catch::Matchers::ContainsSubstring;

#else

using Catch::Detail::Approx;

/// The text has `part` in it: version 2 calls this `Contains`.
inline auto ContainsSubstring(const std::string& part, Catch::CaseSensitive::Choice choice = Catch::CaseSensitive::Yes) {
  return Catch::Matchers::Contains(part, choice);
}

#endif

// These are named alike in both versions.
using Catch::Matchers::EndsWith;
using Catch::Matchers::Equals;
using Catch::Matchers::Matches;
using Catch::Matchers::StartsWith;
using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;

// `GENERATE(values<T>({…}))`, `GENERATE(range(0, 4))` and the like.
using Catch::Generators::chunk;
using Catch::Generators::filter;
using Catch::Generators::from_range;
using Catch::Generators::map;
using Catch::Generators::range;
using Catch::Generators::repeat;
using Catch::Generators::take;
using Catch::Generators::value;
using Catch::Generators::values;

}  // namespace actable::test
