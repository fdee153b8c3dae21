#pragma once

#include "checkpoint/manifest.h"
#include "wal/identity.h"

namespace actable::store {

/// The identity, with the log beginning where it does: behind a healing that is what the
/// manifest says, until the file `STORE` says it too (store/healing.h).
[[nodiscard]] inline wal::Identity with_beginning(wal::Identity identity,
                                                  const checkpoint::Manifest& manifest) noexcept {
  if (manifest.log_generation > identity.first_generation) {
    identity.first_generation = manifest.log_generation;
    identity.first_frame = manifest.log_first_frame;
  }
  return identity;
}

}  // namespace actable::store
