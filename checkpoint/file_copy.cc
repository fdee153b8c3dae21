#include "checkpoint/file_copy.h"

#include "base/block_appender.h"
#include "checkpoint/file_reader.h"
#include "checkpoint/format.h"

#include <string>

namespace actable::checkpoint {

Result<void> copy_file(base::FileSystem& files, const CopyDirectories& directories, const FileEntry& entry,
                       std::uint64_t store_id, const std::function<Result<void>()>& look) {
  const std::string name = file_name(entry.number);
  const std::filesystem::path to = directories.to / name;
  if (auto removed = files.remove(to); !removed && removed.error().code != ErrorCode::not_found) return removed;
  auto writer = base::BlockAppender::open(files, to, 0);
  if (!writer) return std::unexpected(std::move(writer.error()));
  FileReader reader(files, directories.from / name, entry, store_id);
  const auto take = [&](std::span<const std::byte> block) -> Result<void> {
    if (auto may = look(); !may) return may;
    return (*writer)->append(block);
  };
  if (auto copied = reader.read_blocks(take); !copied) return copied;
  return (*writer)->finish();
}

}  // namespace actable::checkpoint
