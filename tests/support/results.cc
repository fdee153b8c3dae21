#include "tests/support/results.h"

#include <stdexcept>

namespace actable::test {

void fail_test(const std::string& why) { throw std::runtime_error(why); }

std::string describe(const Error& error) { return std::string(to_string(error.code)) + ": " + error.message; }

}  // namespace actable::test
