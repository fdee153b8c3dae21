#include "examples/packages/model.h"

#include <algorithm>
#include <chrono>

namespace packages {

using actable::Seq;

Model::Model(const PackageIndex& index, const std::vector<Seq>& loaded) : index_(index) {
  states_.reserve(loaded.size());
  for (const Seq seq : loaded) {
    states_.push_back({.seq = seq});
    highest_ = std::max(highest_, seq);
  }
}

void Model::replay(const Journal& journal, Seq cut, std::int64_t killed_ns, Findings& findings) {
  std::vector<Seq> seqs;
  std::int64_t first_lost_ns = killed_ns;
  journal.for_each([&](const Journal::Operation& operation) {
    const JournalEntry& entry = operation.steps.front();
    if (operation.seq == Journal::k_seq_none) return;
    if (operation.seq == 0) return keep_unknown(operation, journal.update_stride(), cut, findings);
    seqs.push_back(operation.seq);
    ++(entry.sync ? findings.sync_acknowledged : findings.async_returned);
    if (operation.seq < cut) return apply(operation, journal.update_stride());
    if (entry.sync) {
      findings.problem("package " + index_.packages()[entry.package].key +
                       ": a write acknowledged as synchronous is not there: its number " +
                       std::to_string(operation.seq) + " is not below the cut " + std::to_string(cut));
    } else {
      ++findings.async_lost;
      first_lost_ns = std::min(first_lost_ns, entry.begun_ns);
    }
  });
  findings.lost_window = std::chrono::nanoseconds(killed_ns - first_lost_ns);
  check_numbers(std::move(seqs), findings);
}

void Model::apply(const Journal::Operation& operation, std::uint64_t stride) {
  std::uint64_t update = operation.first_update;
  for (const JournalEntry& entry : operation.steps) {
    State& state = states_[entry.package];
    if (operation.seq > state.seq) {
      const bool present = entry.action == Action::put;
      state = {.seq = operation.seq, .update = present ? update : k_update_none, .present = present};
    }
    update += stride;
  }
}

void Model::keep_unknown(const Journal::Operation& operation, std::uint64_t stride, Seq cut, Findings& findings) {
  ++findings.unknown;
  if (!operation.last_of_lane) {
    findings.problem("the journal is broken: thread " + std::to_string(operation.lane) +
                     " went on before an operation had returned");
  }
  std::uint64_t update = operation.first_update;
  std::vector<std::size_t>& positions = unknown_operations_.emplace_back();
  for (const JournalEntry& entry : operation.steps) {
    positions.push_back(unknown_steps_.size());
    unknown_steps_.push_back({{entry.package, entry.action}, update, cut});
    update += stride;
  }
}

void Model::check_numbers(std::vector<Seq> seqs, Findings& findings) {
  if (seqs.empty()) return;
  std::ranges::sort(seqs);
  const auto twice = std::ranges::adjacent_find(seqs);
  if (twice != seqs.end()) findings.problem("two writes were given the same number " + std::to_string(*twice));
  if (seqs.front() <= highest_) {
    findings.problem("numbers went back over a restart: " + std::to_string(seqs.front()) + " was given after " +
                     std::to_string(highest_));
  }
  highest_ = std::max(highest_, seqs.back());
}

}  // namespace packages
