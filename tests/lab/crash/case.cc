#include "tests/lab/crash/case.h"

#include "base/park.h"
#include "store/access.h"
#include "tests/lab/leg.h"
#include "tests/support/results.h"

#include <array>
#include <cstdio>
#include <cstring>
#include <functional>
#include <utility>

namespace actable::lab {
namespace {

using test::must;
using test::Survival;

constexpr std::array k_survivals{Survival::none, Survival::all, Survival::prefix, Survival::some, Survival::torn};
constexpr std::array<const char*, 5> k_survival_names{"nothing", "all", "a prefix", "some blocks", "torn sectors"};
constexpr std::string_view k_segment_prefix = "log-";
constexpr WriteOptions k_sync{.durability = Durability::sync};
// One crash, and so many while it is recovered from, at most.
constexpr unsigned k_crashes_in_a_row = 4;
constexpr std::uint64_t k_further_one_in = 4;

/// FNV-1a.
std::uint64_t hash_of(const test::SimulatedDisk::Image& image) {
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto add = [&hash](unsigned char byte) { hash = (hash ^ byte) * 0x100000001b3; };
  for (const auto& [name, bytes] : image) {
    for (const char c : name) add(static_cast<unsigned char>(c));
    // Words, for speed: every file is a whole number of them, or short.
    std::size_t at = 0;
    for (; at + 8 <= bytes.size(); at += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data() + at, 8);
      hash = (hash ^ word) * 0x100000001b3;
    }
    for (; at < bytes.size(); ++at) add(static_cast<unsigned char>(bytes[at]));
  }
  return hash;
}

/// FNV-1a.
std::uint64_t hash_of(const Content& content) {
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto add = [&hash](std::uint64_t word) { hash = (hash ^ word) * 0x100000001b3; };
  const auto add_text = [&add](std::string_view text) {
    add(text.size());
    for (const char c : text) add(static_cast<unsigned char>(c));
  };
  for (const auto& [key, stored] : content) {
    add_text(key.space);
    add_text(key.key);
    add_text(stored.value);
    add(stored.seq);
  }
  return hash;
}

}  // namespace

std::string describe(const Program& program) {
  std::string text;
  for (std::size_t i = 0; i < program.clients.size(); ++i) {
    text += "client " + std::to_string(i) + ":";
    const auto& steps = program.clients[i];
    for (std::size_t at = 0; at < std::min<std::size_t>(steps.size(), 12); ++at) {
      text += " " + std::string(name_of(steps[at]));
    }
    text += steps.size() > 12 ? " … " + std::to_string(steps.size()) + " steps\n" : "\n";
  }
  return text;
}

/// At a change of the disk: the images that crashes at this moment could leave.
void Case::collect(const World& world, const test::DiskChange& change) {
  if (!random_.one_in(crash_one_in_)) return;
  const std::string where = std::string(change.what) + " " + change.name + " at " + std::to_string(change.offset) +
                            " of " + std::to_string(change.bytes) + " bytes";
  for (std::size_t i = 0; i < k_survivals.size(); ++i) {
    Image image = world.disk.image(k_survivals[i], random_);
    const std::uint64_t hash = hash_of(image);
    mix(hash);
    // Not a note: printing is to change nothing.
    if (print_) std::printf("image %llu\n", static_cast<unsigned long long>(hash));
    // As the one before: nothing was pending.
    if (std::exchange(last_image_, hash) == hash) continue;
    crashes_.push_back({std::move(image), world.history, "after " + where + ", surviving: " + k_survival_names[i]});
  }
}

/// A segment begins with a header at the front of its file. What a crash left
/// spare is not counted: nothing let go of that.
void Case::count_recycled(const test::DiskChange& change) {
  const bool begins = change.what == "write" && change.offset == 0 && change.name.starts_with(k_segment_prefix);
  if (begins && !segments_.insert(change.name).second) ++tally_.segments_recycled;
}

void Case::run_clients(const Program& program, World& world) {
  unsigned others = static_cast<unsigned>(program.clients.size()) - 1;
  bool opened = false;
  std::vector<std::function<void()>> clients;
  for (unsigned i = 0; i < program.clients.size(); ++i) {
    clients.emplace_back([&, i] {
      if (i == 0) {
        world.open();
        const Content found = content_of(*world.store);
        const std::string wrong = difference(found, content_);
        require(wrong.empty(), "a second recovery from the same crash found something else: " + wrong);
        world.make_spaces();
        opened = true;
      }
      world.scheduler.await(
          "opened", [&] { return opened; }, std::nullopt);
      Client client(world, i);
      for (const Step step : program.clients[i]) client.take_step(step);
      if (i != 0) {
        --others;
        return;
      }
      world.scheduler.await(
          "others", [&] { return others == 0; }, std::nullopt);
      const auto returned = world.history.all_returned();
      must(world.store->close());
      world.history.durable(returned);
      world.store.reset();
    });
  }
  world.scheduler.run(std::move(clients));
}

void Case::live(const Program& program) {
  test::Scheduler scheduler(seeds_(), program.switch_one_in);
  scheduler.print_notes(print_);
  Disk disk(scheduler, beginning_ ? beginning_->image : Image{});
  History history;
  history.begin_with(content_, told_);
  // What is begun anew is another store.
  if (!beginning_ || !beginning_->image.contains("STORE")) backup_.clear();
  Disk backup_disk(scheduler, backup_);
  test::RoutedFiles files({{"/simulated", &disk}, {k_backup_directory, &backup_disk}}, disk);
  World world{.scheduler = scheduler,
              .disk = disk,
              .backup_disk = backup_disk,
              .files = files,
              .history = history,
              .options = lab_options(random_),
              .serial = serial_};
  crashes_.clear();
  segments_.clear();
  last_image_ = 0;
  crash_one_in_ = program.crash_one_in;
  disk.watch([&](const test::DiskChange& change) {
    scheduler.note(std::string(change.what) + " " + change.name + " " + std::to_string(change.offset) + " " +
                   std::to_string(change.bytes));
    count_recycled(change);
    collect(world, change);
  });
  const std::string led_here =
      describe(program) + "replay: tests/lab/run crash --replay --seed=" + std::to_string(seed_);
  scheduler.context(led_here);
  run_clients(program, world);
  mix(scheduler.trace_hash());
  for (World::Backup& backup : world.backups) {
    crashes_.push_back({std::move(backup.image), std::move(backup.history), "of nothing: a backup that was made"});
    ++tally_.backups;
  }
  backup_ = backup_disk.image(test::Survival::all, random_);
  serial_ = world.serial;
  tally_.steps += history.size();
  ++tally_.programs;
  const std::string trace = scheduler.trace();
  base::park::simulate(nullptr);

  // Of a short life no change may have been drawn: the next begins as this one did.
  if (crashes_.empty()) return;
  const auto next = static_cast<std::size_t>(random_.below(crashes_.size()));
  Content next_content;
  for (std::size_t i = 0; i < crashes_.size(); ++i) {
    context_ = trace + "crash " + crashes_[i].where + "\n" + led_here;
    try {
      Content found = recover(crashes_[i]);
      if (i == next) next_content = std::move(found);
    } catch (const Found& error) {
      throw Found(std::string(error.what()) + "\nWhat led to it:\n" + context_);
    }
  }
  told_ = crashes_[next].history.highest();
  beginning_ = std::move(crashes_[next]);
  content_ = std::move(next_content);
}

/// Draws one of the disk's changes from now on, each as likely as any other, and has
/// `crash` be what a crash there leaves.
void Case::crash_somewhere(Disk& disk, const Seq& written, std::optional<NextCrash>& crash) {
  disk.watch([&, changes = std::uint64_t{0}](const test::DiskChange& change) mutable {
    if (!random_.one_in(++changes)) return;
    const auto survival = static_cast<std::size_t>(random_.below(k_survivals.size()));
    crash =
        NextCrash{disk.image(k_survivals[survival], random_),
                  std::string(change.what) + " " + change.name + ", surviving: " + k_survival_names[survival], written};
  });
}

/// Recovers from a crash and judges what is there; writes; and crashes again,
/// before that write and after it.
Content Case::recover(const Crash& crash) {
  ++tally_.crashes;
  test::Scheduler scheduler(seeds_(), 16);
  scheduler.print_notes(print_);
  scheduler.context(context_);
  Disk disk(scheduler, crash.image);
  std::optional<NextCrash> next;
  Seq written = 0;
  crash_somewhere(disk, written, next);
  Recovered recovered{.found = {}, .with_write = {}, .told = crash.history.highest()};
  const Options options = lab_options(random_);
  std::string wrong;
  scheduler.run({[&] {
    {
      Store store = must(store::Access::open_unchecked(options, disk));
      const Seq cut = store.stats().recovery.cut;
      recovered.found = content_of(store);
      wrong = crash.history.judge(recovered.found, cut);
      if (!wrong.empty()) {
        wrong += "; the cut was " + std::to_string(cut);
        return;
      }
      written = write_after(store, recovered);
      must(store.close());
    }
  }});
  base::park::simulate(nullptr);
  mix(scheduler.trace_hash());
  mix(hash_of(recovered.found));
  require(wrong.empty(), wrong);
  if (next) recover_again(*next, recovered);
  return recovered.found;
}

/// A write behind a recovery, which it adds to what the next may find. Returns its number.
Seq Case::write_after(Store& store, Recovered& recovered) {
  Space space = must(store.space("s"));
  const std::string value = "crash " + std::to_string(recovered.crashes);
  const Seq seq = must(space.put("after", value, k_sync));
  require(seq > recovered.told, "a number was given out again after crash " + std::to_string(recovered.crashes));
  recovered.with_write = recovered.found;
  recovered.with_write[{"", "s"}];
  recovered.with_write[{"s", "after"}] = {value, seq};
  return seq;
}

/// What the last recovery found is what this one finds, and the write that followed it if
/// it had returned. Then it writes, with a number of its own; and some of these crash once
/// more.
void Case::recover_again(const NextCrash& crash, const Recovered& before) {
  ++tally_.crashes;
  ++tally_.crashes_in_recovery;
  mix(hash_of(crash.image));
  test::Scheduler scheduler(seeds_(), 16);
  scheduler.print_notes(print_);
  const std::string which = "crash " + std::to_string(before.crashes + 1) + " in a row, after " + crash.where;
  scheduler.context(context_ + "\nand " + which);
  Disk disk(scheduler, crash.image);
  std::optional<NextCrash> next;
  Seq written = 0;
  if (before.crashes + 1 < k_crashes_in_a_row && random_.one_in(k_further_one_in)) crash_somewhere(disk, written, next);
  Recovered now{
      .found = {}, .with_write = {}, .told = std::max(before.told, crash.written), .crashes = before.crashes + 1};
  const Options options = lab_options(random_);
  scheduler.run({[&] {
    Store store = must(store::Access::open_unchecked(options, disk));
    now.found = content_of(store);
    written = write_after(store, now);
    must(store.close());
  }});
  base::park::simulate(nullptr);
  mix(scheduler.trace_hash());
  mix(hash_of(now.found));
  if (const std::string wrong = difference(now.found, before.with_write); !wrong.empty()) {
    // The space may have been made, or be there already, before the write was.
    Content with_space = before.found;
    with_space[{"", "s"}];
    const std::string otherwise = difference(now.found, before.found).empty() ? "" : difference(now.found, with_space);
    const bool after_a_write = crash.written != 0;
    require(!after_a_write && otherwise.empty(),
            which + ": what the recovery before had found is changed: " + (after_a_write ? wrong : otherwise));
  }
  tally_.crashes_in_a_row = std::max(tally_.crashes_in_a_row, std::uint64_t{now.crashes});
  if (next) recover_again(*next, now);
}

}  // namespace actable::lab
