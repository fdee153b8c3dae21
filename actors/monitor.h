#pragma once

#include "actors/feed.h"
#include "store/sampler.h"

namespace actable::actors {

/// Operations that were sampled, for somebody who wants to see them.
using Monitor = Feed<store::Sample>;

}  // namespace actable::actors
