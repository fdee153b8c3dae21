#pragma once

#include "base/file.h"
#include "checkpoint/manifest.h"

#include <actable/result.h>

#include <cstdint>
#include <filesystem>
#include <functional>

namespace actable::checkpoint {

/// From one directory to another.
struct CopyDirectories {
  const std::filesystem::path& from;
  const std::filesystem::path& to;
};

/// Copies a file of a checkpoint, held block by block to what the manifest says of it,
/// in place of one of that name. It is synced on return, its name is not. `look` is
/// called before each block: fails to end the copying with that error. Fails with
///   corrupt   the file is missing, or not as the manifest says: names file and offset
///   io_error, no_memory
///   or what `look` failed with
/// A part of the copy may be there then.
[[nodiscard]] Result<void> copy_file(base::FileSystem& files, const CopyDirectories& directories,
                                     const FileEntry& entry, std::uint64_t store_id,
                                     const std::function<Result<void>()>& look);

}  // namespace actable::checkpoint
