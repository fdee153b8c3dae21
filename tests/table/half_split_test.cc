#include "base/park.h"
#include "tests/support/catch.h"
#include "tests/table/table_fixture.h"

#include <map>
#include <string>
#include <thread>

namespace actable::test {
namespace {

TEST_CASE("a scan beside a split that has stopped halfway finds each key once") {
  constexpr int k_present = 600;
  Table table;
  const auto put = [&table](int i) { table.put("k" + std::to_string(i), "v"); };
  for (int i = 0; i < k_present; ++i) put(i);

  std::map<std::string, int> found;
  table::ScanPosition position;
  const auto step = [&] {
    table.scan(position, [&found](const table::Record& record) { ++found[std::string(record.key())]; });
  };
  step();
  // Stopped before the second half of a split is put into the directory.
  base::park::arm("table.swing", 2);
  std::thread writer([&] {
    base::park::volunteer(true);
    for (int i = k_present; i < 2000; ++i) put(i);
    base::park::give_up();
  });
  const bool parked = base::park::wait_until_parked();
  while (!position.done) step();
  base::park::release();
  writer.join();

  CHECK(parked);
  for (int i = 0; i < k_present; ++i) CHECK(found["k" + std::to_string(i)] == 1);
  for (const auto& [key, times] : found) CHECK(times == 1);
}

}  // namespace
}  // namespace actable::test
