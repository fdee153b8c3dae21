#include "tests/lab/failures/life.h"

#include <chrono>

namespace actable::lab {
namespace {

using namespace std::chrono_literals;

constexpr WriteOptions k_sync{.durability = Durability::sync};
// Of a segment's 64 KiB, so that the next one goes into another segment.
constexpr std::size_t k_most_of_a_segment = 50'000;
// More than a staging buffer holds.
constexpr std::size_t k_oversize = 70'000;
// Of a segment of a MiB so little that the log fills the rest with zeros ahead of
// its use; three of them are more than the first mapping of the store's memory.
constexpr std::size_t k_much = 300'000;

/// A store that is made, a checkpoint that lets the log use its first segments again, and
/// a first backup.
void first_life(Client& client) {
  client.open();
  client.make_space("gone");
  for (int i = 0; i < 3; ++i) client.put({"gone", "filler" + std::to_string(i)}, k_most_of_a_segment);
  client.drop_space("gone");
  client.sync();

  client.make_space("s");
  client.make_space("t");
  client.put({"s", "a"}, 8);
  client.put({"s", "b"}, 8, k_sync);
  client.put_if_absent({"s", "c"});
  client.compare_and_set({"s", "a"});
  client.add({"s", "counter"});
  client.update({"t", "d"});
  client.read({"s", "a"});
  client.batch({{"s", "batch"}, {"t", "batch"}});
  client.pause(25ms);
  client.erase({"s", "b"});
  client.take({"s", "c"});
  client.batch({{"s", "batch"}, {"t", "batch"}, {"s", "a"}}, k_sync);
  client.put({"t", "large"}, k_oversize);
  client.pause(250ms);
  client.checkpoint();
  client.pause(25ms);
  for (int i = 0; i < 4; ++i) client.put({"t", "filler" + std::to_string(i)}, k_most_of_a_segment);
  client.put({"s", "last"}, 100, k_sync);
  client.backup();
  client.close();
}

/// A store that is opened from its checkpoint, has gaps between its writes, grows,
/// writes its checkpoint anew, and is copied over its first backup: with another
/// checkpoint, and with a longer log alone. Then the backup is opened.
void second_life(Client& client) {
  client.leave_behind("ckpt-00000077");
  client.open(script_options(std::uint64_t{1} << 20));
  client.add({"s", "counter"});
  client.pause(3s);
  client.put({"s", "after a rest"}, 8);
  client.update({"s", "a"}, k_sync);
  for (int i = 0; i < 3; ++i) {
    client.put({"t", "much" + std::to_string(i)}, k_much);
    client.pause(25ms);
  }
  client.make_space("late");
  for (int i = 0; i < 60; ++i) client.put({"late", "key" + std::to_string(i)}, 16);
  client.batch({{"s", "batch"}, {"late", "batch"}});
  client.scan("late");
  client.sync();
  client.erase({"t", "large"});
  client.checkpoint();
  client.put({"t", "much"}, k_much);
  client.backup();
  client.put({"t", "more"}, 100);
  client.backup();
  client.close();
  client.open_backup();
}

/// A store whose log fails twice and that is healed.
void healed_life(Client& client) {
  client.open();
  client.put({"s", "a"}, 8);
  client.checkpoint();
  client.put({"t", "large"}, k_oversize);
  client.batch({{"s", "batch"}, {"t", "batch"}});
  client.fail_and_heal({"s", "in flight"});
  client.put({"s", "after"}, 8, k_sync);
  client.erase({"t", "large"});
  client.checkpoint();
  client.put({"s", "b"}, 8);
  client.fail_and_heal({"s", "in flight"});
  client.put({"t", "after"}, 8, k_sync);
  client.sync();
  client.close();
}

/// A store that must be there.
void last_life(Client& client) {
  Options options = script_options();
  options.create_if_missing = false;
  client.open(options);
  client.put({"s", "works"}, 8, k_sync);
  client.read({"s", "works"});
  client.close();
}

}  // namespace

Options script_options(std::uint64_t segment_bytes) {
  Options options;
  options.directory = "/simulated";
  options.shards = 1;
  options.segment_bytes = segment_bytes;
  // So that a checkpoint leaves more segments than are needed again.
  options.checkpoint_log_bytes_min = 4'096;
  options.staging_bytes = std::size_t{1} << 20;
  // Waiting for memory takes real time here.
  options.write_deadline = 5ms;
  // So that messages are made.
  options.log = [](LogLevel, std::string_view) {};
  return options;
}

void run_script(Client& client) {
  first_life(client);
  second_life(client);
  healed_life(client);
  last_life(client);
}

}  // namespace actable::lab
