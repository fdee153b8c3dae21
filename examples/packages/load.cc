#include "examples/packages/load.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <span>

#include "examples/packages/format.h"
#include "examples/packages/progress.h"
#include "examples/packages/threads.h"

namespace packages {

using actable::Result;
using actable::Seq;

namespace {

/// Packages that a thread takes at once.
constexpr std::size_t k_chunk = 256;

/// Puts packages[begin] up to packages[end], and keeps their numbers.
Result<void> put_range(actable::Space& space, std::span<const Package> packages, std::span<Seq> seqs) {
  for (std::size_t i = 0; i < packages.size(); ++i) {
    const Result<Seq> seq = space.put(packages[i].key, packages[i].stanza);
    if (!seq) return std::unexpected(seq.error());
    seqs[i] = *seq;
  }
  return {};
}

}  // namespace

Result<std::vector<Seq>> load(actable::Store& store, actable::Space& space, const PackageIndex& index, Report& report) {
  const std::span<const Package> packages = index.packages();
  std::vector<Seq> seqs(packages.size());
  std::atomic<std::size_t> next{0};
  Progress progress("loading", packages.size());
  const auto begin = Clock::now();
  const Result<void> put = in_threads(worker_threads(), [&](unsigned) -> Result<void> {
    for (;;) {
      // relaxed: only hands out ranges.
      const std::size_t first = next.fetch_add(k_chunk, std::memory_order_relaxed);
      if (first >= packages.size()) return {};
      const std::size_t count = std::min(k_chunk, packages.size() - first);
      const Result<void> done = put_range(space, packages.subspan(first, count), std::span(seqs).subspan(first, count));
      if (!done) return done;
      progress.advance(count);
    }
  });
  const auto last_put = Clock::now();
  if (!put) return std::unexpected(put.error());
  const Result<Seq> synced = store.sync();
  const auto on_disk = Clock::now();
  if (!synced) return std::unexpected(synced.error());
  progress.finish();

  report.add("loaded", grouped(packages.size()) + " records, " + megabytes(index.payload_bytes()) + " in " +
                           duration_text(last_put - begin) + ": " + rate(packages.size(), last_put - begin, "records") +
                           ", " + bandwidth(index.payload_bytes(), last_put - begin));
  report.add("last record on disk", duration_text(on_disk - begin) + " after the first put, " +
                                        duration_text(on_disk - last_put) + " after the last");
  return seqs;
}

}  // namespace packages
