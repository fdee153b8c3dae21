#pragma once

#include <actable/store.h>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace actable::lab {

/// A key and the space that it is in. The name of a space is a key too, in the
/// space without a name.
struct Key {
  std::string space;
  std::string key;
  auto operator<=>(const Key&) const = default;
};

/// What is stored under a key.
struct Stored {
  std::string value;
  Seq seq = 0;
  bool operator==(const Stored&) const = default;
};

/// All spaces with all keys. A space is there as a key of the space without a
/// name, with an empty value and number 0.
using Content = std::map<Key, Stored>;

[[nodiscard]] Content content_of(Store& store);

/// How two contents differ, for people; empty if they do not.
[[nodiscard]] std::string difference(const Content& found, const Content& due);

/// One write, as its client knows it. Its number is above `above` and at most
/// `most`; both ends are the same distance from certainty: a client is told the
/// number of some writes, of others it knows what lay before and after.
struct Write {
  Key key;
  /// Empty: erased.
  std::optional<std::string> value;
  Seq above = 0;
  Seq most = std::numeric_limits<Seq>::max();
  /// The call has returned.
  bool done = false;
  /// The call has returned that it is on disk.
  bool durable = false;
  /// Writes of one batch have the same; 0: no batch.
  std::uint64_t batch = 0;

  /// It has returned that it did nothing.
  bool refused = false;
  /// Only one client writes the key.
  bool alone = true;

  [[nodiscard]] bool has_known_number() const noexcept { return most == above + 1; }
};

/// All writes of one life of a store, and what was there before.
///
/// Writes of one key are in the order of their numbers where one client alone
/// writes the key. Keys that several write have known numbers, but for the
/// calls that have not returned.
///
/// Thread safety: *confined* to whoever runs.
class History {
 public:
  /// Forgets all; the life begins with this. No number that a client was told
  /// in lives before is above `told_before`.
  void begin_with(Content content, Seq told_before = 0);

  /// A write that begins: its place in the history.
  [[nodiscard]] std::size_t begin(Write write);
  /// The write has returned, with a number above its `above` and at most `most`.
  void returned(std::size_t write, Seq most);
  /// The write has returned, with this number.
  void numbered(std::size_t write, Seq seq);
  /// The write has not happened, and will not.
  void refused(std::size_t write) { writes_[write].refused = true; }
  [[nodiscard]] const Write& at(std::size_t write) const { return writes_[write]; }
  [[nodiscard]] std::size_t size() const noexcept { return writes_.size(); }

  /// These are on disk.
  void durable(const std::vector<std::size_t>& writes);
  void durable(std::size_t write) { writes_[write].durable = true; }
  /// The writes that have returned.
  [[nodiscard]] std::vector<std::size_t> all_returned() const;

  /// The last write to a key, or what was there before all.
  [[nodiscard]] std::optional<Stored> last(const Key& key) const;

  /// All keys of a space that were there at the beginning or are written.
  [[nodiscard]] std::vector<Key> keys_of(const std::string& space) const;

  /// The highest number that any client has been told, in lives before too.
  [[nodiscard]] Seq highest() const noexcept;

  /// What is wrong with what recovery found, whose cut was `cut`; empty if
  /// nothing: it must be an exact prefix by number, hold all that was durable,
  /// and batches whole; and no number may have been given out twice.
  [[nodiscard]] std::string judge(const Content& found, Seq cut) const;

 private:
  struct ByKey;
  [[nodiscard]] std::map<Key, std::vector<const Write*>> by_key() const;
  [[nodiscard]] std::string judge_numbers() const;

  Content before_;
  Seq told_before_ = 0;
  std::vector<Write> writes_;
};

}  // namespace actable::lab
