#include "tests/lab/failures/seam.h"

#include "base/file_error.h"

#include <cerrno>
#include <iterator>
#include <map>

namespace actable::lab {

using test::allocations::Spared;

namespace {

/// As much as reaches the disk before a write ends short.
std::span<const std::byte> half(std::span<const std::byte> bytes, bool direct) {
  const std::size_t unit = direct ? base::k_block_bytes : 1;
  return bytes.first(bytes.size() / 2 / unit * unit);
}

/// What a queue of the system's asks for itself: an allocation that counts, for
/// the disk below is spared.
void ask_for_memory() { ::operator delete(::operator new(1)); }

}  // namespace

/// Thread safety: *confined* to whoever runs.
class Seam::SeamFile final : public base::File {
 public:
  SeamFile(Seam& seam, std::unique_ptr<base::File> below) : seam_(seam), below_(std::move(below)) { ++seam_.held_; }
  ~SeamFile() override { --seam_.held_; }
  SeamFile(const SeamFile&) = delete;
  SeamFile& operator=(const SeamFile&) = delete;

  Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> into) override {
    return seam_.pass({Operation::read, name(), offset, into.size()}, [&] { return below_->read(offset, into); });
  }

  Result<void> write(std::uint64_t offset, std::span<const std::byte> bytes) override {
    const Spared spared;
    const About about{Operation::write, name(), offset, bytes.size()};
    const std::optional<Fault> fault = seam_.begin(about);
    if (!fault || *fault == Fault::done || *fault == Fault::short_write) {
      auto done = below_->write(offset, fault == Fault::short_write ? half(bytes, direct()) : bytes);
      if (!fault) return done;
    }
    return std::unexpected(error(about, *fault));
  }

  Result<void> sync() override {
    return seam_.pass({Operation::sync, name()}, [&] { return below_->sync(); });
  }
  Result<void> allocate(std::uint64_t bytes) override {
    return seam_.pass({Operation::allocate, name(), 0, bytes}, [&] { return below_->allocate(bytes); });
  }
  Result<std::uint64_t> size() override {
    return seam_.pass({Operation::size, name()}, [&] { return below_->size(); });
  }
  [[nodiscard]] bool direct() const noexcept override { return below_->direct(); }
  [[nodiscard]] int descriptor() const noexcept override { return -1; }
  [[nodiscard]] const std::filesystem::path& path() const noexcept override { return below_->path(); }

  [[nodiscard]] base::File& below() noexcept { return *below_; }
  [[nodiscard]] std::string name() const { return path().filename().string(); }

 private:
  Seam& seam_;
  std::unique_ptr<base::File> below_;
};

/// Thread safety: *confined* to its owner.
class Seam::SeamLock final : public base::DirectoryLock {
 public:
  explicit SeamLock(Seam& seam) : seam_(seam) {
    ++seam_.held_;
    seam_.locked_ = true;
  }
  ~SeamLock() override {
    --seam_.held_;
    seam_.locked_ = false;
  }
  SeamLock(const SeamLock&) = delete;
  SeamLock& operator=(const SeamLock&) = delete;

 private:
  Seam& seam_;
};

/// What is to fail goes to the disk too, with nothing or a part of it to do, so
/// that its failure comes in the order of completions.
///
/// Thread safety: *confined* to whoever runs.
class Seam::SeamQueue final : public base::WriteQueue {
 public:
  SeamQueue(Seam& seam, std::unique_ptr<base::WriteQueue> below) : seam_(seam), below_(std::move(below)) {
    ++seam_.held_;
  }
  ~SeamQueue() override {
    const Spared spared;
    below_.reset();
    --seam_.held_;
  }
  SeamQueue(const SeamQueue&) = delete;
  SeamQueue& operator=(const SeamQueue&) = delete;

  void add_memory(std::span<std::byte>) override {}

  void submit_write(base::File& file, std::uint64_t offset, std::span<const std::byte> bytes,
                    std::uint64_t tag) override {
    ask_for_memory();
    const Spared spared;
    auto& own = static_cast<SeamFile&>(file);
    const std::optional<Fault> fault = begin({Operation::queue_write, own.name(), offset, bytes.size()}, tag);
    const bool whole = !fault || *fault == Fault::done;
    const auto some = fault == Fault::short_write ? half(bytes, true) : bytes.first(0);
    below_->submit_write(own.below(), offset, whole ? bytes : some, tag);
  }

  void submit_sync(base::File& file, std::uint64_t tag) override {
    ask_for_memory();
    const Spared spared;
    auto& own = static_cast<SeamFile&>(file);
    const std::optional<Fault> fault = begin({Operation::queue_sync, own.name()}, tag);
    if (!fault || *fault == Fault::done) return below_->submit_sync(own.below(), tag);
    below_->submit_write(own.below(), 0, {}, tag);
  }

  void wait(std::optional<std::chrono::nanoseconds> timeout, std::vector<base::Completion>& done) override {
    if (finished_.empty()) collect(timeout);
    // Counted: whoever waits must have made room.
    done.insert(done.end(), std::make_move_iterator(finished_.begin()), std::make_move_iterator(finished_.end()));
    const Spared spared;
    finished_.clear();
  }

  void wake() noexcept override { below_->wake(); }
  [[nodiscard]] std::string name() const override { return below_->name(); }
  [[nodiscard]] bool memory_registered() const noexcept override { return false; }

 private:
  void collect(std::optional<std::chrono::nanoseconds> timeout) {
    const Spared spared;
    below_->wait(timeout, finished_);
    for (base::Completion& completion : finished_) {
      if (const auto failed = failing_.extract(completion.tag)) completion.error = failed.mapped();
    }
  }

  [[nodiscard]] std::optional<Fault> begin(const About& about, std::uint64_t tag) {
    const bool breaks = about.operation == Operation::queue_write && std::exchange(seam_.breaks_, false);
    const std::optional<Fault> fault = breaks ? Fault::io_error : seam_.begin(about);
    if (fault) failing_[tag] = error(about, *fault);
    return fault;
  }

  Seam& seam_;
  std::unique_ptr<base::WriteQueue> below_;
  std::map<std::uint64_t, Error> failing_;
  std::vector<base::Completion> finished_;
};

std::optional<Fault> Seam::begin(const About& about) {
  const std::string site = site_name(phase_, about.operation, about.file, about.offset);
  const std::optional<std::size_t> known = site_number(site);
  if (!known && !is_rare_site(site)) stranger_ = site;
  calls_.push_back({about.operation, known});
  const std::uint64_t number = calls_.size();
  const bool due = order_.nth != 0 && (number == order_.nth || (order_.for_good && number > order_.nth));
  const bool fails = due && can_fail(about.operation, order_.fault);
  std::string told = "call " + std::to_string(number) + ": " + site + " " + about.file;
  if (about.bytes != 0) told += " " + std::to_string(about.offset) + " +" + std::to_string(about.bytes);
  if (fails) told.append(" FAILS: ").append(name_of(order_.fault));
  scheduler_.note(told);
  if (!fails) return std::nullopt;
  failed_.push_back(known);
  return order_.fault;
}

Error Seam::error(const About& about, Fault fault) {
  const std::string what = std::string(name_of(about.operation)) + " (made to fail)";
  const std::filesystem::path path = std::filesystem::path("/simulated") / about.file;
  const int number = fault == Fault::no_space ? ENOSPC : fault == Fault::cancelled ? ECANCELED : EIO;
  return base::file_error(ErrorCode::io_error, what, path, number);
}

void Seam::name_changed(const std::filesystem::path& path) {
  const Spared spared;
  changed_ = path.filename().string();
}

Disk& Seam::disk_of(const std::filesystem::path& path) noexcept {
  return path.native().starts_with(k_backup_directory) ? backup_ : below_;
}

Result<std::unique_ptr<base::File>> Seam::open(const std::filesystem::path& path, base::OpenMode mode) {
  const Operation operation = mode.create ? Operation::create : Operation::open;
  if (mode.create) name_changed(path);
  return pass({operation, path.filename().string()}, [&]() -> Result<std::unique_ptr<base::File>> {
    auto below = disk_of(path).open(path, mode);
    if (!below) return below;
    return std::make_unique<SeamFile>(*this, std::move(*below));
  });
}

Result<std::vector<std::string>> Seam::list(const std::filesystem::path& directory) {
  return pass({locked_ ? Operation::list : Operation::look, {}}, [&] { return disk_of(directory).list(directory); });
}

Result<void> Seam::rename(const std::filesystem::path& from, const std::filesystem::path& to) {
  name_changed(to);
  return pass({Operation::rename, to.filename().string()}, [&] { return disk_of(to).rename(from, to); });
}

Result<void> Seam::remove(const std::filesystem::path& path) {
  return pass({Operation::remove, path.filename().string()}, [&] { return disk_of(path).remove(path); });
}

Result<void> Seam::sync_directory(const std::filesystem::path& directory) {
  return pass({Operation::sync_directory, changed_}, [&] { return disk_of(directory).sync_directory(directory); });
}

Result<bool> Seam::prepare_directory(const std::filesystem::path& directory, bool create) {
  return pass({Operation::prepare_directory, {}},
              [&] { return disk_of(directory).prepare_directory(directory, create); });
}

Result<std::unique_ptr<base::DirectoryLock>> Seam::lock(const std::filesystem::path& directory) {
  // A store locks before it asks for its queue; a backup asks for none.
  queued_ = &disk_of(directory);
  // No name has changed in this life.
  changed_.clear();
  return pass({Operation::lock, {}},
              [&]() -> Result<std::unique_ptr<base::DirectoryLock>> { return std::make_unique<SeamLock>(*this); });
}

Result<std::unique_ptr<base::WriteQueue>> Seam::make_queue(LogIo kind) {
  return pass({Operation::make_queue, {}}, [&]() -> Result<std::unique_ptr<base::WriteQueue>> {
    auto below = queued_->make_queue(kind);
    if (!below) return below;
    return std::make_unique<SeamQueue>(*this, std::move(*below));
  });
}

}  // namespace actable::lab
