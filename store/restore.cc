#include "base/park.h"
#include "base/signals.h"
#include "checkpoint/file_reader.h"
#include "store/catalog.h"
#include "store/checks.h"
#include "store/space_core.h"
#include "store/store_core.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <span>
#include <system_error>
#include <thread>

/// Opening, the part before the log: what a checkpoint holds. Its files are read by
/// several threads where there is much in them; a record goes into its table as one
/// of the log does, and each key is there once.
namespace actable::store {
namespace {

// With less, threads cost more than they bring.
constexpr std::uint64_t k_bytes_for_threads = std::uint64_t{8} << 20;
// Each reads 8 MiB ahead: 64 MiB in all, however many processors there are.
constexpr std::size_t k_restoring_threads_max = 8;
constexpr std::size_t k_head_bytes = checkpoint::k_block_header_bytes;

}  // namespace

Result<wal::Basis> StoreCore::restore(const wal::Identity& identity, bool fresh) {
  auto manifest = checkpoint::manifest_before(files_, options_.directory,
                                              {identity.store_id, identity.hash_seed, identity.first_frame});
  if (!manifest) return std::unexpected(std::move(manifest.error()));
  restoring_ = *std::move(manifest);
  auto there = checkpoint_files_there();
  if (!there) return std::unexpected(std::move(there.error()));
  if (fresh && !there->empty()) {
    return fail(ErrorCode::corrupt, (options_.directory / wal::k_identity_file).string() +
                                        ": offset 0: the file is missing, and the directory holds files of a "
                                        "checkpoint; restore it from a backup, or open an empty directory");
  }
  recovery_meter_.expect(restoring_.bytes());
  if (auto read = read_checkpoint(); !read) return std::unexpected(std::move(read.error()));
  checkpointer_.take_over(restoring_, *std::move(there));
  return wal::Basis{.cut_min = restoring_.seq_end(),
                    .numbers_min = restoring_.cut_max(),
                    .generation = restoring_.log_generation,
                    .first_frame = restoring_.log_first_frame};
}

Result<std::set<std::uint64_t>> StoreCore::checkpoint_files_there() {
  auto names = files_.list(options_.directory);
  if (!names) return std::unexpected(std::move(names.error()));
  std::set<std::uint64_t> numbers;
  for (const std::string& name : *names) {
    if (const auto number = checkpoint::file_number_of(name)) numbers.insert(*number);
  }
  return numbers;
}

Result<void> StoreCore::read_checkpoint() {
  next_space_id_ = std::max(next_space_id_, restoring_.next_space_id);
  for (const checkpoint::SpaceEntry& space : restoring_.spaces) {
    if (auto made = recovered_space(space.id); !made) return std::unexpected(std::move(made.error()));
  }
  std::atomic<std::size_t> next{0};
  std::mutex failure_mutex;
  std::optional<Error> failure;
  const auto read_files = [&]() -> Result<void> {
    auto own = context();
    if (!own) return std::unexpected(std::move(own.error()));
    for (std::size_t i = next.fetch_add(1); i < restoring_.files.size(); i = next.fetch_add(1)) {
      if (auto read = read_checkpoint_file(**own, restoring_.files[i]); !read) return read;
    }
    return {};
  };
  const auto read_some = [&] {
    Result<void> read = guarded("restoring the checkpoint", read_files);
    if (read) return;
    next.store(restoring_.files.size());
    const std::lock_guard lock(failure_mutex);
    if (!failure) failure = std::move(read.error());
  };
  {
    std::vector<std::jthread> helpers;
    const std::size_t useful =
        std::min<std::size_t>({std::thread::hardware_concurrency(), restoring_.files.size(), k_restoring_threads_max});
    for (std::size_t i = 1; i < useful && restoring_.bytes() >= k_bytes_for_threads; ++i) {
      const base::AllSignalsBlocked blocked;
      try {
        helpers.emplace_back([&] {
          // Where there is no place for it, those there are do it.
          if (!context()) return;
          read_some();
          // It was made without a log, and its place may go to a thread that writes.
          contexts_.forget(base::thread_index());
        });
      } catch (const std::system_error&) {
        break;  // As above.
      }
    }
    read_some();
  }
  if (failure) return std::unexpected(*std::move(failure));
  restored_.checkpoint_bytes = restoring_.bytes();
  restored_.checkpoint_records = restoring_.records();
  return {};
}

Result<void> StoreCore::read_checkpoint_file(ThreadContext& context, const checkpoint::FileEntry& file) {
  // Some of the checkpoint is in the tables. Reading has changed nothing on disk.
  ACTABLE_FAIL_POINT("checkpoint.file.reading");
  checkpoint::FileReader reader(files_, options_.directory / checkpoint::file_name(file.number), file,
                                restoring_.store_id);
  return reader.read([&](const checkpoint::Record& record) { return restore(context, file.number, record); },
                     [this](std::uint64_t bytes) { recovery_meter_.pass(bytes); });
}

Result<void> StoreCore::restore(ThreadContext& context, std::uint64_t file, const checkpoint::Record& record) {
  const auto found = recovering_.find(record.space);
  if (found == recovering_.end()) {
    return fail(ErrorCode::corrupt, (options_.directory / checkpoint::file_name(file)).string() + ": record number " +
                                        std::to_string(record.seq) +
                                        " is of a space that the checkpoint does not name; "
                                        "restore the directory from a backup");
  }
  SpaceCore& space = *found->second;
  const std::uint64_t hash = space.hash(record.key);
  // A group that has a newer file since this one was written.
  if (restoring_.groups[checkpoint::group_of(hash)].file != file) return {};
  if (record.space == k_catalog_id) {
    if (!decode_space(record.value)) {
      return fail(ErrorCode::corrupt, "the checkpoint's record number " + std::to_string(record.seq) +
                                          " names a space in a way that this version cannot read");
    }
  }
  return put_recovered(context, space, hash, {record.seq, record.space, false, record.key, record.value});
}

/// What a crash left of a checkpoint that was never published, or of one that was
/// replaced. Files that are not this store's are left alone.
void StoreCore::remove_checkpoint_leftovers() noexcept {
  (void)guarded("removing files", [this]() -> Result<void> {
    auto numbers = checkpoint_files_there();
    if (!numbers) return std::unexpected(std::move(numbers.error()));
    for (const std::uint64_t number : *numbers) {
      if (restoring_.file(number) != nullptr) continue;
      const std::filesystem::path path = options_.directory / checkpoint::file_name(number);
      auto file = files_.open(path, {});
      if (!file) continue;
      std::array<std::byte, k_head_bytes> head;
      auto read = (*file)->read(0, head);
      if (!read || !checkpoint::may_be_ours(std::span(head).first(*read), number, restoring_.store_id)) continue;
      (void)files_.remove(path);
      // Of several such files some are gone.
      ACTABLE_FAIL_POINT("checkpoint.leftover.removed");
    }
    return {};
  });
}

}  // namespace actable::store
