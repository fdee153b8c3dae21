#pragma once

#include "base/file.h"

#include <memory>

namespace actable::base {

/// A queue that carries out each request before `submit_*` returns, through the
/// file's own `write` and `sync`. It works everywhere; its submitter waits for
/// the disk where io_uring's goes on.
[[nodiscard]] std::unique_ptr<WriteQueue> make_pwrite_queue();

}  // namespace actable::base
