#pragma once

#include <cstdio>
#include <cstdlib>

/// A broken invariant of ours ends the process, in release builds too: going on
/// could write wrong data to disk.
#define ACTABLE_ASSERT(condition)                                                                       \
  do {                                                                                                  \
    if (!(condition)) [[unlikely]] {                                                                    \
      std::fprintf(stderr, "actable: broken invariant at %s:%d: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                                     \
    }                                                                                                   \
  } while (false)
