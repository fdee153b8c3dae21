#include "examples/packages/writer.h"

#include <actable/store.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "examples/packages/journal.h"
#include "examples/packages/threads.h"
#include "examples/packages/updates.h"

namespace packages {

using actable::Durability;
using actable::ErrorCode;
using actable::Result;
using actable::Seq;

namespace {

/// A quarter of all writes go to this many packages, so that threads meet.
constexpr std::uint32_t k_hot_packages = 32;
/// Synchronous writes come in bursts, and between them is more than the log's
/// sync_interval: the kill hits now one, now the other.
constexpr unsigned k_sync_burst = 20;
constexpr std::chrono::milliseconds k_sync_rest{150};

/// One thread of the writer.
///
/// Thread safety: *confined* to it.
class LaneWriter {
 public:
  LaneWriter(actable::Store& store, actable::Space space, Journal& journal, const PackageIndex& index,
             std::uint32_t lane)
      : store_(store),
        space_(std::move(space)),
        journal_(journal),
        packages_(index.packages()),
        lane_(lane),
        sync_(lane + 1 == journal.plan().lanes),
        random_(journal.plan().seed + lane) {}

  Result<void> run() {
    for (unsigned count = 1;; ++count) {
      const Result<bool> written = write_one();
      if (!written) return std::unexpected(written.error());
      if (!*written) return {};
      if (sync_ && count % k_sync_burst == 0) std::this_thread::sleep_for(k_sync_rest);
    }
  }

 private:
  /// False when the journal is full.
  Result<bool> write_one() {
    std::array<Step, Journal::k_steps_max> room{};
    const std::span<const Step> steps = choose(room);
    const std::optional<Journal::Ticket> ticket = journal_.begin(lane_, steps, sync_);
    if (!ticket) return false;
    const Result<Seq> seq =
        steps.size() == 1 ? write_single(steps.front(), ticket->update) : write_batch(steps, ticket->update);
    if (seq) {
      journal_.finish(*ticket, *seq == 0 ? Journal::k_seq_none : *seq);
    } else if (seq.error().code == ErrorCode::overloaded) {
      // Refused because the disk is slow: nothing was written.
      journal_.finish(*ticket, Journal::k_seq_none);
    } else {
      return std::unexpected(seq.error());
    }
    return true;
  }

  Result<Seq> write_single(Step step, std::uint64_t update) {
    const Package& package = packages_[step.package];
    if (step.action == Action::erase) {
      const auto to_nothing = [](std::optional<std::string_view>) { return std::optional<std::string>{}; };
      return space_.update(package.key, to_nothing, options());
    }
    make_update(update, package.stanza, value_);
    return space_.put(package.key, value_, options());
  }

  Result<Seq> write_batch(std::span<const Step> steps, std::uint64_t update) {
    batch_.clear();
    for (const Step& step : steps) {
      const Result<void> added = add_to_batch(step, update);
      if (!added) return std::unexpected(added.error());
      update += journal_.update_stride();
    }
    return store_.write(batch_, options());
  }

  Result<void> add_to_batch(Step step, std::uint64_t update) {
    const Package& package = packages_[step.package];
    if (step.action == Action::erase) return batch_.erase(space_, package.key);
    make_update(update, package.stanza, value_);
    return batch_.put(space_, package.key, value_);
  }

  /// One step mostly, in one of 16 cases a batch of 2 to 5 packages.
  std::span<const Step> choose(std::array<Step, Journal::k_steps_max>& room) {
    const std::size_t wanted = one_in(16) ? 2 + below(4) : 1;
    std::size_t count = 0;
    for (std::size_t tries = 0; count < wanted && tries < 2 * wanted; ++tries) {
      const std::uint32_t package = choose_package();
      // A package twice in a batch would only hide its first step.
      const auto same = [package](const Step& step) { return step.package == package; };
      if (std::ranges::any_of(room.begin(), room.begin() + static_cast<std::ptrdiff_t>(count), same)) continue;
      room[count++] = {package, one_in(12) ? Action::erase : Action::put};
    }
    return std::span(room).first(count);
  }

  std::uint32_t choose_package() {
    const auto all = static_cast<std::uint32_t>(packages_.size());
    return below(one_in(4) ? std::min(k_hot_packages, all) : all);
  }

  bool one_in(std::uint32_t n) { return below(n) == 0; }
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }
  actable::WriteOptions options() const { return {.durability = sync_ ? Durability::sync : Durability::async}; }

  actable::Store& store_;
  actable::Space space_;
  Journal& journal_;
  std::span<const Package> packages_;
  std::uint32_t lane_;
  bool sync_;
  std::mt19937_64 random_;
  actable::Batch batch_;
  std::string value_;
};

Result<void> open_and_write(const std::filesystem::path& store_directory, Journal& journal, const PackageIndex& index) {
  Result<actable::Store> store = actable::Store::open({.directory = store_directory, .create_if_missing = false});
  if (!store) return std::unexpected(store.error());
  const Result<actable::Space> space = store->space(k_space_name);
  if (!space) return std::unexpected(space.error());
  const actable::RecoveryStats recovery = store->stats().recovery;
  journal.set_opened({recovery.cut, recovery.duration});
  const Result<void> written = in_threads(journal.plan().lanes, [&](unsigned lane) {
    Result<void> result = LaneWriter(*store, *space, journal, index, lane).run();
    if (!result) journal.set_failure(result.error().message);
    return result;
  });
  if (!written) return written;
  return actable::fail(ErrorCode::overloaded, "the journal was full before the kill: give the job more memory or time");
}

}  // namespace

Result<void> write_until_killed(const std::filesystem::path& store_directory, const std::filesystem::path& journal_path,
                                const PackageIndex& index) {
  Result<Journal> journal = Journal::open(journal_path);
  if (!journal) return std::unexpected(journal.error());
  Result<void> result = open_and_write(store_directory, *journal, index);
  if (!result) journal->set_failure(result.error().message);
  return result;
}

}  // namespace packages
