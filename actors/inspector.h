#pragma once

#include "actors/monitor.h"
#include "actors/trace.h"
#include "actors/tree.h"
#include "actors/walk.h"
#include "debug/question.h"

#include <actable/actors.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace actable::actors {

/// What a request of the debug protocol brought along. What is missing, of
/// another kind or left over makes the request invalid.
///
/// Thread safety: *confined*.
class Arguments {
 public:
  explicit Arguments(const debug::Document& map) : map_(map) {}

  [[nodiscard]] std::string text(std::string_view name);
  [[nodiscard]] std::string bytes(std::string_view name);
  [[nodiscard]] std::int64_t integer(std::string_view name);
  [[nodiscard]] bool truth(std::string_view name);
  /// Of bytes only; no more of them than so many.
  [[nodiscard]] std::vector<std::string_view> list_of_bytes(std::string_view name, std::size_t most);
  /// `least` to `most`.
  [[nodiscard]] std::uint64_t number(std::string_view name, std::uint64_t least, std::uint64_t most);
  /// Fails with invalid_argument where not all was as it should be.
  [[nodiscard]] Result<void> check() const;

 private:
  [[nodiscard]] const debug::Document* take(std::string_view name);
  void note(std::string_view name, std::string_view what);

  const debug::Document& map_;
  std::size_t taken_ = 0;
  std::string wrong_;
};

/// Answers what clients of the debug socket ask for, in steps of a millisecond or
/// so. None of its answers waits for anything.
///
/// Thread safety: *confined* to the debug actor.
class Inspector {
 public:
  using Answer = Result<debug::Document>;

  explicit Inspector(std::shared_ptr<Tree> tree) : tree_(std::move(tree)) {}
  ~Inspector();
  Inspector(const Inspector&) = delete;
  Inspector& operator=(const Inspector&) = delete;

  /// The answer; to `sync` whether its caller is to wait for the disk, to
  /// `checkpoint` which pass is to be waited for, to `heal` whether somebody else answers. Fails with
  ///   unsupported       no such command, or one that changes something in a
  ///                     session which did not ask for that
  ///   invalid_argument  its arguments are not those of the command
  ///   or as the store
  [[nodiscard]] Answer answer(const debug::Question& asked);

  void forget(std::uint64_t client);

 private:
  /// What a session puts into one space in many requests, for which the host's
  /// log has two lines.
  struct Loading {
    debug::Asker asker;
    std::string space;
    std::uint64_t keys = 0;
    std::uint64_t bytes = 0;
    /// A value that comes in parts, as far as it has come.
    std::string part_key{};
    std::string part_value{};
  };
  struct Session {
    std::unique_ptr<Walk> walk{};
    std::shared_ptr<Trace> trace{};
    std::shared_ptr<Monitor> monitor{};
    std::optional<Loading> loading{};
    /// What it began is over.
    void end() const;
  };
  struct Command {
    std::string_view name;
    bool writes;
    Answer (Inspector::*run)(const debug::Question&, Arguments&);
  };
  static const Command k_commands[];
  [[nodiscard]] static const Command* find(std::string_view name);
  [[nodiscard]] static std::optional<Error> refusal(const debug::Question& asked);

  // Look.
  [[nodiscard]] Answer stats(const debug::Question& asked, Arguments& arguments);
  [[nodiscard]] Answer spaces(const debug::Question& asked, Arguments& arguments);
  [[nodiscard]] Answer shards(const debug::Question& asked, Arguments& arguments);
  [[nodiscard]] Answer actors(const debug::Question& asked, Arguments& arguments);
  [[nodiscard]] Answer analytics(const debug::Question& asked, Arguments& arguments);
  [[nodiscard]] Answer monitor(const debug::Question& asked, Arguments& arguments);
  [[nodiscard]] Answer config(const debug::Question& asked, Arguments& arguments);
  [[nodiscard]] Answer get(const debug::Question& asked, Arguments& arguments);
  [[nodiscard]] Answer scan(const debug::Question& asked, Arguments& arguments);
  [[nodiscard]] Answer count(const debug::Question& asked, Arguments& arguments);
  [[nodiscard]] Answer big(const debug::Question& asked, Arguments& arguments);
  [[nodiscard]] Answer next(const debug::Question& asked, Arguments& arguments);
  [[nodiscard]] Answer trace(const debug::Question& asked, Arguments& arguments);
  // Change.
  [[nodiscard]] Answer put(const debug::Question& asked, Arguments& arguments);
  [[nodiscard]] Answer erase(const debug::Question& asked, Arguments& arguments);
  [[nodiscard]] Answer add(const debug::Question& asked, Arguments& arguments);
  [[nodiscard]] Answer put_many(const debug::Question& asked, Arguments& arguments);
  [[nodiscard]] Answer put_part(const debug::Question& asked, Arguments& arguments);
  // Operate.
  [[nodiscard]] Answer sync(const debug::Question& asked, Arguments& arguments);
  [[nodiscard]] Answer checkpoint(const debug::Question& asked, Arguments& arguments);
  [[nodiscard]] Answer heal(const debug::Question& asked, Arguments& arguments);
  [[nodiscard]] Answer restart(const debug::Question& asked, Arguments& arguments);
  [[nodiscard]] Answer crash(const debug::Question& asked, Arguments& arguments);
  [[nodiscard]] Answer set(const debug::Question& asked, Arguments& arguments);

  [[nodiscard]] Answer begin(const debug::Question& asked, std::unique_ptr<Walk> walk);
  [[nodiscard]] Answer go_on(Session& session);
  [[nodiscard]] Answer fetch(std::shared_ptr<Trace>& trace) const;
  [[nodiscard]] Answer fetch(std::shared_ptr<Monitor>& monitor) const;
  [[nodiscard]] Answer drill(const debug::Question& asked, Arguments& arguments, Tree::Drill what);
  /// The space, whatever its options. Fails with invalid_argument where an
  /// argument is wrong, and as Tree::existing_space.
  [[nodiscard]] Result<Space> space(Arguments& arguments);
  /// The error for what writes where nothing may be written; none otherwise.
  [[nodiscard]] Result<void> may_write(const Arguments& arguments) const;
  [[nodiscard]] Result<void> tune(const std::string& option, const std::string& value);
  [[nodiscard]] Result<void> set_sampling(const std::string& value);
  /// What the session loads into that space, from now on if it was none.
  [[nodiscard]] Loading& loading(const debug::Question& asked, const std::string& space);
  /// The session has loaded all, and the host's log gets the sum.
  void end_loading(Session& session) const noexcept;
  /// A line in the host's log for what was changed.
  void report(const debug::Asker& asker, const std::string& what) const;

  const std::shared_ptr<Tree> tree_;
  std::map<std::uint64_t, Session> sessions_;
};

}  // namespace actable::actors
