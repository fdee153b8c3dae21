#include "tests/store/kill_history.h"

#include <algorithm>
#include <utility>

namespace actable::test::killing {
namespace {

constexpr Seq k_unbounded = ~Seq{0};

}  // namespace

/// One write to one key, as far as the journal tells. Its number is above
/// `after` and below `before`, by those of its thread's writes around it.
struct History::Write {
  bool erases = false;
  bool in_flight = false;  // may not have happened; the last of its thread
  bool acknowledged = false;
  std::uint64_t nonce = 0;
  Seq seq = 0;  // 0: not known
  Seq after = 0;
  Seq before = k_unbounded;
  std::int64_t sum = 0;

  /// The cuts above the write, and those not above it, begin at these.
  [[nodiscard]] Seq in_after() const { return seq != 0 ? seq : after + 1; }
  [[nodiscard]] Seq out_up_to() const { return seq != 0 ? seq : before == k_unbounded ? before : before - 1; }
};

/// A journal, sorted by key.
struct History::Told {
  std::array<std::vector<Write>, k_keys> writes;
  std::vector<std::pair<Seq, std::uint64_t>> numbers;  // with the nonce; each write and batch once
  Seq durable = 0;                                     // highest that the store reported
  Seq promised = 0;                                    // the highest write that was reported durable
  std::array<std::vector<Seq>, k_threads> by_thread;
};

void History::note(std::string problem, std::optional<KeyId> key) { problems_.push_back({std::move(problem), key}); }

History::Told History::told_by(Life& life, const Recovered& after) {
  Told told;
  told.durable = life.durable;
  for (unsigned thread = 0; thread < k_threads; ++thread) {
    Seq last = 0;
    // Numbers of a thread go up, so one that is not known lies between its
    // neighbours. These still wait for the later one.
    std::vector<std::pair<KeyId, std::size_t>> open_ended;
    for (Entry& entry : life.entries[thread]) {
      Progress progress = entry.progress;
      if (progress == Progress::none) break;
      if (progress == Progress::refused) continue;
      if (entry.verb == Verb::drop) {
        if (progress == Progress::done) dropped_.push_back(doomed_space(entry.nonce));
        continue;
      }
      // A batch in flight: its witnesses tell whether it is there, whole.
      if (entry.verb == Verb::batch && progress == Progress::begun) {
        const Found& witness = after.found[witness_key(thread, 0)];
        if (!witness.present || witness.nonce != entry.nonce) {
          discarded_.insert(entry.nonce);
          continue;
        }
        entry.seq = witness.seq;
        progress = Progress::numbered;
      }
      Write write;
      write.in_flight = progress == Progress::begun;
      write.acknowledged = entry.synchronous && !write.in_flight && entry.progress != Progress::begun;
      write.nonce = entry.nonce;
      write.seq = progress == Progress::numbered ? entry.seq : 0;
      write.after = last;
      write.sum = entry.sum;
      write.erases = entry.verb == Verb::erase || (entry.verb == Verb::batch && entry.erases);
      // The last write of a key's only writer: not found means not there.
      if (write.in_flight && entry.verb == Verb::put && !is_shared(entry.key) &&
          after.found[entry.key].nonce != entry.nonce) {
        discarded_.insert(entry.nonce);
      }
      if (write.seq != 0) {
        last = write.seq;
        told.numbers.emplace_back(write.seq, entry.nonce);
        told.by_thread[thread].push_back(write.seq);
        if (write.acknowledged || write.seq <= told.durable) told.promised = std::max(told.promised, write.seq);
        for (const auto& [key, at] : open_ended) told.writes[key][at].before = write.seq;
        open_ended.clear();
      } else {
        open_ended.emplace_back(entry.key, told.writes[entry.key].size());
      }
      told.writes[entry.key].push_back(write);
      if (entry.verb != Verb::batch) continue;
      write.erases = false;
      told.writes[entry.shared].push_back(write);
      for (unsigned i = 0; i < k_witness_keys; ++i) told.writes[witness_key(thread, i)].push_back(write);
    }
  }
  std::ranges::sort(told.numbers);
  return told;
}

void History::check_numbers(const Told& told) {
  for (const auto& numbers : told.by_thread) {
    if (!std::ranges::is_sorted(numbers)) note("the numbers of one thread do not go up");
  }
  const auto same = [](const auto& a, const auto& b) { return a.first == b.first; };
  if (std::ranges::adjacent_find(told.numbers, same) != told.numbers.end()) note("two writes have one number");
  if (!told.numbers.empty() && told.numbers.front().first <= highest_) {
    note("number " + std::to_string(told.numbers.front().first) + " after " + std::to_string(highest_) +
         " was seen in an earlier life");
  }
}

void History::check_found(const Recovered& after) {
  for (KeyId key = 0; key < k_keys; ++key) {
    const Found& found = after.found[key];
    if (!found.present) continue;
    if (!found.whole) note(name_of(key) + " holds bytes that nobody wrote", key);
    if (found.seq >= after.cut_max) note(name_of(key) + " has a number that is not below the cut", key);
    if (found.seq > after.last_seq) note(name_of(key) + " has a number above last_seq", key);
    if (!is_counter(key) && discarded_.contains(found.nonce)) {
      note(name_of(key) + " holds what a recovery had discarded", key);
    }
  }
  for (unsigned thread = 0; thread < k_threads; ++thread) {
    for (unsigned i = 1; i < k_witness_keys; ++i) {
      if (after.found[witness_key(thread, i)] != after.found[witness_key(thread, 0)]) {
        note("a batch of thread " + std::to_string(thread) + " is there in part", witness_key(thread, i));
      }
    }
  }
}

/// A key that one thread writes: what was found is its state after some number
/// of its writes, and the cut lies between that write and the next.
CutRanges History::explained_single(const std::vector<Write>& writes, KeyId key, const Found& found) const {
  CutRanges cuts;
  std::size_t acknowledged = 0;
  for (std::size_t i = 0; i < writes.size(); ++i) {
    if (writes[i].acknowledged) acknowledged = i + 1;
  }
  for (std::size_t i = acknowledged; i <= writes.size(); ++i) {
    const Write* last = i == 0 ? nullptr : &writes[i - 1];
    const bool matches = last == nullptr ? found == base_[key]
                         : last->erases  ? !found.present
                                         : found.present && found.nonce == last->nonce &&
                                              (last->seq == 0 || last->seq == found.seq) && found.seq > last->after &&
                                              found.seq < last->before;
    if (!matches) continue;
    const Seq after = last == nullptr ? 0 : last->erases ? last->in_after() : found.seq;
    // The next may not have happened at all if it was in flight.
    const bool ends = i < writes.size() && !writes[i].in_flight;
    cuts.add({.after = after, .up_to = ends ? writes[i].out_up_to() : k_unbounded});
  }
  return cuts;
}

/// A key that all threads write, with numbers that are known but for the last
/// write of each thread.
CutRanges History::explained_shared(std::vector<Write> writes, KeyId key, const Found& found) const {
  CutRanges cuts;
  bool erased_in_flight = false;
  for (Write& write : writes) {
    if (!write.in_flight) continue;
    if (write.erases)
      erased_in_flight = true;
    else if (found.present && found.nonce == write.nonce)
      write.seq = found.seq;
  }
  if (erased_in_flight && !found.present) return CutRanges(CutRanges::Range{});
  std::erase_if(writes, [](const Write& write) { return write.seq == 0; });
  std::ranges::sort(writes, {}, &Write::seq);
  for (std::size_t i = 0; i <= writes.size(); ++i) {
    const Write* last = i == 0 ? nullptr : &writes[i - 1];
    const bool matches = last == nullptr ? found == base_[key]
                         : last->erases  ? !found.present
                                         : found.present && found.nonce == last->nonce && found.seq == last->seq;
    if (!matches) continue;
    cuts.add({.after = last == nullptr ? 0 : last->seq, .up_to = i < writes.size() ? writes[i].seq : k_unbounded});
  }
  return cuts;
}

/// A counter: the sums up to the one found are in, the others are not.
CutRanges History::explained_counter(const std::vector<Write>& adds, KeyId key, const Found& found) const {
  const auto number = static_cast<std::int64_t>(found.nonce);
  const auto base = static_cast<std::int64_t>(base_[key].nonce);
  const auto in_flight = std::ranges::count_if(adds, &Write::in_flight);
  CutRanges::Range range;
  std::int64_t most = base;
  for (const Write& add : adds) {
    if (add.in_flight) continue;
    most = std::max(most, add.sum);
    if (add.sum <= number)
      range.after = std::max(range.after, add.in_after());
    else
      range.up_to = std::min(range.up_to, add.out_up_to());
    if (add.sum > number && add.acknowledged) return {};
  }
  if (number < base || number > most + in_flight) return {};
  return CutRanges(range);
}

void History::remember(const Told& told, Seq cut, const Recovered& after) {
  for (const auto& [seq, nonce] : told.numbers) {
    if (seq >= cut) discarded_.insert(nonce);
    (seq < cut ? kept_ : lost_) += 1;
    highest_ = std::max(highest_, seq);
  }
  base_ = after.found;
  if (after.cut_max != 0) highest_ = std::max({highest_, after.cut_max - 1, told.durable});  // 0: a new store
  for (const Found& found : after.found) highest_ = std::max(highest_, found.seq);
  if (after.cut_max < cut_) note("the cut went back");
  cut_ = after.cut_max;
}

std::vector<Problem> History::verify(Life& life, const Recovered& after) {
  problems_.clear();
  const Told told = told_by(life, after);
  check_numbers(told);
  check_found(after);
  CutRanges cuts({.after = told.promised, .up_to = after.cut_max});
  if (cuts.empty()) {
    note("cut " + std::to_string(after.cut_max) + " is not above " + std::to_string(told.promised) +
         ", which was acknowledged as durable");
  }
  for (KeyId key = 0; key < k_keys; ++key) {
    const Found& found = after.found[key];
    const auto& writes = told.writes[key];
    const CutRanges explained = is_counter(key)  ? explained_counter(writes, key, found)
                                : is_shared(key) ? explained_shared(writes, key, found)
                                                 : explained_single(writes, key, found);
    const std::string what = name_of(key) + (found.present ? " with number " + std::to_string(found.seq) : " absent");
    if (explained.empty()) note(what + " is no state that the writes acknowledged to it allow", key);
    if (after.cut && !explained.contains(*after.cut)) {
      note(what + " fits cuts" + explained.text() + " but not " + std::to_string(*after.cut), key);
    }
    cuts = cuts.common_with(explained);
  }
  if (cuts.empty()) note("no cut explains what was found: it is not a prefix");
  remember(told, after.cut ? *after.cut : cuts.empty() ? after.cut_max : cuts.highest(), after);
  return std::exchange(problems_, {});
}

std::vector<Problem> History::verify_unchanged(const Recovered& after) {
  problems_.clear();
  check_found(after);
  for (KeyId key = 0; key < k_keys; ++key) {
    if (after.found[key] != base_[key]) note(name_of(key) + " changed though nobody wrote it", key);
  }
  remember({}, after.cut_max, after);
  return std::exchange(problems_, {});
}

}  // namespace actable::test::killing
