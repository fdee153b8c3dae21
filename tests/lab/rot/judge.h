#pragma once

#include "tests/lab/rot/damage.h"

namespace actable::lab::rot {

/// What came of a damage. Everything else is a fault of the store's.
enum class Verdict {
  /// Opening says `corrupt`, where, and what to do.
  refused,
  /// All of the log is there.
  harmless,
  /// An exact prefix with all that had been reported to be on disk.
  torn,
  /// What the last sync put on disk is gone, and no frame is left that was
  /// written after it: the limit in docs/log-format.md.
  limit,
  /// An exact prefix of whole rounds: the file, or its end, is gone with all
  /// that came later, so that no frame tells of it.
  shortened,
};

/// Judges what reading the damaged log back gives, without changing it. Throws
/// `Found` when that is neither a proper refusal nor an exact prefix with all
/// that must be there.
[[nodiscard]] Verdict judge(SmallLog& log, const Damage& damage);

/// Opens a store on a copy of the damaged disk. It has to come to what `judge`
/// came to and hold just what the log says; where `use_it`, what is written to it
/// must be there when it is opened again, with all the rest. Throws `Found`
/// otherwise.
void judge_store(SmallLog& log, const Damage& damage, Verdict verdict, bool use_it);

}  // namespace actable::lab::rot
