#include "tests/lab/kills/trace.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace actable::lab::kills {
namespace {

using test::killing::Entry;
using test::killing::Found;
using test::killing::KeyId;
using test::killing::Progress;
using test::killing::Verb;

// The newest are what a cut lies among.
constexpr std::size_t k_lines_max = 60;

/// A write to the key. `place` is its number, or that of the write of its
/// thread before it where its own is not known.
struct Line {
  Seq place;
  unsigned thread;
  unsigned position;
  const Entry* entry;
};

bool writes_to(const Entry& entry, unsigned thread, KeyId key) {
  if (entry.verb == Verb::drop) return false;
  if (entry.key == key) return true;
  if (entry.verb != Verb::batch) return false;
  const KeyId witness = test::killing::witness_key(thread, 0);
  return entry.shared == key || (key >= witness && key < witness + test::killing::k_witness_keys);
}

std::string text_of(const Found& found) {
  if (!found.present) return "absent";
  return (found.whole ? "value " : "a torn value, said to be ") + std::to_string(found.nonce) + " with number " +
         std::to_string(found.seq);
}

std::string text_of(const Line& line, KeyId key) {
  const Entry& entry = *line.entry;
  const bool erases = entry.verb == Verb::erase || (entry.verb == Verb::batch && entry.erases && entry.key == key);
  std::string text = "  thread " + std::to_string(line.thread) + ", its write " + std::to_string(line.position) + ": ";
  text += entry.verb == Verb::batch ? "batch, " : "";
  text += entry.verb == Verb::add ? "add, sum " + std::to_string(entry.sum)
          : erases                ? "erase (" + std::to_string(entry.nonce) + ")"
                                  : "put of value " + std::to_string(entry.nonce);
  text += entry.synchronous ? ", synchronous" : "";
  switch (entry.progress.load()) {
    case Progress::numbered:
      return text + ", returned number " + std::to_string(entry.seq) + "\n";
    case Progress::done:
      return text + ", returned, numbered above " + std::to_string(line.place) + "\n";
    case Progress::refused:
      return text + ", returned that it wrote nothing\n";
    case Progress::begun:
    case Progress::none:
      break;
  }
  return text + ", in flight when the process died, numbered above " + std::to_string(line.place) + "\n";
}

std::vector<Line> lines_of(const test::killing::Life& life, KeyId key) {
  std::vector<Line> lines;
  for (unsigned thread = 0; thread < test::killing::k_threads; ++thread) {
    Seq last = 0;
    unsigned position = 0;
    for (const Entry& entry : life.entries[thread]) {
      const Progress progress = entry.progress;
      if (progress == Progress::none) break;
      if (progress == Progress::numbered) last = entry.seq;
      if (writes_to(entry, thread, key)) lines.push_back({last, thread, position, &entry});
      ++position;
    }
  }
  std::ranges::stable_sort(lines, {}, &Line::place);
  return lines;
}

}  // namespace

std::string trace(const test::killing::Life& life, KeyId key, const Found& before,
                  const test::killing::Recovered& after) {
  std::string text = test::killing::name_of(key) + " before the life: " + text_of(before) + "\n";
  const std::vector<Line> lines = lines_of(life, key);
  const std::size_t left_out = lines.size() > k_lines_max ? lines.size() - k_lines_max : 0;
  if (left_out != 0) text += "  (" + std::to_string(left_out) + " earlier writes)\n";
  for (std::size_t i = left_out; i < lines.size(); ++i) text += text_of(lines[i], key);
  text += "  the store had reported as durable: up to " + std::to_string(life.durable.load()) + "\n";
  text += "  recovered: " + text_of(after.found[key]) + "; " +
          (after.cut ? "the cut is " + std::to_string(*after.cut)
                     : "the cut is at most " + std::to_string(after.cut_max) +
                           ", and not known because the process was killed again while it recovered");
  return text + ", and numbers go on above " + std::to_string(after.last_seq);
}

}  // namespace actable::lab::kills
