#pragma once

#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"

namespace actable::test {

/// A way in which a disk fails the log.
struct Failure {
  Call call;
  Fault fault;
};

/// The test case runs once with each.
[[nodiscard]] inline Failure each_failure() {
  return GENERATE(values<Failure>({{Call::write, Fault::io_error},
                                   {Call::write, Fault::no_space},
                                   {Call::write, Fault::short_write},
                                   {Call::sync, Fault::io_error}}));
}

}  // namespace actable::test
