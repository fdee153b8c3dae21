#include "shell/interrupt.h"
#include "shell/load_target.h"
#include "shell/store_files.h"
#include "shell/words.h"

#include <actable/store.h>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

namespace shell {
namespace {

using actable::ErrorCode;
using Clock = std::chrono::steady_clock;

/// The names of spaces, for a message: some of them where there are many.
[[nodiscard]] std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t k_listed_max = 10;
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), k_listed_max); ++i)
    text += (i == 0 ? "" : ", ") + as_word(names[i]);
  return names.size() > k_listed_max ? text + " and " + std::to_string(names.size() - k_listed_max) + " more" : text;
}

/// Thread safety: *confined*.
class ClosedTarget final : public LoadTarget {
 public:
  ClosedTarget(Context& context, actable::Store store) : context_(context), store_(std::move(store)) {}
  ~ClosedTarget() override {
    // What was put stays, and is on disk.
    if (!closed_) (void)close();
  }

  /// The space that is there; or one that is made when there is something to put into it.
  [[nodiscard]] Got<void> choose(const std::string& name, IfMissing if_missing) {
    const std::vector<std::string> names = store_.spaces();
    const bool there = std::ranges::find(names, name) != names.end();
    if (there && if_missing == IfMissing::make) {
      return failed("the space " + as_word(name) + " is there already: leave out the word `new` to load into it");
    }
    if (!there && if_missing == IfMissing::fail) return no_space(name, names, true);
    if (!there) {
      to_make_ = name;
      return {};
    }
    return open(name);
  }

  Got<void> put(KeyValue entry) override {
    if (to_make_) {
      if (auto made = open(*to_make_); !made) return made;
      to_make_.reset();
      remark_ = "the space is new";
    }
    constexpr auto k_patience = std::chrono::seconds(30);
    const auto give_up_at = Clock::now() + k_patience;
    while (true) {
      const auto seq = space_->put(entry.key, entry.value);
      if (seq) break;
      // The disk is slower than we are. It has waited already.
      if (seq.error().code != ErrorCode::overloaded || Clock::now() > give_up_at) return failed(seq.error());
      if (interrupted) return failed("interrupted", k_status_interrupted);
    }
    ++stored_;
    return {};
  }

  Got<actable::Seq> finish() override {
    if (to_make_) remark_ = "no space was made";
    const auto durable = store_.sync();
    if (!durable) return failed(durable.error());
    if (auto closed = close(); !closed) return std::unexpected(std::move(closed.error()));
    return *durable;
  }

 private:
  [[nodiscard]] Got<void> open(const std::string& name) {
    auto opened = store_.space(name);
    if (!opened) return failed(opened.error());
    space_ = *std::move(opened);
    return {};
  }

  [[nodiscard]] Got<void> close() {
    closed_ = true;
    const auto closed = store_.close();
    // They are not what they were when they were read.
    auto read = context_.files().read_again();
    if (!closed) return failed(closed.error());
    return read;
  }

  Context& context_;
  actable::Store store_;
  std::optional<actable::Space> space_;
  // The name of the space that is made with the first entry.
  std::optional<std::string> to_make_;
  bool closed_ = false;
};

/// Files that another user made would be none that the service can open.
[[nodiscard]] Got<void> expect_own(const std::filesystem::path& directory) {
  struct stat status {};
  if (stat(directory.c_str(), &status) == 0 && status.st_uid != geteuid()) {
    return failed(directory.string() + " belongs to user " + std::to_string(status.st_uid) + ", and this is user " +
                      std::to_string(geteuid()) + ", whose files he could not open: run actable-shell as that user",
                  k_status_not_asked);
  }
  return {};
}

}  // namespace

Got<std::unique_ptr<LoadTarget>> closed_target(Context& context, const std::string& space, IfMissing if_missing) {
  const std::filesystem::path& directory = context.settings().directory;
  if (auto own = expect_own(directory); !own) return std::unexpected(std::move(own.error()));
  const auto segment_bytes = context.files().segment_bytes();
  if (!segment_bytes) return std::unexpected(segment_bytes.error());
  actable::Options options;
  options.directory = directory;
  options.create_if_missing = false;
  options.log_nice = 0;
  // Not for long, so that an interrupt is noticed.
  options.write_deadline = std::chrono::milliseconds(200);
  // As the service has it.
  if (*segment_bytes != 0) options.segment_bytes = *segment_bytes;
  auto store = actable::Store::open(options);
  if (!store) {
    // It may have changed the files before it failed.
    (void)context.files().read_again();
    return failed(store.error());
  }
  auto target = std::make_unique<ClosedTarget>(context, *std::move(store));
  // Opening a large store takes long, and cannot be broken off.
  if (interrupted) return failed("interrupted", k_status_interrupted);
  if (auto chosen = target->choose(space, if_missing); !chosen) return std::unexpected(std::move(chosen.error()));
  return target;
}

std::unexpected<Failure> no_space(const std::string& space, const std::vector<std::string>& names, bool may_make) {
  const std::string near = nearest(space, names);
  std::string message = "there is no space " + as_word(space);
  if (!near.empty()) message += "; do you mean " + as_word(near) + "?";
  message += names.empty() ? "; there is none at all" : "; there are: " + listed(names);
  if (may_make) {
    message +=
        "; to have it made, logged, write the word `new` behind the format (a service that has a space of that "
        "name in memory only does not start then)";
  }
  return failed(std::move(message));
}

Got<std::unique_ptr<LoadTarget>> LoadTarget::open(Context& context, const std::string& space, IfMissing if_missing) {
  if (!context.live()) return closed_target(context, space, if_missing);
  if (if_missing == IfMissing::make) {
    return failed("load: a running process makes its spaces itself: `new` is for closed files", k_status_not_asked);
  }
  return live_target(context, space);
}

}  // namespace shell
