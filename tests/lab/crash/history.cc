#include "tests/lab/crash/history.h"

#include "tests/support/results.h"

#include <algorithm>
#include <set>

namespace actable::lab {
namespace {

using test::must;

std::string name_of(const Key& key) { return "`" + key.key + "` of space `" + key.space + "`"; }

std::string told(const Write& write) {
  return (write.value ? "put of " + std::to_string(write.value->size()) + " bytes" : std::string("erasure")) +
         " with a number above " + std::to_string(write.above) + " and at most " + std::to_string(write.most) +
         (write.done ? "" : ", not returned");
}

bool is(const Write& write, const Stored& stored) {
  // The catalog's records show no number.
  const bool number_fits = stored.seq == 0 || (stored.seq > write.above && stored.seq <= write.most);
  return write.value == stored.value && number_fits;
}

/// What is wrong with one key. `writes` are all of its own.
///
/// Above the cut nothing may show; of the writes certainly below it, none may
/// lie above the one that shows.
std::string judge_key(const std::vector<const Write*>& writes, const std::optional<Stored>& before,
                      const std::optional<Stored>& found, Seq cut) {
  // The highest number that some write certainly below the cut certainly exceeds.
  Seq floor = before ? before->seq : 0;
  const Write* highest = nullptr;
  for (const Write* const write : writes) {
    const bool certain = write->durable || (write->done && write->most < cut);
    if (!certain || (highest != nullptr && write->above < highest->above)) continue;
    highest = write;
    floor = std::max(floor, write->above);
  }
  // In the order of their numbers, a later write hides an earlier one whole.
  const auto may_show = [&](const Write& write) {
    if (write.above + 1 >= cut) return false;
    return highest == nullptr || &write == highest || write.most > highest->most || !write.done;
  };
  const auto shows = [&](const Write* write) {
    if (!may_show(*write)) return false;
    return found ? is(*write, *found) : !write->value;
  };
  if (found && found->seq >= cut) return "shows number " + std::to_string(found->seq) + ", not below the cut";
  if (std::ranges::any_of(writes, shows)) return {};
  if (highest == nullptr && found == before) return {};
  std::string text =
      found ? "holds " + std::to_string(found->value.size()) + " bytes with number " + std::to_string(found->seq)
            : "is absent";
  text += ", which no write explains; before there was ";
  text += before ? "number " + std::to_string(before->seq) : "nothing";
  for (const Write* const write : writes) text += "\n    " + told(*write) + (write->durable ? ", durable" : "");
  return text;
}

}  // namespace

Content content_of(Store& store) {
  Content content;
  for (const std::string& name : store.spaces()) {
    content[{"", name}] = {};
    Space space = must(store.space(name));
    Cursor cursor = space.scan();
    while (must(cursor.next())) {
      const Entry& entry = cursor.entry();
      const bool fresh =
          content.emplace(Key{name, std::string(entry.key)}, Stored{std::string(entry.value), entry.seq}).second;
      test::expect(fresh, "a scan returned a key twice");
    }
  }
  return content;
}

std::string difference(const Content& found, const Content& due) {
  for (const auto& [key, stored] : due) {
    const auto at = found.find(key);
    if (at == found.end()) return name_of(key) + " is missing";
    if (at->second != stored)
      return name_of(key) + " has number " + std::to_string(at->second.seq) + " and not " + std::to_string(stored.seq) +
             ", or another value";
  }
  for (const auto& [key, stored] : found) {
    if (!due.contains(key)) return name_of(key) + " is there with number " + std::to_string(stored.seq);
  }
  return {};
}

void History::begin_with(Content content, Seq told_before) {
  before_ = std::move(content);
  told_before_ = told_before;
  writes_.clear();
}

std::size_t History::begin(Write write) {
  writes_.push_back(std::move(write));
  return writes_.size() - 1;
}

void History::returned(std::size_t write, Seq most) {
  writes_[write].most = most;
  writes_[write].done = true;
}

void History::numbered(std::size_t write, Seq seq) {
  Write& one = writes_[write];
  one.above = seq - 1;
  returned(write, seq);
  if (!one.alone) return;
  // What the same client wrote there before has a lower number.
  for (std::size_t i = 0; i < write; ++i) {
    if (writes_[i].key == one.key && (writes_[i].batch == 0 || writes_[i].batch != one.batch))
      writes_[i].most = std::min(writes_[i].most, seq - 1);
  }
}

void History::durable(const std::vector<std::size_t>& writes) {
  for (const std::size_t write : writes) writes_[write].durable = true;
}

std::vector<std::size_t> History::all_returned() const {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < writes_.size(); ++i) {
    if (writes_[i].done) found.push_back(i);
  }
  return found;
}

std::optional<Stored> History::last(const Key& key) const {
  for (auto write = writes_.rbegin(); write != writes_.rend(); ++write) {
    if (write->key != key || write->refused) continue;
    if (!write->value) return std::nullopt;
    return Stored{*write->value, write->most};
  }
  const auto found = before_.find(key);
  return found == before_.end() ? std::nullopt : std::optional(found->second);
}

Seq History::highest() const noexcept {
  Seq highest = told_before_;
  for (const auto& [key, stored] : before_) highest = std::max(highest, stored.seq);
  for (const Write& write : writes_) highest = std::max(highest, write.has_known_number() ? write.most : write.above);
  return highest;
}

std::vector<Key> History::keys_of(const std::string& space) const {
  std::vector<Key> found;
  for (const auto& [key, writes] : by_key()) {
    if (key.space == space) found.push_back(key);
  }
  return found;
}

std::map<Key, std::vector<const Write*>> History::by_key() const {
  std::map<Key, std::vector<const Write*>> keys;
  for (const auto& [key, stored] : before_) keys[key];
  for (const Write& write : writes_) {
    if (!write.refused) keys[write.key].push_back(&write);
  }
  return keys;
}

/// What is wrong with the numbers that clients were told.
std::string History::judge_numbers() const {
  std::map<Seq, const Write*> by_number;
  for (const Write& write : writes_) {
    if (write.refused || !write.done || !write.has_known_number()) continue;
    const std::string number = "number " + std::to_string(write.most) + " of " + name_of(write.key);
    if (write.most <= told_before_) return number + " is not above those of lives before";
    const auto [other, is_first] = by_number.emplace(write.most, &write);
    const bool one_batch = write.batch != 0 && other->second->batch == write.batch;
    if (!is_first && !one_batch) return number + " was also given to " + name_of(other->second->key);
  }
  return {};
}

std::string History::judge(const Content& found, Seq cut) const {
  if (std::string wrong = judge_numbers(); !wrong.empty()) return wrong;
  const auto at = [](const Content& content, const Key& key) {
    const auto stored = content.find(key);
    return stored == content.end() ? std::nullopt : std::optional(stored->second);
  };
  const auto has_space = [&found](const Key& key) { return key.space.empty() || found.contains({"", key.space}); };
  const auto keys = by_key();
  std::set<std::uint64_t> seen_batches;
  for (const auto& [key, writes] : keys) {
    // The keys of a space that is not there went with it.
    if (!has_space(key)) continue;
    const std::optional<Stored> now = at(found, key);
    if (const std::string wrong = judge_key(writes, at(before_, key), now, cut); !wrong.empty()) {
      return name_of(key) + " " + wrong;
    }
    for (const Write* const write : writes) {
      if (write->batch != 0 && now && now->value == write->value) seen_batches.insert(write->batch);
    }
  }
  for (const auto& [key, stored] : found) {
    if (!keys.contains(key)) return name_of(key) + " was never written";
  }
  for (const Write& write : writes_) {
    if (!write.durable && write.done && write.has_known_number()) continue;
    if (write.durable && write.above + 1 >= cut) return "a durable " + told(write) + " is not below the cut";
  }
  // Of a batch that shows anywhere, every key shows it or a later write.
  for (const Write& write : writes_) {
    if (!seen_batches.contains(write.batch) || !has_space(write.key)) continue;
    const std::optional<Stored> now = at(found, write.key);
    if (now && now->value == write.value) continue;
    const auto may_be_later = [&](const Write& other) {
      return other.key == write.key && other.batch != write.batch && !other.refused && other.most > write.above &&
             other.above + 1 < cut;
    };
    const bool later = std::ranges::any_of(writes_, may_be_later);
    if (!later) return "a batch is there in part: " + name_of(write.key) + " does not show it";
  }
  return {};
}

}  // namespace actable::lab
