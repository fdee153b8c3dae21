#pragma once

#include "shell/context.h"
#include "shell/dump_format.h"

#include <actable/options.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace shell {

/// What becomes of a space that is not there: it is made, logged, with the first
/// entry that is put; of closed files only.
enum class IfMissing : std::uint8_t { fail, make };

/// The space that entries are loaded into. One after the other they take the
/// place of what the keys had before.
///
/// Thread safety: *confined*.
class LoadTarget {
 public:
  /// A space of the running process, over its debug socket; or one of the store
  /// that lies in the closed files, which is opened for it. Fails where there is
  /// none of that name and none is to be made, where there is one and a new one is
  /// wanted, where one is to be made by a running process, and where it cannot be
  /// written to.
  [[nodiscard]] static Got<std::unique_ptr<LoadTarget>> open(Context& context, const std::string& space,
                                                             IfMissing if_missing);
  virtual ~LoadTarget() = default;
  LoadTarget(const LoadTarget&) = delete;
  LoadTarget& operator=(const LoadTarget&) = delete;

  /// The entry fits the store's limits. It may wait here until others have come.
  [[nodiscard]] virtual Got<void> put(KeyValue entry) = 0;
  /// Returns when all that was put is on disk. Closed files are closed again.
  [[nodiscard]] virtual Got<actable::Seq> finish() = 0;

  /// Entries that the store has said it has: those before the first that it has not.
  [[nodiscard]] std::uint64_t stored() const noexcept { return stored_; }
  /// What is to be known of the space: "the space is new", say. Empty as a rule.
  [[nodiscard]] const std::string& remark() const noexcept { return remark_; }

 protected:
  LoadTarget() = default;
  std::uint64_t stored_ = 0;
  std::string remark_;
};

// Of each kind.
[[nodiscard]] Got<std::unique_ptr<LoadTarget>> live_target(Context& context, const std::string& space);
[[nodiscard]] Got<std::unique_ptr<LoadTarget>> closed_target(Context& context, const std::string& space,
                                                             IfMissing if_missing);

/// There is no such space, which says what there are.
[[nodiscard]] std::unexpected<Failure> no_space(const std::string& space, const std::vector<std::string>& names,
                                                bool may_make);

}  // namespace shell
