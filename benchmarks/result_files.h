#pragma once

#include "benchmarks/machine.h"
#include "benchmarks/report.h"
#include "benchmarks/result.h"
#include "benchmarks/settings.h"

#include <iosfwd>
#include <vector>

/// What the program writes for other programs. The names of the fields are the
/// public face: they may be added to, not changed.
namespace bench {

/// `{"machine": {...}, "settings": {...}, "engines": [...], "results": [...],
/// "summaries": [...]}`; results are those of single runs.
void write_json(std::ostream& out, const Machine& machine, const Settings& settings, const EmptyLoop& empty_loop,
                const std::vector<Result>& results);

/// A line of names, then a line a run, with the fields that JSON has in
/// "results".
void write_csv(std::ostream& out, const std::vector<Result>& results);

}  // namespace bench
