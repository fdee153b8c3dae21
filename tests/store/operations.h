#pragma once

#include <actable/store.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace actable::test {

/// One kind of operation on a key, so that a test can say "every operation".
struct Operation {
  std::string name;
  bool writes = false;
  /// It stores the value it is given.
  bool stores_value = false;
  /// It writes only where the key is absent or, for `add`, holds a counter.
  bool needs_absent = false;
  /// The error, or empty when it succeeded. Operations that store nothing
  /// ignore the value.
  std::function<std::optional<Error>(Space&, std::string_view key, std::string_view value)> run{};
};

/// All that `Space` offers for a key. `options` go to those that write.
[[nodiscard]] std::vector<Operation> every_operation(WriteOptions options = {});

}  // namespace actable::test
