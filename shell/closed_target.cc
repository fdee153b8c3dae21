#include "shell/interrupt.h"
#include "shell/load_target.h"
#include "shell/store_files.h"

#include <actable/store.h>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace shell {
namespace {

using actable::ErrorCode;
using Clock = std::chrono::steady_clock;

/// Thread safety: *confined*.
class ClosedTarget final : public LoadTarget {
 public:
  ClosedTarget(Context& context, actable::Store store, actable::Space space, std::string remark)
      : context_(context), store_(std::move(store)), space_(std::move(space)) {
    remark_ = std::move(remark);
  }
  ~ClosedTarget() override {
    // What was put stays, and is on disk.
    if (!closed_) (void)close();
  }

  Got<void> put(KeyValue entry) override {
    constexpr auto k_patience = std::chrono::seconds(30);
    const auto give_up_at = Clock::now() + k_patience;
    while (true) {
      const auto seq = space_.put(entry.key, entry.value);
      if (seq) break;
      // The disk is slower than we are. It has waited already.
      if (seq.error().code != ErrorCode::overloaded || Clock::now() > give_up_at) return failed(seq.error());
      if (interrupted) return failed("interrupted", k_status_interrupted);
    }
    ++stored_;
    return {};
  }

  Got<actable::Seq> finish() override {
    const auto durable = store_.sync();
    if (!durable) return failed(durable.error());
    if (auto closed = close(); !closed) return std::unexpected(std::move(closed.error()));
    return *durable;
  }

 private:
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
  actable::Space space_;
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

Got<std::unique_ptr<LoadTarget>> closed_target(Context& context, const std::string& space) {
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
  if (!store) return failed(store.error());
  const std::vector<std::string> before = store->spaces();
  auto opened = store->space(space);
  if (!opened) return failed(opened.error());
  const bool made = std::ranges::find(before, space) == before.end();
  return std::make_unique<ClosedTarget>(context, *std::move(store), *std::move(opened),
                                        made ? "the space is new" : std::string());
}

Got<std::unique_ptr<LoadTarget>> LoadTarget::open(Context& context, const std::string& space) {
  return context.live() ? live_target(context, space) : closed_target(context, space);
}

}  // namespace shell
