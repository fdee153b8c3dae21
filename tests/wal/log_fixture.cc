#include "tests/wal/log_fixture.h"

#include "base/uring_queue.h"
#include "wal/frame_reader.h"

#include <algorithm>

namespace actable::test {

Records below(Seq cut, Records records) {
  std::erase_if(records, [cut](const Record& record) { return record.seq >= cut; });
  std::ranges::sort(records);
  return records;
}

std::string difference(Records found, Records due) {
  std::ranges::sort(found);
  std::ranges::sort(due);
  const auto [f, d] = std::ranges::mismatch(found, due);
  if (f == found.end() && d == due.end()) return {};
  const auto named = [](const Record& record) {
    return "`" + record.key.substr(0, 40) + "` number " + std::to_string(record.seq);
  };
  std::string text = std::to_string(found.size()) + " records where " + std::to_string(due.size()) + " are due; ";
  if (d == due.end() || (f != found.end() && f->seq < d->seq)) return text + named(*f) + " should not be there";
  if (f != found.end() && f->seq == d->seq) return text + named(*d) + " is " + named(*f) + " or has other content";
  return text + named(*d) + " is missing";
}

Options log_options(LogIo io) {
  Options options;
  options.directory = "/simulated";
  options.log_io = io;
  options.write_interval = std::chrono::milliseconds(0);
  options.sync_interval = std::chrono::hours(1);
  options.segment_bytes = std::uint64_t{64} << 10;
  options.staging_bytes = std::size_t{1} << 20;
  return options;
}

std::vector<LogIo> every_log_io() {
  std::vector<LogIo> found{LogIo::pwrite};
  const auto uring = base::make_uring_queue();
  if (uring || uring.error().code != ErrorCode::unsupported) found.push_back(LogIo::io_uring);
  return found;
}

namespace {

Record copy_of(const wal::LogRecord& record) {
  return {record.seq, std::string(record.key), std::string(record.value), record.space, record.tombstone};
}

}  // namespace

Result<Found> look(base::FileSystem& files, const Options& options) {
  auto identity = wal::read_identity(files, options.directory);
  if (!identity) return std::unexpected(identity.error());
  if (!*identity) return fail(ErrorCode::not_found, "no identity");
  auto segments = wal::list_segments(files, options.directory, (*identity)->store_id);
  if (!segments) return std::unexpected(segments.error());
  Found found;
  const auto take = wal::each_record([&found](const wal::LogRecord& record) -> Result<void> {
    found.records.push_back(copy_of(record));
    return {};
  });
  auto end = wal::replay(options.directory, **identity, *segments, take);
  if (!end) return std::unexpected(end.error());
  found.end = std::move(*end);
  std::ranges::sort(found.records);
  return found;
}

std::vector<FrameOnDisk> frames_on(SimulatedDisk& disk, const Options& options) {
  const auto identity = must(wal::read_identity(disk, options.directory));
  if (!identity) fail_test("no identity");
  auto segments = must(wal::list_segments(disk, options.directory, identity->store_id));
  std::ranges::sort(segments, std::less<>{}, [](const wal::SegmentFile& s) { return s.header.generation; });
  std::vector<FrameOnDisk> frames;
  for (wal::SegmentFile& segment : segments) {
    wal::FrameReader reader(*must(segment.opened()), segment.bytes, identity->store_id);
    for (std::uint64_t at = base::k_block_bytes; at < segment.bytes;) {
      const auto frame = must(reader.frame_at(at));
      if (frame && frame->header.generation == segment.header.generation) {
        frames.push_back({segment.path.filename(), at, frame->header});
      }
      at += frame ? wal::frame_bytes(frame->header.payload_bytes) : base::k_block_bytes;
    }
  }
  return frames;
}

Result<void> Life::open(base::FileSystem& files, const Options& options) {
  wal::Recovery recovery;
  recovery.begin = [this](const wal::Identity& identity, bool) -> Result<wal::Basis> {
    hash_seed_ = identity.hash_seed;
    return {};
  };
  recovery.apply = wal::each_record([this](const wal::LogRecord& record) -> Result<void> {
    recovered_.push_back(copy_of(record));
    return {};
  });
  auto log = wal::Log::open(options, files, epochs_, recovery);
  if (!log) return std::unexpected(log.error());
  log_ = std::move(*log);
  std::ranges::sort(recovered_);
  return {};
}

Life::Life(base::FileSystem& files, Options options) { must(open(files, options)); }

Result<std::unique_ptr<Life>> Life::begin(base::FileSystem& files, const Options& options) {
  std::unique_ptr<Life> life(new Life);
  if (auto opened = life->open(files, options); !opened) return std::unexpected(opened.error());
  return life;
}

Result<Seq> Life::try_stage(Records records, const std::function<Seq(const Draw&)>& number) {
  const unsigned index = base::thread_index();
  wal::Stager* const stager = log_->stager(index);
  base::Epochs::Slot* const slot = epochs_.slot(index);
  if (stager == nullptr || slot == nullptr) return fail(ErrorCode::no_memory, "no memory for a thread");
  std::size_t bytes = 0;
  for (const Record& record : records) bytes += wal::record_bytes(record.key.size(), record.value.size());

  Seq seq = 0;
  bool wake = false;
  while (seq == 0) {
    {
      const base::WritePin pin(epochs_, *slot);
      if (log_->ready(*stager, bytes)) {
        const Draw draw = [&](Seq floor) { return epochs_.draw(*slot, pin.epoch(), floor); };
        seq = number ? number(draw) : draw(0);
        for (Record& record : records) {
          record.seq = seq;
          wal::append(*stager, pin.epoch(), {seq, record.space, record.tombstone, record.key, record.value});
        }
        wake = log_->needs_wake(*stager);
      }
    }
    if (seq != 0) break;
    if (auto reserved = log_->reserve(*stager, bytes); !reserved) {
      log_->unreserve(*stager);
      return std::unexpected(reserved.error());
    }
  }
  if (wake) log_->wake();
  const std::lock_guard lock(mutex_);
  std::ranges::move(records, std::back_inserter(written_));
  return seq;
}

Result<Seq> Life::try_write(std::string key, std::string value) {
  Record record;
  record.key = std::move(key);
  record.value = std::move(value);
  return try_stage({std::move(record)});
}

Seq Life::write(std::string key, std::string value) { return must(try_write(std::move(key), std::move(value))); }

Seq Life::erase(std::string key) {
  Record record;
  record.key = std::move(key);
  record.tombstone = true;
  return must(try_stage({std::move(record)}));
}

void Life::round() {
  // The first to end may have begun before what is staged was.
  const std::uint64_t before = stats().rounds;
  log_->wake();
  until("two rounds are done", [&] { return stats().rounds >= before + 2; });
}

Records Life::written() const {
  const std::lock_guard lock(mutex_);
  Records records = written_;
  std::ranges::sort(records);
  return records;
}

}  // namespace actable::test
