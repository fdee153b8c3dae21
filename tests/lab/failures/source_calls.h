#pragma once

#include <cstddef>
#include <filesystem>

namespace actable::lab {

/// Reads the sources of the floors above the seam below `root`, and holds them
/// against the list of the lines that call it, which says for each how it shows
/// in a run (sites.h). Throws `Found` for a line that the list lacks, and for
/// an entry without its line or without a site. Returns how many lines there are.
[[nodiscard]] std::size_t check_source_calls(const std::filesystem::path& root);

}  // namespace actable::lab
