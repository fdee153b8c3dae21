#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>

#include "examples/packages/model.h"
#include "examples/packages/threads.h"

namespace packages {

using actable::Result;
using actable::Seq;

Result<void> Model::verify(const actable::Space& space, Seq cut, Findings& findings) {
  std::vector<Found> all(states_.size());
  const Result<void> looked = look(space, cut, all, findings);
  if (!looked) return looked;
  for (const auto& operation : unknown_operations_) check_whole(operation, all, findings);
  const Result<void> keys = check_keys(space, findings);
  if (!keys) return keys;
  for (std::size_t i = 0; i < all.size(); ++i) {
    states_[i] = all[i].state;
    highest_ = std::max(highest_, all[i].state.seq);
  }
  unknown_steps_.clear();
  unknown_operations_.clear();
  return {};
}

Result<void> Model::look(const actable::Space& space, Seq cut, std::vector<Found>& all, Findings& findings) const {
  const unsigned threads = worker_threads();
  std::mutex mutex;
  return in_threads(threads, [&](unsigned t) -> Result<void> {
    Findings own;
    for (std::size_t package = t; package < all.size(); package += threads) {
      const Result<Found> found = look_at(space, package, cut, own);
      if (!found) return std::unexpected(found.error());
      all[package] = *found;
    }
    const std::lock_guard lock(mutex);
    findings.add(own);
    return {};
  });
}

Result<Model::Found> Model::look_at(const actable::Space& space, std::size_t package, Seq cut,
                                    Findings& findings) const {
  const std::string& key = index_.packages()[package].key;
  const State& expected = states_[package];
  std::optional<State> found;
  const Result<bool> visited =
      space.visit(key, [&](const actable::Entry& entry) { found = read(entry, package, findings); });
  if (!visited) return std::unexpected(visited.error());
  if (*visited && !found) return Found{expected};
  findings.packages_present += *visited ? 1 : 0;

  const State state = found.value_or(State{.seq = expected.seq, .update = k_update_none, .present = false});
  if (state.present && state.seq >= cut) {
    findings.problem("package " + key + ": " + describe(state) + " is there, at or above the cut " +
                     std::to_string(cut));
  }
  const bool same = state.present == expected.present && state.seq == expected.seq && state.update == expected.update;
  if (same) return Found{state};
  const std::size_t unknown = explain(package, state);
  if (unknown == k_none) {
    findings.problem("package " + key + ": found " + describe(state) + ", expected " + describe(expected));
  }
  return Found{state, unknown};
}

std::optional<Model::State> Model::read(const actable::Entry& entry, std::size_t package, Findings& findings) const {
  const Package& expected = index_.packages()[package];
  const auto update = update_number(entry.value, expected.stanza);
  if (!update) {
    findings.problem("package " + expected.key + ": its " + std::to_string(entry.value.size()) + " bytes, number " +
                     std::to_string(entry.seq) + ", are none that were ever written");
    return std::nullopt;
  }
  return State{.seq = entry.seq, .update = *update, .present = true};
}

std::size_t Model::explain(std::size_t package, const State& found) const {
  const State& expected = states_[package];
  for (std::size_t i = 0; i < unknown_steps_.size(); ++i) {
    const UnknownStep& unknown = unknown_steps_[i];
    // A known write from after the kill that hit this operation is later than it.
    if (unknown.step.package != package || expected.seq >= unknown.cut) continue;
    const bool put = unknown.step.action == Action::put;
    if (!found.present && !put) return i;
    const bool this_put = found.present && put && found.update == unknown.update;
    if (this_put && found.seq > expected.seq && found.seq < unknown.cut) return i;
  }
  return k_none;
}

void Model::check_whole(const std::vector<std::size_t>& operation, const std::vector<Found>& all,
                        Findings& findings) const {
  // A number that the operation has at least, from those of its steps that are there.
  Seq lowest = 0;
  const auto there = [&](std::size_t position) {
    return all[unknown_steps_[position].step.package].unknown == position;
  };
  for (const std::size_t position : operation) {
    if (!there(position)) continue;
    const std::uint32_t package = unknown_steps_[position].step.package;
    const State& found = all[package].state;
    lowest = std::max(lowest, found.present ? found.seq : states_[package].seq + 1);
  }
  if (lowest == 0) return;
  ++findings.unknown_kept;

  for (const std::size_t position : operation) {
    const Step step = unknown_steps_[position].step;
    const Found& found = all[step.package];
    const bool overwritten = found.unknown != k_none || found.state.seq > lowest;
    const bool erased = step.action == Action::erase && !found.state.present;
    if (there(position) ? found.state.present && found.state.seq != lowest : !overwritten && !erased) {
      findings.problem("package " + index_.packages()[step.package].key + ": a batch is there only in part: found " +
                       describe(found.state) + ", expected the batch's number, at least " + std::to_string(lowest));
    }
  }
}

Result<void> Model::check_keys(const actable::Space& space, Findings& findings) const {
  std::uint64_t scanned = 0;
  actable::Cursor cursor = space.scan();
  for (;;) {
    const Result<bool> more = cursor.next();
    if (!more) return std::unexpected(more.error());
    if (!*more) break;
    ++scanned;
  }
  if (scanned != findings.packages_present || space.size() != scanned) {
    findings.problem("the space has other keys than the packages: " + std::to_string(findings.packages_present) +
                     " packages are there, a scan gives " + std::to_string(scanned) + " keys, size() is " +
                     std::to_string(space.size()));
  }
  return {};
}

std::string Model::describe(const State& state) const {
  if (!state.present) return "nothing (erased)";
  const std::string what =
      state.update == k_update_none ? "the loaded record" : "update " + std::to_string(state.update);
  return what + " (number " + std::to_string(state.seq) + ")";
}

}  // namespace packages
