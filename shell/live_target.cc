#include "debug/protocol.h"
#include "shell/interrupt.h"
#include "shell/load_target.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace shell {
namespace {

using actable::debug::Bytes;
using actable::debug::Document;
using Clock = std::chrono::steady_clock;

// Of keys and values in one request: the actor copies so much in a fraction of
// a millisecond.
constexpr std::size_t k_batch_bytes = std::size_t{256} << 10;
// Of a value that has a request for itself, or several; a key fits beside it.
constexpr std::size_t k_part_bytes = std::size_t{512} << 10;
static_assert(k_part_bytes + actable::k_key_bytes_max + 1'024 < actable::debug::k_request_bytes_max);

/// Thread safety: *confined*.
class LiveTarget final : public LoadTarget {
 public:
  LiveTarget(Context& context, std::string space) : context_(context), space_(std::move(space)) {}

  /// Whether the process knows the space, and lets it be written to.
  [[nodiscard]] Got<void> begin() {
    auto answer = ask("put_many", {{"space", space_}, {"entries", Document::List()}});
    if (!answer) return why_not(std::move(answer.error()));
    const auto spaces = context_.ask("spaces");
    if (!spaces) return std::unexpected(spaces.error());
    for (const Document& space : spaces->list()) {
      if (space["name"].text() == space_ && !space["logged"].truth()) logged_ = false;
    }
    if (!logged_) remark_ = "the space is in memory only: nothing of it is on disk";
    return {};
  }

  Got<void> put(KeyValue entry) override {
    const std::size_t bytes = entry.key.size() + entry.value.size();
    if (bytes > k_batch_bytes) {
      if (auto sent = send(); !sent) return sent;
      return put_in_parts(entry);
    }
    if (batch_bytes_ + bytes > k_batch_bytes || batch_.size() == 2 * actable::debug::k_put_many_max) {
      if (auto sent = send(); !sent) return sent;
    }
    batch_bytes_ += bytes;
    batch_.emplace_back(Bytes{std::move(entry.key)});
    batch_.emplace_back(Bytes{std::move(entry.value)});
    return {};
  }

  Got<actable::Seq> finish() override {
    if (auto sent = send(); !sent) return std::unexpected(std::move(sent.error()));
    auto synced = context_.ask("sync");
    if (!synced) return std::unexpected(std::move(synced.error()));
    const auto* const durable = (*synced)["durable"].as<std::uint64_t>();
    if (durable == nullptr || (logged_ && *durable < seq_max_)) return makes_no_sense("of what is on disk");
    return *durable;
  }

 private:
  /// Why it cannot be loaded into. Where there is no such space: which there are.
  [[nodiscard]] std::unexpected<Failure> why_not(Failure refused) {
    if (refused.status != k_status_failed) return std::unexpected(std::move(refused));
    const auto names = context_.spaces();
    if (!names || std::ranges::find(*names, space_) != names->end()) return std::unexpected(std::move(refused));
    return no_space(space_, *names, false);
  }

  [[nodiscard]] static std::unexpected<Failure> makes_no_sense(const std::string& what) {
    return failed("what the process says " + what +
                  " makes no sense: it is of another version, or is no process of a "
                  "store");
  }

  /// Takes an answer to what was sent: `stored` entries, between these two, the
  /// last of which has a number.
  [[nodiscard]] Got<std::uint64_t> take(const Document& answer, std::uint64_t least, std::uint64_t most) {
    const auto* const stored = answer["stored"].as<std::uint64_t>();
    const auto* const seq = answer["seq"].as<std::uint64_t>();
    if (stored == nullptr || seq == nullptr || *stored < least || *stored > most) {
      return makes_no_sense("that it stored");
    }
    // Numbers of different keys need not go up.
    if (*stored != 0 && *seq == 0) return makes_no_sense("that it stored");
    seq_max_ = std::max(seq_max_, *seq);
    return *stored;
  }

  /// Sends what waits. The process takes it entry by entry and says how far it came.
  [[nodiscard]] Got<void> send() {
    while (!batch_.empty()) {
      auto answer = ask("put_many", {{"space", space_}, {"entries", batch_}});
      if (!answer) return std::unexpected(std::move(answer.error()));
      const auto stored = take(*answer, 1, batch_.size() / 2);
      if (!stored) return std::unexpected(stored.error());
      batch_.erase(batch_.begin(), batch_.begin() + static_cast<std::ptrdiff_t>(2 * *stored));
      stored_ += *stored;
    }
    batch_bytes_ = 0;
    return {};
  }

  [[nodiscard]] Got<void> put_in_parts(const KeyValue& entry) {
    std::size_t offset = 0;
    bool last = false;
    while (!last) {
      std::string part = entry.value.substr(offset, k_part_bytes);
      const std::size_t end = offset + part.size();
      last = end == entry.value.size();
      auto answer = ask("put_part", {{"space", space_},
                                     {"key", Bytes{entry.key}},
                                     {"offset", offset},
                                     {"value", Bytes{std::move(part)}},
                                     {"last", last}});
      if (!answer) return std::unexpected(std::move(answer.error()));
      if (auto taken = take(*answer, last ? 1 : 0, last ? 1 : 0); !taken) return std::unexpected(taken.error());
      offset = end;
    }
    ++stored_;
    return {};
  }

  /// Asks again while the disk is slower than we are: nothing was changed then.
  [[nodiscard]] Got<Document> ask(const std::string& command, const Document::Map& arguments) {
    constexpr auto k_patience = std::chrono::seconds(30);
    constexpr auto k_pause = std::chrono::milliseconds(20);
    const auto give_up_at = Clock::now() + k_patience;
    while (true) {
      auto answer = context_.ask(command, arguments);
      if (answer || !answer.error().overloaded || Clock::now() > give_up_at) return answer;
      (void)wait_for(k_pause, context_.descriptor());
      if (interrupted) return failed("interrupted", k_status_interrupted);
    }
  }

  Context& context_;
  const std::string space_;
  // Keys and values in turn.
  Document::List batch_;
  std::size_t batch_bytes_ = 0;
  bool logged_ = true;
  actable::Seq seq_max_ = 0;
};

}  // namespace

Got<std::unique_ptr<LoadTarget>> live_target(Context& context, const std::string& space) {
  auto target = std::make_unique<LiveTarget>(context, space);
  if (auto begun = target->begin(); !begun) return std::unexpected(std::move(begun.error()));
  return target;
}

}  // namespace shell
