// A program that tests start and kill: see kill_client.h for what it does.
//
//   test_store_kill_writer DIRECTORY JOURNAL LIFE SEED

#include "tests/store/kill_client.h"
#include "tests/store/vocabulary.h"
#include "tests/support/seed.h"

#include <cstdlib>

int main(int argc, char* argv[]) {
  using namespace actable;
  using namespace actable::test;
  if (argc != 5) return 2;
  killing::Journal journal(argv[2], false);
  const std::uint64_t seed = std::strtoull(argv[4], nullptr, 0);
  Random random(seed);
  Options options = small_store(argv[1]);
  options.segment_bytes = std::uint64_t{1} << 20;
  options.log_io = random.one_in(2) ? LogIo::pwrite : LogIo::automatic;
  options.write_interval = std::chrono::milliseconds(1 + random.below(10));
  options.sync_interval = options.write_interval + std::chrono::milliseconds(random.below(40));
  killing::live(journal.life(), std::strtoull(argv[3], nullptr, 0), {.seed = seed},
                [&] { return Store::open(options); });
  return 1;
}
