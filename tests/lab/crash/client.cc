#include "tests/lab/crash/client.h"

#include "store/access.h"
#include "tests/lab/leg.h"
#include "tests/support/model.h"
#include "tests/support/results.h"

#include <array>
#include <chrono>

namespace actable::lab {
namespace {

using test::must;
using namespace std::chrono_literals;

constexpr std::uint64_t k_own_keys = 3;
constexpr std::uint64_t k_shared_keys = 2;
constexpr std::array k_spaces{"s", "t"};
constexpr WriteOptions k_sync{.durability = Durability::sync};

}  // namespace

std::string_view name_of(Step step) noexcept {
  static constexpr std::array<std::string_view, k_steps> k_names{
      "put",          "erase",        "batch",           "add",        "drop_space", "sync",
      "round",        "rotate",       "reopen",          "checkpoint", "put_sync",   "put_if_absent",
      "update",       "take",         "compare_and_set", "put_large",  "shared_put", "shared_update",
      "shared_batch", "shared_erase", "breath",          "backup",     "heal"};
  return k_names[static_cast<std::size_t>(step)];
}

Options lab_options(test::Random& random) {
  constexpr std::array k_segment_kib{64, 64, 64, 80, 128};
  Options options;
  options.directory = "/simulated";
  options.shards = 1U << random.below(3);
  options.segment_bytes = static_cast<std::uint64_t>(k_segment_kib.at(random.below(k_segment_kib.size()))) << 10;
  options.staging_bytes = (1 + random.below(3)) << 20;
  // Of the segments before a checkpoint all are kept in some stores, and few in others.
  options.checkpoint_log_bytes_min = std::uint64_t{4'096} << random.below(10);
  return options;
}

void World::open() { store = must(store::Access::open_unchecked(options, files)); }

void World::make_spaces(Seq above) {
  for (const char* name : k_spaces) {
    const bool there = history.last({"", name}).has_value();
    const std::size_t write = there ? 0 : history.begin({.key = {"", name}, .value = "", .above = above});
    must(store->space(name));
    if (!there) history.returned(write, store->last_seq());
  }
}

Seq World::sync() {
  const std::vector<std::size_t> writes = history.all_returned();
  const Seq above = store->last_seq();
  must(store->sync());
  history.durable(writes);
  return above;
}

void Client::take_step(Step step) {
  world_.scheduler.note("client " + std::to_string(number_) + ": " + std::string(name_of(step)));
  switch (step) {
    case Step::put:
      return put(8, {});
    case Step::put_sync:
      return put(8, k_sync);
    case Step::put_large:
      return put(70'000, {});
    case Step::rotate:
      return put(50'000, {});
    case Step::erase:
      return erase();
    case Step::take:
      return take();
    case Step::add:
      return add();
    case Step::put_if_absent:
      return put_if_absent();
    case Step::update:
      return update();
    case Step::compare_and_set:
      return compare_and_set();
    case Step::batch:
      return batch(false);
    case Step::shared_batch:
      return batch(true);
    case Step::shared_put:
      return shared_put();
    case Step::shared_update:
      return shared_update();
    case Step::shared_erase:
      return shared_erase();
    case Step::drop_space:
      return drop_space();
    case Step::sync:
      (void)world_.sync();
      return;
    case Step::round:
      return world_.scheduler.pause(25ms);
    case Step::breath:
      return world_.scheduler.pause(1ms);
    case Step::reopen:
      return reopen();
    case Step::checkpoint:
      return checkpoint();
    case Step::backup:
      return backup();
    case Step::heal:
      return heal();
  }
}

Key Client::own_key() {
  const std::uint64_t i = world_.scheduler.random().below(k_own_keys);
  return {i % 2 == 0 ? "s" : "t", "client" + std::to_string(number_) + "." + std::to_string(i)};
}

std::string Client::fresh_value(std::size_t bytes) {
  std::string value = std::to_string(++world_.serial) + ".";
  value.resize(std::max(bytes, value.size()), static_cast<char>('a' + world_.serial % 26));
  return value;
}

Space Client::space(const Key& key) const { return must(world_.store->space(key.space)); }

std::size_t Client::begin(const Key& key, std::optional<std::string> value, bool alone, std::uint64_t batch) {
  const std::optional<Stored> last = world_.history.last(key);
  Write write{.key = key, .value = std::move(value), .batch = batch, .alone = alone};
  // Of a key that others write too the last in the history need not be below.
  if (alone && last) write.above = number_now(key);
  return world_.history.begin(std::move(write));
}

Seq Client::number_now(const Key& key) const {
  Seq seq = 0;
  (void)must(space(key).visit(key.key, [&seq](const Entry& entry) { seq = entry.seq; }));
  return seq;
}

/// For calls that do not say their number: where they leave a record it does.
void Client::finish_unnumbered(std::size_t write, const Key& key, bool wrote) {
  if (!wrote) return world_.history.refused(write);
  const Seq seq = number_now(key);
  if (seq != 0) return world_.history.numbered(write, seq);
  world_.history.returned(write, world_.store->last_seq());
}

void Client::put(std::size_t bytes, WriteOptions options) {
  const Key key = own_key();
  const std::string value = fresh_value(bytes);
  const std::size_t write = begin(key, value);
  world_.history.numbered(write, must(space(key).put(key.key, value, options)));
  if (options.durability == Durability::sync) world_.history.durable(write);
}

void Client::erase() {
  const Key key = own_key();
  const std::size_t write = begin(key, std::nullopt);
  const bool there = must(space(key).erase(key.key));
  finish_unnumbered(write, key, there);
}

void Client::take() {
  const Key key = own_key();
  const auto last = world_.history.last(key);
  const std::size_t write = begin(key, std::nullopt);
  const auto taken = must(space(key).take(key.key));
  require(taken.has_value() == last.has_value() && (!taken || *taken == last->value), "take took another value");
  finish_unnumbered(write, key, taken.has_value());
}

void Client::add() {
  const Key key{"s", "counter" + std::to_string(number_)};
  const auto last = world_.history.last(key);
  // Any client's own counter goes up by one.
  std::int64_t before = 0;
  for (std::size_t i = last ? 8 : 0; i-- > 0;) before = before << 8 | static_cast<unsigned char>(last->value[i]);
  const std::size_t write = begin(key, test::counter_bytes(before + 1));
  require(must(space(key).add(key.key, 1)) == before + 1, "add came to another sum");
  finish_unnumbered(write, key, true);
}

void Client::put_if_absent() {
  const Key key = own_key();
  const bool there = world_.history.last(key).has_value();
  const std::string value = fresh_value(20);
  const std::size_t write = begin(key, value);
  const bool wrote = must(space(key).put_if_absent(key.key, value));
  require(wrote != there, "put_if_absent did not see what is there");
  finish_unnumbered(write, key, wrote);
}

void Client::update() {
  const Key key = own_key();
  const auto last = world_.history.last(key);
  const std::string value = fresh_value(30);
  const std::size_t write = begin(key, value);
  const auto replace = [&](std::optional<std::string_view> old) {
    require(old.has_value() == last.has_value() && (!old || *old == last->value), "update saw another value");
    return std::optional(value);
  };
  world_.history.numbered(write, must(space(key).update(key.key, replace)));
}

void Client::compare_and_set() {
  const Key key = own_key();
  const std::string value = fresh_value(20);
  const Seq expected = number_now(key);
  const std::size_t write = begin(key, value);
  const bool wrote = must(space(key).compare_and_set(key.key, expected, value));
  require(wrote, "compare_and_set lost though nobody else writes the key");
  finish_unnumbered(write, key, true);
}

void Client::batch(bool shared) {
  const std::uint64_t number = ++world_.serial;
  std::vector<Key> keys{{"s", "batch" + std::to_string(number_)}, {"t", "batch" + std::to_string(number_)}};
  if (shared) keys.push_back(shared_key(world_.scheduler.random().below(k_shared_keys)));
  Batch batch;
  std::vector<std::size_t> writes;
  for (const Key& key : keys) {
    const std::string value = fresh_value(10);
    writes.push_back(begin(key, value, !key.key.starts_with("shared"), number));
    must(batch.put(space(key), key.key, value));
  }
  const Seq seq = must(world_.store->write(batch));
  for (const std::size_t write : writes) world_.history.numbered(write, seq);
}

void Client::shared_put() {
  const Key key = shared_key(world_.scheduler.random().below(k_shared_keys));
  const std::string value = fresh_value(12);
  const std::size_t write = begin(key, value, false);
  world_.history.numbered(write, must(space(key).put(key.key, value)));
}

void Client::shared_update() {
  const Key key = shared_key(world_.scheduler.random().below(k_shared_keys));
  const std::string value = fresh_value(12);
  const std::size_t write = begin(key, value, false);
  const auto replace = [&value](std::optional<std::string_view>) { return std::optional(value); };
  world_.history.numbered(write, must(space(key).update(key.key, replace)));
}

/// As a batch of one: only that says the number of an erasure.
void Client::shared_erase() {
  const Key key = shared_key(world_.scheduler.random().below(k_shared_keys));
  Batch batch;
  must(batch.erase(space(key), key.key));
  const std::size_t write = begin(key, std::nullopt, false);
  world_.history.numbered(write, must(world_.store->write(batch)));
}

void Client::drop_space() {
  world_.scheduler.await(
      "catalog", [this] { return !world_.catalog_busy; }, std::nullopt);
  world_.catalog_busy = true;
  const std::string name = "dropped" + std::to_string(++world_.serial);
  const std::size_t made = world_.history.begin({.key = {"", name}, .value = ""});
  Space space = must(world_.store->space(name));
  world_.history.returned(made, world_.store->last_seq());
  const Key key{name, "inside"};
  const std::string value = fresh_value(8);
  const std::size_t write = world_.history.begin({.key = key, .value = value});
  world_.history.numbered(write, must(space.put(key.key, value)));
  const std::size_t gone = world_.history.begin({.key = {"", name}, .value = std::nullopt});
  require(must(world_.store->drop_space(name)), "a space was not there to be dropped");
  world_.history.returned(gone, world_.store->last_seq());
  world_.catalog_busy = false;
}

void Client::reopen() {
  const std::vector<std::size_t> writes = world_.history.all_returned();
  must(world_.store->close());
  world_.history.durable(writes);
  world_.store.reset();
  world_.open();
}

/// Whatever was written before it returns is told from what was not by the history;
/// the checkpoint itself changes nothing of that.
void Client::checkpoint() {
  store::StoreCore& core = store::Access::core(*world_.store);
  // Of the few keys here a part holds a few.
  core.checkpointer().set_part_bytes(1 + world_.scheduler.random().below(60'000));
  must(world_.store->checkpoint());
}

/// What had returned before is in it; it is judged as what a crash leaves.
void Client::backup() {
  world_.scheduler.await(
      "backup", [this] { return !world_.backup_busy; }, std::nullopt);
  world_.backup_busy = true;
  const std::vector<std::size_t> returned = world_.history.all_returned();
  must(world_.store->backup(k_backup_directory));
  History history = world_.history;
  history.durable(returned);
  world_.backups.push_back({world_.backup_disk.image(test::Survival::none, world_.scheduler.random()), history});
  world_.backup_busy = false;
}

/// A crash before the end finds what the old log has, or all that there was.
void Client::heal() {
  const Key key = own_key();
  const std::string value = fresh_value(8);
  const std::size_t write = begin(key, value);
  world_.disk.fail_next_write();
  const auto put = space(key).put(key.key, value, k_sync);
  require(!put, "a put was reported durable though its write had failed");
  if (put.error().refused()) {
    world_.history.refused(write);
  } else {
    world_.history.numbered(write, number_now(key));
  }
  const std::vector<std::size_t> writes = world_.history.all_returned();
  require(must(world_.store->heal()).began_anew, "the log failed, and nothing was healed");
  world_.history.durable(writes);
}

}  // namespace actable::lab
